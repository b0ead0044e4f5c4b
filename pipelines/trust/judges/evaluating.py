"""`guerdon evaluate-judge`: how good a judge or reward model is, on answers, on pairs, on captions, by what it answers.

Data are RewardBench-like files, or what is made here: sets of problems (`rewards/evaluation/problem_sets.py`), or
captions with the rule book's verdicts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from pipelines.errors import UserError
from pipelines.overrides import explain
from pipelines.service.targets import Settings, Target, find_target
from pipelines.stored.stored_experience import one_line
from pipelines.trust.judges.measures import Measure
from pipelines.trust.judges.on_answers import on_answers
from pipelines.trust.judges.on_captions import caption_pairs, on_captions
from pipelines.trust.judges.on_pairs import on_pairs, pairs_reworded, problem_pairs
from pipelines.trust.judges.problem_files import read_problems, write_problems
from rewards.attacks.honest import captions
from rewards.evaluation.problem_sets import SETS
from rewards.evaluation.problems import Problem
from rewards.judges.judge import Judge


class Config(Settings):
    """What a judge is tried on; the keys of `pipelines.service.targets.Settings` beside these."""

    data: str = ""
    """JSONL or Parquet; empty: made here."""
    problems: Literal["sums", "steps", "length", "all"] = "sums"
    """Which set is made, where there is no `data`."""
    samples: int = Field(50, ge=2)
    """Problems that are made of each set; of a file, read at most so many."""
    repeats: int = Field(3, ge=1)
    """Times that each of some questions is asked."""
    seed: int = 0
    """Of what is made."""
    to: str = ""
    """File for all numbers, as JSON."""
    write: str = ""
    """File for the problems, as JSONL."""


def evaluate_judge(text: str, values: Mapping[str, Any]) -> list[str]:
    """Evaluate a target, and give the lines of the table.

    Args:
        text: names the target, see `pipelines.service.targets`.
        values: of `Config`.

    Raises:
        UserError: the target or the data cannot be had, or every answer is NULL.
    """
    try:
        config = Config.model_validate(dict(values))
    except ValidationError as error:
        raise UserError(explain(error)) from None
    problems = _problems(config)
    if config.write:
        write_problems(problems, Path(config.write).expanduser())
    target = find_target(text, config)
    if target.judge is None or not set(target.asked) & {"caption", "response", "pair"}:
        raise UserError(
            f'{text} judges neither captions nor responses nor pairs of them; expected subject="response" (or "pair", '
            '"episode", "caption") of a function, or a rubric of another kind'
        )
    if target.kind == "caption" and config.data:
        raise UserError(f"{text} judges captions, and data= holds answers to prompts; leave data= out, or give rubric=")
    try:
        asyncio.run(target.judge.check())
    except ConnectionError as error:
        raise UserError(f"{text}: {error}") from None
    measured = _measured(target, target.judge, problems, config)
    if config.to:
        _write(Path(config.to).expanduser(), text, config, measured)
    return [line for title, measures in measured.items() for line in (title, *(one.line() for one in measures))]


def _problems(config: Config) -> list[Problem]:
    if config.data:
        return read_problems(Path(config.data).expanduser(), config.samples)
    names = list(SETS) if config.problems == "all" else [config.problems]
    return [problem for name in names for problem in SETS[name](config.samples, config.seed)]


def _measured(
    target: Target, judge: Judge, problems: Sequence[Problem], config: Config
) -> dict[str, Sequence[Measure]]:
    """Measures below the title of what they were measured on."""
    text, found = target.name, dict[str, Sequence[Measure]]()
    if target.kind == "caption":
        try:
            samples = captions(config.goal, config.samples, config.seed)
        except ValueError as error:
            raise UserError(one_line(error)) from None
        found[f"{text} on captions with the rule book's verdicts"] = on_captions(judge, samples, config.repeats)
        if "pair" in target.asked:
            title = f"{text} on pairs of a caption that is accepted and one that is not, in both orders"
            found[title] = on_pairs(judge, caption_pairs(samples), config.repeats)
        return found
    what = config.data or f"problems that were made ({config.problems})"
    if "response" in target.asked:
        found[f"{text} on answers: {what}"] = on_answers(judge, problems, config.repeats)
    if "pair" in target.asked:
        measures = on_pairs(judge, problem_pairs(problems), config.repeats)
        found[f"{text} on pairs, in both orders: {what}"] = [*measures, *pairs_reworded(judge, problems)]
    return found


def _write(path: Path, text: str, config: Config, measured: Mapping[str, Sequence[Measure]]) -> None:
    rows = [
        {"on": title, "measure": one.name.strip(), **one.figures}
        for title, measures in measured.items()
        for one in measures
    ]
    content = {"target": text, "settings": config.model_dump(mode="json"), "measures": rows}
    try:
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"to: {path} cannot be written: {one_line(error)}") from None
