"""`CaptionedEnv`: a task of Guerdon as the Gymnasium environment that RLlib steps, with captions in its `infos`.

A step that brought something about has `caption`, `caption_id` and `caption_count` in its info; the last step of an
episode also says what it came to. Everything else is as Gymnasium has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from envs.captions import caption_id, storable
from envs.environment import Task
from envs.specs import Discrete, EnvSpec
from envs.tasks import make_task
from envs.timestep import TimeStep
from envs.vector import episode_seed
from pipelines.rllib.experience import (
    CAPTION,
    CAPTION_COUNT,
    CAPTION_ID,
    ENV_RETURN,
    LENGTH,
    SUCCESS,
    TRUNCATED,
)


def spaces_of(spec: EnvSpec) -> tuple[spaces.Dict, Any]:
    """Observation and action space in Gymnasium's terms.

    Raises:
        ValueError: the actions are not Discrete.
    """
    if not isinstance(spec.action, Discrete):
        kind = type(spec.action).__name__
        raise ValueError(f"got {kind} actions; expected Discrete ones: the RLlib recipes know no others")
    boxes: dict[str, spaces.Space[Any]] = {}
    for key, array in spec.observation.items():
        dtype = np.dtype(array.dtype)
        whole = np.iinfo(dtype) if dtype.kind in "iu" else None
        low, high = (-np.inf, np.inf) if whole is None else (whole.min, whole.max)
        boxes[key] = spaces.Box(low, high, array.shape or (1,), dtype.type)
    return spaces.Dict(boxes), spaces.Discrete(spec.action.n)


class CaptionedEnv(gymnasium.Env[dict[str, Any], int]):
    """A task's environment and captioner behind Gymnasium's interface.

    Args:
        config: `task` (a name or a `Task`), `task_options`, and, from RLlib, `worker_index`, which keeps the episodes
            of runners apart.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  Gymnasium's form

    def __init__(self, config: Mapping[str, Any]) -> None:
        task = config["task"]
        made = task if isinstance(task, Task) else make_task(str(task), **dict(config.get("task_options", {})))
        self._environment, self._captioner = made.make(), made.make_captioner()
        self.spec_of_task = self._environment.spec
        self.observation_space, self.action_space = spaces_of(self.spec_of_task)
        self._worker = int(getattr(config, "worker_index", 0) or 0)
        self._seed, self._episode = 0, -1
        self._counts: Counter[int] = Counter()
        self._return, self._steps = 0.0, 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin the next episode; a seed begins another series of episodes, which it determines."""
        super().reset(seed=seed)
        if seed is not None or self._episode < 0:
            self._seed = int(self.np_random.integers(2**31)) if seed is None else seed
            self._episode = -1
        self._episode += 1
        first = self._environment.reset(episode_seed(self._seed, self._worker, self._episode))
        self._captioner.reset(first)
        self._counts.clear()
        self._return, self._steps = 0.0, 0
        return self._seen(first), {}

    def step(self, action: int) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Act."""
        now = self._environment.step(int(action))
        self._return, self._steps = self._return + float(now.reward), self._steps + 1
        info: dict[str, Any] = {}
        if caption := storable(self._captioner.caption(now)):
            ident = caption_id(caption)
            self._counts[ident] += 1
            info |= {CAPTION: caption, CAPTION_ID: ident, CAPTION_COUNT: self._counts[ident]}
        ended = now.last and now.discount == 0.0
        if now.last:
            info |= {ENV_RETURN: self._return, LENGTH: self._steps, TRUNCATED: not ended}
            if now.success is not None:
                info[SUCCESS] = bool(now.success)
        return self._seen(now), float(now.reward), ended, now.last and not ended, info

    def close(self) -> None:
        """Close the environment."""
        self._environment.close()

    def _seen(self, now: TimeStep) -> dict[str, Any]:
        """Observations that the environment will not write over."""
        return {
            key: np.array(now.observation[key], array.dtype).reshape(array.shape or (1,))
            for key, array in self.spec_of_task.observation.items()
        }
