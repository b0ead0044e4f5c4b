"""`TimeStep`: what an environment says after each step, with four constructors whose names are the semantics.

`discount` is 0.0 only at a termination. A truncation (a time limit, an outage) ends the episode and keeps its
discount, because the world would have gone on: the learner bootstraps from the last observation.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from envs.specs import Observation


class StepType(IntEnum):
    """Where in its episode a step stands."""

    FIRST = 0
    MID = 1
    LAST = 2


class TimeStep(NamedTuple):
    """One step of one environment.

    Attributes:
        step_type: FIRST, MID or LAST.
        reward: of the action that led here; 0.0 on FIRST.
        discount: 1.0, or 0.0 where the episode terminated.
        observation: one array for each key of the spec; it may be reused by the next step, so copy what you keep.
        success: at LAST, whether the task was solved; None where the task does not say.
    """

    step_type: StepType
    reward: float
    discount: float
    observation: Observation
    success: bool | None = None

    @property
    def first(self) -> bool:
        """Whether the episode begins here."""
        return self.step_type is StepType.FIRST

    @property
    def last(self) -> bool:
        """Whether the episode ends here."""
        return self.step_type is StepType.LAST


def restart(observation: Observation) -> TimeStep:
    """The first step of an episode."""
    return TimeStep(StepType.FIRST, 0.0, 1.0, observation)


def transition(reward: float, observation: Observation) -> TimeStep:
    """A step in the middle of an episode."""
    return TimeStep(StepType.MID, reward, 1.0, observation)


def termination(reward: float, observation: Observation, success: bool | None = None) -> TimeStep:
    """The last step of an episode that is over: nothing comes after, discount 0."""
    return TimeStep(StepType.LAST, reward, 0.0, observation, success)


def truncation(reward: float, observation: Observation, success: bool | None = None) -> TimeStep:
    """The last step of an episode that was cut off: discount kept."""
    return TimeStep(StepType.LAST, reward, 1.0, observation, success)
