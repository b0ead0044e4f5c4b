"""`guerdon attack TARGET`: how often a judge or reward model is fooled, with its defences off and on.

Off: texts reach the reward as they come; where a language model runs in this process, they also go raw into its
prompts. On: prompts are as they always are (cleaned and fenced), behind the guard of `rewards/judges/guarded.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator
from rich.console import Console
from rich.table import Table

from pipelines.errors import UserError
from pipelines.overrides import explain
from pipelines.service.targets import Settings, Target, find_target
from rewards.attacks import honest
from rewards.attacks.attack import Sample
from rewards.attacks.measure import Fooled, Report, Share, as_data, attack_judge
from rewards.attacks.suite import choose
from rewards.attacks.undefended import UndefendedJudge
from rewards.judges.guarded import Guard, GuardedJudge
from rewards.judges.judge import Judge

FORMAT = 1


@dataclass(frozen=True)
class Comparison:
    """One target under attack, twice.

    Attributes:
        target: as it was given.
        kind: of samples.
        off: without defences.
        on: with them.
    """

    target: str
    kind: str
    off: Report
    on: Report


class Config(Settings):
    """What is tried on a target; the keys of `pipelines.service.targets.Settings` beside these."""

    attacks: tuple[str, ...] = ()
    """By name; all where none is named."""
    samples: int = Field(50, ge=2)
    """Honest samples of either verdict."""
    seed: int = 0
    """Of samples and attacks."""
    to: str = ""
    """File for everything as JSON."""

    @field_validator("attacks", mode="before")
    @classmethod
    def _alone(cls, names: object) -> object:
        return (names,) if isinstance(names, str) else names


def attack(text: str, values: Mapping[str, Any]) -> str:
    """Run the suite on a target, and give the table.

    Args:
        text: names the target, see `pipelines.service.targets`.
        values: of `Config`.

    Raises:
        UserError: the target, an attack or the file cannot be had.
    """
    try:
        config = Config.model_validate(dict(values))
    except ValidationError as error:
        raise UserError(explain(error)) from None
    target = find_target(text, config)
    try:
        asyncio.run(asked(target).check())
    except ConnectionError as error:
        raise UserError(f"{text}: {error}") from None
    found = compare(target, config.goal, config.attacks, config.samples, config.seed)
    if config.to:
        try:
            Path(config.to).write_text(json.dumps(as_json(found), indent=1) + "\n")
        except OSError as error:
            raise UserError(f"to: cannot write {config.to}: {error.strerror}") from None
    return table_of(found)


def compare(
    target: Target,
    goal: str,
    attacks: Sequence[str] = (),
    samples: int = 50,
    seed: int = 0,
    tried: Sequence[Sample] = (),
) -> Comparison:
    """Run the suite on a target without and with defences.

    Args:
        target: what is attacked.
        goal: of captions.
        attacks: names; all where there is none.
        samples: honest samples of either verdict.
        seed: of samples and attacks.
        tried: honest samples of your own, in place of those.

    Raises:
        UserError: an attack is unknown, the goal has no rule book, or the reward knows none of the samples.
    """
    try:
        suite = choose(attacks, target.special_tokens)
        tried = tried or samples_for(target, goal, samples, seed)
        off = asyncio.run(attack_judge(without_defences(target), suite, tried, target.threshold, seed))
        on = asyncio.run(attack_judge(with_defences(target), suite, tried, off.threshold, seed))
    except ValueError as error:
        raise UserError(f"{target.name}: {error}") from None
    return Comparison(target.name, target.kind, off, on)


def samples_for(target: Target, goal: str, each: int, seed: int) -> list[Sample]:
    """Honest samples of the kind that a target judges; captions that it knows come first."""
    if target.kind == "response":
        return honest.responses(each, seed)
    return honest.captions(goal, each, seed, target.captions)


def without_defences(target: Target) -> Judge:
    """The target as it would be had nobody thought of attacks."""
    if target.engine is None or target.build is None:
        return asked(target)
    return UndefendedJudge(target.engine, target.build)


def with_defences(target: Target) -> Judge:
    """The target behind its guard."""
    return GuardedJudge(asked(target), Guard(special_tokens=target.special_tokens))


def asked(target: Target) -> Judge:
    """The target as a judge.

    Raises:
        UserError: no question can be asked of it.
    """
    if target.judge is None:
        raise UserError(
            f'{target.name} judges neither captions nor responses; expected subject="response" or "episode"'
        )
    return target.judge


def table_of(found: Comparison) -> str:
    """False positives by attack, and the price in false negatives, as a table for the terminal."""
    table = Table(box=None, padding=(0, 2, 0, 0), title=f"{found.target}: accepted although it should be rejected")
    for column in ("attack", "attempts", "defences off", "defences on", "refused"):
        table.add_column(column, justify="left" if column == "attack" else "right", no_wrap=True)

    def row(name: str, off: Share, on: Share, nulls: str = "") -> None:
        table.add_row(name, str(off.n), str(off), str(on), nulls)

    def line(name: str, off: Fooled, on: Fooled) -> None:
        row(name, off.false_positives, on.false_positives, str(on.nulls))

    for off in found.off.attacks:
        if not off.variant:
            line(off.attack, off, found.on.line(off.attack))
    line("all", found.off.overall, found.on.overall)
    line("all, wordings the filters do not know", found.off.held_out, found.on.held_out)
    table.add_section()
    row("no attack: bad ones accepted", found.off.false_positives, found.on.false_positives, str(found.on.honest_nulls))
    row("no attack: good ones not accepted", found.off.false_negatives, found.on.false_negatives)
    console = Console(width=130, no_color=True, highlight=False)
    with console.capture() as capture:
        console.print(table)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    return "\n".join([*lines, worst_of(found.on)])


def worst_of(report: Report) -> str:
    """The single trick that fools most, for people."""
    variants = [one for one in report.attacks if one.variant and one.false_positives.n]
    worst = max(variants, key=lambda one: one.false_positives.value or 0.0)
    if not worst.false_positives.hits:
        return "With defences on, nothing got through."
    return (
        f"With defences on, most got through by {worst.attack}, {worst.variant}: {str(worst.false_positives).strip()}"
    )


def as_json(found: Comparison) -> dict[str, Any]:
    """Everything as JSON-able data."""
    return {
        "format": FORMAT,
        "target": found.target,
        "kind": found.kind,
        "off": as_data(found.off),
        "on": as_data(found.on),
    }
