"""`Overseen`: an environment in which an expert takes over for a while where he does not like what is done.

What the policy does while he acts has no effect. The observation gains `takeover`: who acted in the step that led
here (1: the expert), and for how many steps he will act from here on. Rewards of the environment stay as they are;
what his taking over is worth is a matter of a view (`rewards.shaping.intervention`).
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from envs.environment import Environment
from envs.specs import ArraySpec, EnvSpec, Observation
from envs.timestep import TimeStep

TAKEOVER = "takeover"


class Expert(Protocol):
    """Who watches."""

    def act(self, observation: Observation) -> Any:
        """What he does himself."""
        ...

    def objects(self, observation: Observation, action: Any) -> bool:
        """Whether he thinks little of an action there."""
        ...


class Overseen:
    """An environment with an expert beside it.

    He sees what is done, and takes over from the next step on: for `steps` of them, with probability `notices` where he
    objects and `errs` elsewhere. The seed of an episode determines his chances too.

    Source: the simulated experts of RLIF: Interactive Imitation Learning as Reinforcement Learning (Luo et al. 2023).
    """

    def __init__(
        self, environment: Environment, expert: Expert, steps: int = 5, notices: float = 0.95, errs: float = 0.05
    ) -> None:
        """Watch an environment.

        Raises:
            ValueError: it shows a `takeover` already, or numbers that do not fit.
        """
        inner = environment.spec
        if TAKEOVER in inner.observation:
            raise ValueError(f"got an environment that shows {TAKEOVER!r} already; expected one that nobody oversees")
        if not (1 <= steps <= 255 and 0 <= errs <= 1 and 0 <= notices <= 1):
            raise ValueError(f"got steps {steps}, notices {notices}, errs {errs}; expected 1 to 255, and chances")
        self._inner, self._expert, self._steps, self._notices, self._errs = environment, expert, steps, notices, errs
        shown = {**inner.observation, TAKEOVER: ArraySpec((2,), "uint8")}
        self._spec = EnvSpec(shown, inner.action, inner.action_names)
        self._left, self._random = 0, np.random.default_rng(0)
        self._seen: Observation = {}

    @property
    def spec(self) -> EnvSpec:
        """That of the environment, and `takeover`."""
        return self._spec

    def reset(self, seed: int) -> TimeStep:
        """Begin an episode; the policy acts first."""
        self._random, self._left = np.random.default_rng([seed, 92]), 0
        return self._shown(self._inner.reset(seed), by=0)

    def step(self, action: Any) -> TimeStep:
        """The expert's action where it is his turn, else this one; and whether he takes over after it."""
        if by := int(self._left > 0):
            action = self._expert.act(self._seen)
            self._left -= 1
        else:
            chance = self._notices if self._expert.objects(self._seen, action) else self._errs
            self._left = self._steps if self._random.random() < chance else 0
        return self._shown(self._inner.step(action), by)

    def render(self) -> str:
        """The environment's frame."""
        return self._inner.render()

    def close(self) -> None:
        """Close the environment."""
        self._inner.close()

    def _shown(self, timestep: TimeStep, by: int) -> TimeStep:
        self._seen = timestep.observation
        takeover = np.array([by, self._left], np.uint8)
        return timestep._replace(observation={**timestep.observation, TAKEOVER: takeover})
