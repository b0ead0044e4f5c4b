"""`advantage-bias`: what judges that fail do to the advantages of a group, by how a failure is counted.

    python -m benchmarks.advantage_bias
    python -m benchmarks.advantage_bias members=16 groups=50000 repetitions=50

Answers to one prompt are right or wrong; the judge of each fails with some probability. A failure counts as zero
("zero-filled"), as zero with its own loss masked ("loss-masked"), or as NULL, outside of the baseline and of the loss
("excluded", `rewards/groups.py`). The truth is the advantage had no judge failed. Takes seconds, on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, Result, figure, write_result
from rewards.columns import Column
from rewards.groups import group_advantages

NAME = "advantage-bias"
METHODS = ("zero-filled", "loss-masked", "excluded")
RIGHT = (0.3, 0.6, 0.9)
FAILURES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
GROUPS, MEMBERS, REPETITIONS = 10_000, 8, 20
SPURIOUS = 1e-3  # a sum of absolute advantages above this is a gradient


def advantages(right: NDArray[np.bool_], failed: NDArray[np.bool_]) -> dict[str, Column]:
    """Advantages `[groups, members]` by method; NULL where a member is not trained on."""
    zeros = np.where(failed, 0.0, right.astype(float))
    zero_filled = group_advantages(Column.full(zeros))
    return {
        "zero-filled": zero_filled,
        "loss-masked": zero_filled.map(zero_filled.values, ~failed),
        "excluded": group_advantages(Column(right.astype(np.float32), ~failed)),
    }


def errors(right: NDArray[np.bool_], failed: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    """By method: RMSE of the advantages that are trained on, and the share of all-right groups with a gradient."""
    truth = group_advantages(Column.full(right.astype(float))).values
    all_right = right.all(axis=1)
    found = {}
    for method, column in advantages(right, failed).items():
        kept = np.where(column.valid, column.values, np.float32(0.0))
        gradient = np.abs(kept[all_right]).sum(axis=1) > SPURIOUS
        found[method] = {
            "rmse": float(np.sqrt(np.mean((kept - truth)[column.valid] ** 2))),
            "spurious": float(gradient.mean()) if len(gradient) else 0.0,
        }
    return found


def measure(groups: int, members: int, repetitions: int) -> list[dict[str, Cell]]:
    """One row for each probability of being right, of failing, method and repetition."""
    rows: list[dict[str, Cell]] = []
    for seed in range(repetitions):
        random = np.random.default_rng(seed)
        for p in RIGHT:
            right = random.random((groups, members)) < p
            chance = random.random((groups, members))
            for f in FAILURES:
                for method, found in errors(right, chance < f).items():
                    rows.append({"right": p, "failed": f, "method": method, "seed": seed, **found})
    return rows


def report(rows: Sequence[Mapping[str, Any]], command: str, results: Path) -> Result:
    """Write the result: means over the repetitions, and whether excluding is best wherever judges fail."""

    def values(p: float, f: float, method: str, what: str) -> list[float]:
        return [row[what] for row in rows if (row["right"], row["failed"], row["method"]) == (p, f, method)]

    figures, table, holds = {}, [], True
    for p in sorted({row["right"] for row in rows}):
        for f in sorted({row["failed"] for row in rows}):
            for method in METHODS:
                rmse, spurious = (
                    figure(values(p, f, method, what), unit)
                    for what, unit in (("rmse", "standard deviations"), ("spurious", "share of all-right groups"))
                )
                figures[f"RMSE, {method}, {p:.0%} right, {f:.0%} failed"] = rmse
                figures[f"spurious gradient, {method}, {p:.0%} right, {f:.0%} failed"] = spurious
                table.append(
                    {"right": p, "failed": f, "method": method, "rmse": rmse.value, "spurious": spurious.value}
                )
            if f:
                ours = values(p, f, "excluded", "rmse")
                others = [values(p, f, method, "rmse") for method in METHODS[:2]]
                holds &= all(max(ours) < min(other) for other in others) and not any(
                    values(p, f, "excluded", "spurious")
                )
    return write_result(
        results / f"{NAME}.json",
        NAME,
        "Where judges fail, advantages of groups from which failures are excluded are nearer to the true ones than "
        "those with failures counted as zero or only masked out of the loss, in every repetition, and groups whose "
        "answers are all right get no gradient.",
        holds,
        command,
        figures,
        table,
    )


def main(arguments: Sequence[str]) -> int:
    """The command; gives the exit code."""
    values = parse(arguments)
    groups, members = int(values.pop("groups", GROUPS)), int(values.pop("members", MEMBERS))
    repetitions, results = int(values.pop("repetitions", REPETITIONS)), Path(values.pop("results", "docs/results"))
    if values:
        raise UserError(f"got {sorted(values)}; expected groups, members, repetitions or results")
    words = "".join(f" {argument}" for argument in arguments)
    result = report(
        measure(groups, members, repetitions), f"python -m benchmarks.{NAME.replace('-', '_')}{words}", results
    )
    for row in result.rows:
        if row["right"] == 0.9:
            print("  ".join(f"{key} {value}" for key, value in row.items()))
    print(f"{results / f'{NAME}.json'}: holds {result.holds}")
    return 0 if result.holds else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"{NAME}: {error}")
