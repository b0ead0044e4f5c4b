"""A memory of what was done where and what it gained, which decides what is done next: learning without weights.

    recalled = the k experiences of a stage whose states are nearest to this one
    action   = argmax_a mean of the rewards of those recalled in which a was done

When the memory is full, what gained least is forgotten. A policy in words reads the recalled experiences, the best
first; one over a few actions takes the best of them.

Source: Agent K v1.0, Large Language Models Orchestrating Structured Reasoning Achieve Kaggle Grandmaster Level (Grosnit
et al. 2024): long-term memory that is read by likeness and kept by reward. The rules above are chosen here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Experience(NamedTuple):
    """Something that was done.

    Attributes:
        stage: of the task.
        state: what was known then `[d]`.
        action: what was done.
        reward: what it gained.
    """

    stage: str
    state: Floats
    action: str
    reward: float


class ExperienceMemory:
    """Experiences, of which those are kept that gained most.

    Attributes:
        size: how many are remembered; 0: none.
    """

    def __init__(self, size: int = 1000) -> None:
        """Remember nothing yet.

        Raises:
            ValueError: a negative size.
        """
        if size < 0:
            raise ValueError(f"got size={size}; expected at least 0")
        self.size = size
        self._kept: list[Experience] = []

    def __len__(self) -> int:
        """Experiences that are remembered."""
        return len(self._kept)

    def write(self, experience: Experience) -> None:
        """Remember an experience; where that is one too many, forget the one of the least reward, of equals the oldest.

        Raises:
            ValueError: a state that is no vector of finite numbers, or a reward that is not finite.
        """
        if (
            experience.state.ndim != 1
            or not np.isfinite(experience.state).all()
            or not math.isfinite(experience.reward)
        ):
            raise ValueError(
                f"got state {experience.state} and reward {experience.reward}; expected finite numbers [d]"
            )
        self._kept.append(experience)
        if len(self._kept) > self.size:
            del self._kept[min(range(len(self._kept)), key=lambda place: self._kept[place].reward)]

    def recall(self, stage: str, state: Floats, most: int = 8) -> tuple[Experience, ...]:
        """The experiences of a stage that are nearest to a state, those of the highest reward first."""
        of_stage = [one for one in self._kept if one.stage == stage]
        nearest = sorted(of_stage, key=lambda one: float(np.linalg.norm(one.state - state)))[:most]
        return tuple(sorted(nearest, key=lambda one: -one.reward))


def best_action(recalled: Sequence[Experience]) -> str | None:
    """The action of the highest mean reward; None where nothing is recalled."""
    rewards: dict[str, list[float]] = {}
    for one in recalled:
        rewards.setdefault(one.action, []).append(one.reward)
    return max(rewards, key=lambda action: sum(rewards[action]) / len(rewards[action])) if rewards else None
