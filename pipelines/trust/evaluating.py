"""`guerdon evaluate-judge`: how good a judge or reward model is, on pairs, on one right answer among many, on captions.

Data are RewardBench-like files (JSONL or Parquet: `prompt`, `chosen`, `rejected`, where `rejected` may be a list), or
what is made here: sums with one right solution and nine wrong ones, or captions with the rule book's verdicts.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from pipelines.errors import UserError
from pipelines.overrides import explain
from pipelines.stored_experience import one_line
from pipelines.targets import Settings, find_target
from rewards.attacks.honest import captions
from rewards.evaluation.accuracy import Rate, best_of_n, one_to_many, pair_accuracy
from rewards.evaluation.calibration import calibration
from rewards.evaluation.consistency import paraphrase_consistency, repeats
from rewards.judges.judge import Judge, Question, question
from rewards.questions import caption_question

COLUMNS = ("prompt", "chosen", "rejected")
BATCH = 64
WRONG = 9


class Config(Settings):
    """What a judge is tried on; the keys of `pipelines.targets.Settings` beside these."""

    data: str = ""
    """JSONL or Parquet; empty: made here."""
    samples: int = Field(50, ge=2)
    """Problems that are made; of a file, read at most so many."""
    repeats: int = Field(3, ge=1)
    """Times that each of some questions is asked."""
    seed: int = 0
    """Of what is made."""


@dataclass(frozen=True)
class Problem:
    """A prompt, the answer that is right, and those that are not; `answer` is the reference, where there is one."""

    prompt: str
    chosen: str
    rejected: tuple[str, ...]
    answer: str = ""


def read_problems(path: Path, most: int) -> list[Problem]:
    """Problems from a file.

    Raises:
        UserError: it cannot be read, or a line lacks a column; names the line.
    """
    try:
        if path.suffix == ".parquet":
            rows = list(enumerate(pq.read_table(path).slice(0, most).to_pylist(), 1))
        else:
            with path.open(encoding="utf-8") as file:
                lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
                rows = [(number, json.loads(line)) for number, line in islice(lines, most)]
    except (OSError, ValueError, RecursionError, pa.ArrowException) as error:
        raise UserError(f"data: {path} cannot be read: {one_line(error)}; expected JSONL or Parquet") from None
    if not rows:
        raise UserError(f"data: {path} is empty; expected lines with {', '.join(COLUMNS)}")
    return [_problem(path, number, row) for number, row in rows]


def _problem(path: Path, number: int, row: Any) -> Problem:
    there = row if isinstance(row, dict) else {}
    rejected = there.get("rejected")
    wrong = tuple(rejected) if isinstance(rejected, list) else (rejected,)
    texts = (there.get("prompt"), there.get("chosen"), *wrong)
    if not wrong or not all(isinstance(text, str) for text in texts):
        raise UserError(
            f"data: {path}, line {number}: got {', '.join(sorted(there)) or type(row).__name__}; expected texts "
            f"{', '.join(COLUMNS)} (rejected: one or a list)"
        )
    answer = there.get("answer")  # 0 is one
    return Problem(str(texts[0]), str(texts[1]), wrong, "" if answer is None else str(answer))


def sums(count: int, seed: int) -> list[Problem]:
    """Sums with one right solution and nine wrong ones that look alike."""
    draw, found = random.Random(seed), list[Problem]()
    for _ in range(count):
        a, b = draw.randint(10, 99), draw.randint(10, 99)
        off = draw.sample([d for d in range(-20, 21) if d and a + b + d > 0], WRONG)
        texts = [f"{a} + {b} = {a + b + d}" for d in (0, *off)]
        found.append(Problem(f"What is {a} + {b}?", texts[0], tuple(texts[1:]), str(a + b)))
    return found


def evaluate_judge(text: str, values: Mapping[str, Any]) -> list[str]:
    """Evaluate a target, and give the lines of the table.

    Args:
        text: names the target, see `pipelines.targets`.
        values: of `Config`.

    Raises:
        UserError: the target or the data cannot be had, or every answer is NULL.
    """
    try:
        config = Config.model_validate(dict(values))
    except ValidationError as error:
        raise UserError(explain(error)) from None
    read = read_problems(Path(config.data).expanduser(), config.samples) if config.data else None
    target = find_target(text, config)
    if target.judge is None:
        raise UserError(f'{text} judges neither captions nor responses; expected subject="response"')
    if target.kind == "caption" and read is not None:
        raise UserError(f"{text} judges captions, and data= holds answers to prompts; leave data= out, or give rubric=")
    try:
        asyncio.run(target.judge.check())
    except ConnectionError as error:
        raise UserError(f"{text}: {error}") from None
    if target.kind == "caption":
        return [f"{text} on captions with the rule book's verdicts", *_on_captions(target.judge, config)]
    title = f"{text} on {config.data or 'sums, one right and nine wrong solutions each'}"
    return [title, *_on_problems(target.judge, read or sums(config.samples, config.seed), config)]


def _scores(judge: Judge, questions: Sequence[Question]) -> np.ndarray[Any, np.dtype[np.float64]]:
    async def ask() -> list[float]:
        found: list[float] = []
        for start in range(0, len(questions), BATCH):
            for answer in await judge.judge(questions[start : start + BATCH]):
                found.append(np.nan if answer.value is None else answer.value)
        return found

    values = np.array(asyncio.run(ask()))
    if len(values) and np.isnan(values).all():
        raise UserError("the judge gave no value for any question; look at its settings with `guerdon doctor`")
    return values


def _on_captions(judge: Judge, config: Config) -> list[str]:
    try:
        samples = captions(config.goal, config.samples, config.seed)
    except ValueError as error:
        raise UserError(one_line(error)) from None
    texts = [sample.text for sample in samples]
    good = np.array([float(sample.good) for sample in samples])
    said = _scores(judge, [caption_question(one) for one in texts])
    reworded = _scores(judge, [caption_question(_reworded(one)) for one in texts])
    known = ~np.isnan(said)
    right = Rate.of(int(((said > 0.5) == (good > 0.5))[known].sum()), int(known.sum()))
    lines = [_line("accuracy", right), f"{'no value':28}{int((~known).sum())} of {len(said)}", *_calibrated(said, good)]
    lines.append(_line("same verdict, reworded", paraphrase_consistency(said, reworded)))
    return lines + _repeated(judge, [caption_question(one) for one in texts[:BATCH]], config)


def _on_problems(judge: Judge, problems: Sequence[Problem], config: Config) -> list[str]:
    def asked(one: Problem, answer: str) -> Question:
        context = {"answer": one.answer} if one.answer else {}
        return question("response", (answer,), prompt=one.prompt, **context)

    flat = [asked(one, text) for one in problems for text in (one.chosen, *one.rejected)]
    scores = _scores(judge, flat)
    cuts = np.cumsum([1 + len(one.rejected) for one in problems])[:-1]
    each = np.split(scores, cuts)
    pairs = [(own[0], wrong) for own in each for wrong in own[1:]]
    many = one_to_many([own[0] for own in each], [own[1:].tolist() for own in each])
    gold = [[1.0] + [0.0] * (len(own) - 1) for own in each]
    lines = [
        _line("pairs in order", pair_accuracy([a for a, _ in pairs], [b for _, b in pairs])),
        _line("right one above all wrong", many.accuracy),
        f"{'  by chance':28}{_text(many.random)}; mean reciprocal rank {_text(many.mean_reciprocal_rank)}",
        f"{'no value':28}{int(np.isnan(scores).sum())} of {len(scores)}",
    ]
    curve = {n: best_of_n([own.tolist() for own in each], gold, n) for n in (1, 2, 4, 8)}
    shown = ", ".join(f"{n}: {value:.2f}" for n, value in curve.items() if value is not None)
    lines.append(f"{'right one, best of N':28}{shown or '-'}")
    known = scores[~np.isnan(scores)]
    if known.min() >= 0 and known.max() <= 1:
        lines += _calibrated(scores, np.concatenate([np.array(one) for one in gold]))
    return lines + _repeated(judge, flat[:BATCH], config)


def _calibrated(said: Any, true: Any) -> list[str]:
    found = calibration(said, true)
    lines = [f"{'calibration error, Brier':28}{_text(found.ece)}, {_text(found.brier)}"]
    return lines + [f"{'  said, true, verdicts':28}{b.said:.2f}, {b.true:.2f}, {b.n}" for b in found.curve]


def _repeated(judge: Judge, questions: Sequence[Question], config: Config) -> list[str]:
    if config.repeats < 2:
        return []
    asked = np.stack([_scores(judge, questions) for _ in range(config.repeats)], 1)
    found = repeats(asked.tolist())
    return [
        f"{'deviation when repeated':28}{_text(found.deviation)}",
        _line("changes when repeated", found.flips),
    ]


def _reworded(text: str) -> str:
    """The same event in other words, as far as that can be done to any sentence."""
    inner = text.rstrip(".!")
    return f"It happens: {inner[:1].lower()}{inner[1:]}."


def _line(name: str, rate: Rate) -> str:
    interval = f"[{rate.low:.3f}, {rate.high:.3f}] of {rate.n}" if rate.n else "nothing"
    return f"{name:28}{_text(rate.value)} {interval}"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
