"""`Check`: the smallest experiment that can tell whether a method does what its paper says, and how it is reported.

Arms are ways to do the same thing: the method, and what it is compared with. Each arm is run with each seed and gives
numbers by name. A claim compares them; it holds, or it does not, and both are written down.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.results import Cell, Figure, Result, figure, write_result

Measured = Mapping[str, float]
Arm = Callable[[int], Measured]
SEEDS = 5


@dataclass(frozen=True)
class Found:
    """What the arms gave.

    Attributes:
        values: by arm and measure, one number a seed, in the order of the seeds.
    """

    values: Mapping[str, Mapping[str, Sequence[float]]]

    def mean(self, arm: str, measure: str) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.values[arm][measure]))

    def above(self, arm: str, other: str, measure: str, by: float = 0.0) -> bool:
        """Whether an arm is above another by more than `by`: the 95 % interval of the paired differences is."""
        return bool((self.difference(arm, other, measure).low or 0.0) > by)

    def below(self, arm: str, other: str, measure: str, by: float = 0.0) -> bool:
        """Whether an arm is below another by more than `by`."""
        return self.above(other, arm, measure, by)

    def difference(self, arm: str, other: str, measure: str) -> Figure:
        """Of the same seeds, what an arm has more than another; with its interval."""
        one, two = (np.asarray(self.values[name][measure]) for name in (arm, other))
        return figure(one - two, "difference")

    def interval(self, arm: str, measure: str) -> tuple[float, float]:
        """The 95 % interval of the mean."""
        found = figure(self.values[arm][measure], "value")
        return (found.value, found.value) if found.low is None or found.high is None else (found.low, found.high)


@dataclass(frozen=True)
class Check:
    """One row's experiment.

    Attributes:
        row: number of the paper in docs/methods.yaml.
        name: what the result is called, after its number; lower case, with hyphens.
        claim: one sentence that can be true or false.
        arms: by name; each takes a seed.
        holds: the claim over what was found.
        seeds: how many are run.
        units: by measure, where it is not a plain value.
    """

    row: int
    name: str
    claim: str
    arms: Mapping[str, Arm]
    holds: Callable[[Found], bool]
    seeds: int = SEEDS
    units: Mapping[str, str] | None = None

    @property
    def file(self) -> str:
        """Name of its result."""
        return f"{self.row:03d}-{self.name}"

    @property
    def command(self) -> str:
        """What repeats it."""
        return f"python -m benchmarks.methods {self.row}"


def run(check: Check, results: Path, say: Callable[[str], None] = print) -> Result:
    """Run every arm with every seed, and write what came of it.

    Raises:
        ValueError: arms measure different things, or something that is not a finite number.
    """
    rows: list[dict[str, Cell]] = []
    values: dict[str, dict[str, list[float]]] = {arm: {} for arm in check.arms}
    for seed in range(check.seeds):
        for arm, measure in check.arms.items():
            measured = dict(measure(seed))
            rows.append({"arm": arm, "seed": seed, **{k: float(v) for k, v in measured.items()}})
            for name, value in measured.items():
                values[arm].setdefault(name, []).append(float(value))
    kinds = {tuple(measures) for measures in values.values()}
    if len(kinds) != 1:
        raise ValueError(f"row {check.row}: got arms that measure {sorted(kinds)}; expected all to measure the same")
    units = check.units or {}
    figures = {
        f"{arm}: {name}": figure(numbers, units.get(name, "value"))
        for arm, measures in values.items()
        for name, numbers in measures.items()
    }
    holds = bool(check.holds(Found(values)))
    result = write_result(results / f"{check.file}.json", check.file, check.claim, holds, check.command, figures, rows)
    say(f"{check.file}: {'holds' if holds else 'does not hold'}")
    for name, found in figures.items():
        interval = "" if found.low is None else f"  [{found.low:.4g}, {found.high:.4g}]"
        say(f"    {name:48} {found.value:10.4g}{interval}")
    return result


def source(check: Check) -> str:
    """Where a check is written, for people: the file of its claim."""
    return Path(inspect.getsourcefile(check.holds) or "?").name
