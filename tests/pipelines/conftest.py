"""Small experiments, and runs of them in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from learners.replay.config import Config as ReplayConfig
from learners.replay.replay import Replay
from pipelines.driver.lifecycle import write_config
from pipelines.environment.roles import EnvActor
from pipelines.environment.run import Run
from pipelines.experiment import Experiment
from pipelines.local import run_local
from pipelines.overrides import apply
from pipelines.recipes.catch import catch
from pipelines.run_directory import RunDirectory

SMALL = {
    "runner": "local",
    "frames": 240,
    "actors.count": 2,
    "actors.environments": 3,
    "actors.unroll_length": 10,
    "batch_fragments": 2,
    "policy.hidden": 16,
    "judge.kind": "rules",
    "judge.goal": "explore and descend",
    "tracking.enabled": False,
    "checkpoint.every_s": 1e6,
    "report_every_s": 1e6,
}


class Quiet:
    """A display that remembers what it was told to say."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def show(self, numbers: Any, lines: Any) -> None:
        pass

    def say(self, text: str) -> None:
        self.said.append(text)

    def close(self) -> None:
        pass


@pytest.fixture
def small() -> Callable[..., Experiment]:
    """A catch experiment of a few updates, with overrides: `small({"seed": 3})`."""
    return lambda values=None: apply(catch(), {**SMALL, **(values or {})})


@pytest.fixture
def books() -> Callable[..., Run]:
    """The books of a run in a directory, new or resumed: `books(experiment, path)`."""

    def make(experiment: Experiment, path: Path) -> Run:
        path.mkdir(parents=True, exist_ok=True)
        directory = RunDirectory(path)
        write_config(experiment, directory)
        return Run(experiment, directory, Quiet(), "rules")

    return make


@pytest.fixture
def run(books) -> Callable[..., Run]:
    """Run an experiment in this process: `run(experiment, path, resume=True, judge=…)` gives its books."""

    def go(experiment: Experiment, path: Path, resume: bool = False, judge: Any = None) -> Run:
        made = books(experiment, path)
        run_local(made, made.restore() if resume else None, judge)
        made.close()
        return made

    return go


@pytest.fixture
def stored(small, tmp_path) -> Callable[..., RunDirectory]:
    """A run that has stored rollouts of random play, and nothing else: `stored({"seed": 1}, rollouts=3)`."""

    def make(values: dict[str, Any] | None = None, rollouts: int = 4, name: str = "stored") -> RunDirectory:
        experiment = small({"reward.source": "retrieval", **(values or {})})
        directory = RunDirectory(tmp_path / name)
        directory.root.mkdir()
        write_config(experiment, directory)
        actor = EnvActor(experiment, 0, 0)
        played = [actor.rollout(None) for _ in range(rollouts)]
        replay = Replay(ReplayConfig(), played[0][1].schema, directory.shard(0))
        for fragment, rows in played:
            replay.insert(fragment.key, rows, fragment.policy_version, fragment.to_plain())
        replay.close()
        actor.close()
        return directory

    return make
