"""Runs of language models for worked examples, one after another in this process; each is kept when it is done."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from pipelines.errors import UserError
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.train import train
from pipelines.overrides import apply
from pipelines.run_directory import RunDirectory

LAST = 0.2
"""Share of the updates over which what came out is averaged."""
FIRST = 5
"""Updates over which what it began with is."""


def curve(directory: RunDirectory) -> list[dict[str, float]]:
    """What each update said: its number, and the mean of each reward."""
    found: dict[int, dict[str, float]] = {}
    for line in directory.lines(directory.metrics):
        rewards = {key.removeprefix("learner/"): line[key] for key in line if key.startswith("learner/reward")}
        if rewards and None not in rewards.values():
            found[int(line["updates"])] = {"time": line["time"], "updates": float(line["updates"]), **rewards}
    return [found[update] for update in sorted(found)]


def whole(points: list[dict[str, float]], updates: int) -> list[dict[str, float]]:
    """The same points, of a run that came to its end.

    Raises:
        UserError: it did not.
    """
    if not points or points[-1]["updates"] < updates:
        raise UserError(f"a run was stopped after {len(points)} of {updates} updates; start again to go on")
    return points


def alarms(directory: RunDirectory) -> dict[str, int]:
    """The update of the first alarm of each monitor."""
    found = dict[str, int]()
    for line in directory.lines(directory.alarms):
        found.setdefault(line["monitor"], line["update"])
    return found


def kept(experiment: LanguageExperiment, seed: int, work: Path) -> dict[str, Any]:
    """The curve and the alarms of a run; run now, unless the same was run already.

    Raises:
        UserError: the run was told to stop before its end; it is not kept.
    """
    settings = {"seed": seed, "tiny.seed": seed, "tracking.enabled": False, "report_every_s": 1e-3}
    experiment = apply(experiment, settings)
    name = f"{experiment.name}-{seed}-{hashlib.sha256(experiment.model_dump_json().encode()).hexdigest()[:8]}"
    path = work / "measured" / f"{name}.json"
    if not path.is_file():
        torch.set_num_threads(1)
        directory = train(experiment, work, say=lambda text: None)
        points = whole(curve(directory), experiment.updates)
        text = json.dumps({"seed": seed, "curve": points, "alarms": alarms(directory)})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".draft").write_text(text, encoding="utf-8")
        path.with_suffix(".draft").rename(path)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def at_first(found: dict[str, Any], name: str) -> float:
    """Mean of a number over the first updates."""
    values: list[float] = [point[name] for point in found["curve"]][:FIRST]
    return sum(values) / len(values)


def at_last(found: dict[str, Any], name: str) -> float:
    """Mean of a number over the last updates."""
    values: list[float] = [point[name] for point in found["curve"]]
    values = values[-max(1, round(LAST * len(values))) :]
    return sum(values) / len(values)
