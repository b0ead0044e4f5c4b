"""Intrinsic rewards for a Gymnasium environment of your own: a long corridor that pays at its end alone.

    python examples/intrinsic_gymnasium.py frames=40000

Three runs with equal frames: the environment's own reward, a bonus for what was seldom seen, and a random network's
errors. Prints the share of episodes that reached the end.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from pipelines.overrides import apply, parse
from pipelines.recipes.table import find_recipe
from pipelines.stored.records import read_records
from pipelines.train import train

LENGTH = 24


class Corridor(gymnasium.Env[np.ndarray, int]):
    """Two actions, left and right; a reward of 1 at the right end, within 40 steps."""

    observation_space = gymnasium.spaces.Box(0.0, 1.0, (LENGTH,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.at, self.steps = 0, 0
        return self.seen(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.at, self.steps = max(0, self.at + (1 if action == 1 else -1)), self.steps + 1
        arrived = self.at == LENGTH - 1
        return self.seen(), float(arrived), arrived, self.steps == 40, {}

    def seen(self) -> np.ndarray:
        return np.eye(LENGTH, dtype=np.float32)[self.at]


def main(words: list[str]) -> None:
    values = {"task": "intrinsic_gymnasium:Corridor", "runner": "local", "tracking.enabled": False, **parse(words)}
    runs = Path(str(values.pop("runs", "runs")))
    for source in ("extrinsic", "count", "rnd"):
        experiment = apply(find_recipe("catch"), {**values, "name": source, "reward.source": source})
        last = read_records(train(experiment, runs, None, say=lambda line: None)).rows[-1]
        print(f"{source:10} return {last['episode_return']:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
