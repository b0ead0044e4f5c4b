"""Results as data: one JSON file per claim, with all that is needed to repeat and to doubt it.

The form is the one of docs/results/README.md. A claim that did not come true is kept, with `holds` false.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from importlib import metadata
from pathlib import Path
from platform import python_version

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from pipelines.machines.machine import Machine

LIBRARIES = (
    "gymnasium",
    "llguidance",
    "math-verify",
    "minihack",
    "mlflow",
    "nle",
    "numpy",
    "pyarrow",
    "pydantic",
    "ray",
    "rliable",
    "safetensors",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
    "zlib-ng",
)
"""Libraries whose versions can change a figure."""

PLACES = ("work=", "results=")  # keys of benchmarks that say where, and not what

Cell = str | bool | int | FiniteFloat | None


class Figure(BaseModel):
    """One number of a claim; `low` and `high` bound a 95 % interval over `n` runs or seeds where there are several."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: FiniteFloat
    unit: str = Field(min_length=1)
    low: FiniteFloat | None
    high: FiniteFloat | None
    n: int = Field(ge=1)

    @model_validator(mode="after")
    def _interval(self) -> Figure:
        if (self.low is None) != (self.high is None):
            raise ValueError(f"got low {self.low} and high {self.high}; expected both or none")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"got low {self.low} above high {self.high}; expected low <= high")
        if (self.n > 1) != (self.low is not None):
            raise ValueError(f"got n={self.n} with low {self.low}; expected an interval exactly where n > 1")
        return self


class Result(BaseModel):
    """A claim, whether it holds, and the evidence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    claim: str = Field(min_length=10)
    holds: bool
    command: str = Field(min_length=1)
    date: date
    commit: str = Field(pattern=r"^([0-9a-f]{40}(-modified)?|unknown)$")
    machine: Machine
    versions: dict[str, str] = Field(min_length=1)
    figures: dict[str, Figure] = Field(min_length=1)
    rows: list[dict[str, Cell]]


def figure(values: Sequence[float], unit: str, resamples: int = 10_000) -> Figure:
    """The mean of `values` with its 95 % percentile-bootstrap interval.

    Args:
        values: one number per run or seed; one alone has no interval.
        unit: what is counted, e.g. "frames/s" or "ratio".
        resamples: bootstrap resamples, drawn with a fixed seed so that equal data give equal intervals.

    Returns:
        The figure.

    Raises:
        ValueError: there are no values, or one is not finite. Leave a run that could not be measured out, and say so.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0 or not np.all(np.isfinite(sample)):
        raise ValueError(f"got {values!r} for a figure in {unit}; expected one finite number per run, at least one")
    mean, n = float(sample.mean()), int(sample.size)
    if n == 1:
        return Figure(value=mean, unit=unit, low=None, high=None, n=1)
    draws = np.random.default_rng(0).choice(sample, size=(resamples, n))
    low, high = np.quantile(draws.mean(axis=1), [0.025, 0.975])
    return Figure(value=mean, unit=unit, low=float(low), high=float(high), n=n)


def write_result(
    path: str | Path,
    name: str,
    claim: str,
    holds: bool,
    command: str,
    figures: Mapping[str, Figure],
    rows: Sequence[Mapping[str, Cell]],
) -> Result:
    """Complete a result with date, commit, machine and versions, check it, and write it in one piece.

    The commit is the one with which a benchmark began, however long it took.

    Args:
        path: docs/results/NAME.json; its folder is made where it is missing.
        name: the file's name without its ending.
        claim: one sentence that can be true or false.
        holds: whether the figures bear it out.
        command: what repeats it from a fresh clone; where it put its files (`work=`, `results=`) is left out.
        figures: the claim's numbers by name.
        rows: the table behind them, one mapping per run.

    Returns:
        What was written.

    Raises:
        ValueError: the file is not named after the result, or a part has not its form.
    """
    path = Path(path)
    if path.name != f"{name}.json":
        raise ValueError(f"got result {name!r} for {path}; expected a file named {name}.json")
    result = Result(
        name=name,
        claim=claim,
        holds=holds,
        command=" ".join(word for word in command.split(" ") if not word.startswith(PLACES)),
        date=date.today(),
        commit=commit_at_start(),
        machine=Machine.here(),
        versions=versions(),
        figures=dict(figures),
        rows=[dict(row) for row in rows],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(
        json.dumps(result.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    os.replace(partial, path)
    return result


def read_result(path: str | Path) -> Result:
    """A result from its file.

    Raises:
        ValueError: the file has not the form, or is not named after what it holds.
    """
    path = Path(path)
    try:
        result = Result.model_validate_json(path.read_text(encoding="utf-8"), strict=True)
    except ValueError as error:
        raise ValueError(f"{path} has not the form of docs/results/README.md: {error}") from error
    if path.name != f"{result.name}.json":
        raise ValueError(f"got result {result.name!r} in {path}; expected a file named {result.name}.json")
    return result


def commit(root: Path = Path(__file__).parents[1]) -> str:
    """The commit of the checkout; "-modified" where files differ from it, "unknown" outside of git.

    Results themselves do not count as a difference: several are written by one command.
    """
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--", ".", ":(exclude)docs/results")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    if not re.fullmatch("[0-9a-f]{40}", head):
        return "unknown"
    return f"{head}-modified" if changed else head


def versions(libraries: Sequence[str] = LIBRARIES) -> dict[str, str]:
    """Installed versions of `libraries` and of Python; what is not installed is left out."""
    found = {"python": python_version()}
    for library in libraries:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git(root: Path, *arguments: str) -> str:
    answer = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return answer.stdout.strip()


def _of_a_benchmark() -> str | None:
    """The checkout as a benchmark begins (`python -m benchmarks.NAME`); None in other processes, which need not ask."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return commit() if spec is not None and spec.name.startswith("benchmarks.") else None


_at_start = _of_a_benchmark()


def commit_at_start() -> str:
    """The commit that this process runs: a benchmark of an hour does not run what is committed meanwhile."""
    return _at_start or commit()
