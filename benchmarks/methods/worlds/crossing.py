"""`Crossing`: a long path over bridges that pays at its end alone, a captioner that tells what happens, and judges.

By chance nobody comes to the end. Each bridge that is crossed is told, and so is what leads nowhere: a wall, sounds.
The judges know which is which; one answers soon, one ten times as late.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from envs.environment import Signs
from envs.gymnasium_env import ONLY
from envs.timestep import TimeStep
from rewards.judges.judge import Answer, Question
from rewards.verdicts import Status

LENGTH, STEPS = 72, 108
BRIDGES = ("wooden", "stone", "rope", "iron", "mossy", "broken", "narrow", "covered", "painted", "ruined", "white")
SOUNDS = tuple(
    f"a {what} {where}"
    for what in ("bird", "stream", "bell", "voice", "dog", "storm", "drum", "door", "wolf", "fly", "cart", "horn")
    for where in ("before you", "behind you", "to the left", "to the right")
)
EVERY = LENGTH // (len(BRIDGES) + 1)  # cells from one bridge to the next
LEFT, RIGHT, WAIT = range(3)


class Crossing(gymnasium.Env[NDArray[np.float32], Any]):
    """Left, right, or wait; a reward of 1 at the right end, within `STEPS` steps.

    An observation is the place as one of `LENGTH`, and what happened as a number below 1: see `CrossingCaptioner`.
    """

    observation_space = gymnasium.spaces.Box(0.0, 1.0, (LENGTH + 1,), np.float32)
    action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin at the left end."""
        super().reset(seed=seed)
        self._at, self._steps = 0, 0
        return self._seen(""), {}

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Go one cell, or hear something."""
        before, self._steps = self._at, self._steps + 1
        self._at = max(0, before + (int(action == RIGHT) - int(action == LEFT)))
        happened = ""
        if action == WAIT:
            happened = heard(SOUNDS[int(self.np_random.integers(len(SOUNDS)))])
        elif self._at == before:
            happened = BUMP
        elif self._at > before and self._at % EVERY == 0:
            happened = crossed(BRIDGES[min(self._at // EVERY, len(BRIDGES)) - 1])
        arrived = self._at == LENGTH - 1
        return self._seen(happened), float(arrived), arrived, self._steps == STEPS, {}

    def _seen(self, happened: str) -> NDArray[np.float32]:
        seen = np.zeros(LENGTH + 1, np.float32)
        seen[self._at] = 1.0
        seen[-1] = (CAPTIONS.index(happened) + 1) / (len(CAPTIONS) + 1) if happened else 0.0
        return seen


def crossed(bridge: str) -> str:
    """What is told of a bridge."""
    return f"You cross the {bridge} bridge."


def heard(sound: str) -> str:
    """What is told of a sound."""
    return f"You hear {sound}."


BUMP = "You bump into a wall."
HELPFUL = tuple(map(crossed, BRIDGES))
CAPTIONS = (*HELPFUL, *map(heard, SOUNDS), BUMP)


class CrossingCaptioner:
    """Tells what happened."""

    def reset(self, timestep: TimeStep) -> None:
        """Begin an episode."""

    def caption(self, timestep: TimeStep) -> str:
        """One of `CAPTIONS`, or nothing."""
        number = round(float(timestep.observation[ONLY][-1]) * (len(CAPTIONS) + 1))
        return CAPTIONS[number - 1] if number else ""

    def signs(self) -> Signs:
        """Any change of the place may come with something, so every step is looked at."""
        return Signs(changes={ONLY: tuple(range(LENGTH + 1))})


class Judge:
    """Knows what helps, and needs some time for each call."""

    seconds = 0.01

    def __init__(self, goal: str) -> None:
        """Judge for a goal, which is the only one there is here."""
        self.fingerprint = hashlib.sha256(f"crossing|{goal}|{self.seconds}".encode()).hexdigest()[:16]

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """1 for a bridge, 0 for anything else; of two, the one that helps is better."""
        await asyncio.sleep(self.seconds)
        return [Answer(Status.OK, _worth(one.texts)) for one in questions]

    async def check(self) -> None:
        """Always there."""


class SlowJudge(Judge):
    """Ten times as late."""

    seconds = 10 * Judge.seconds


def _worth(texts: Sequence[str]) -> float:
    helps = [float(text in HELPFUL) for text in texts]
    return helps[0] if len(helps) == 1 else (helps[0] - helps[1] + 1) / 2
