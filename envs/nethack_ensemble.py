"""`NetHackEnsemble`: N games of NetHack that step in one call.

It does for all games at once, with arrays, what `NetHackEnvironment` does for one. The price is a second account of
rewards and ends; tests hold it to the first, step by step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.blstats import Blstat
from envs.environment import Outcome
from envs.nethack import NOT_AS_WRITTEN, PACKED_COLORS, NetHackEnvironment, make_nethack
from envs.packing import pack_nibbles
from envs.specs import EnvSpec
from envs.timestep import TimeStep

_WAITS = slice(1, 4)  # of NLE's `internal`: for a key, a line, or an answer


class NetHackEnsemble:
    """Games of one of the tasks of `make_nethack`.

    Args:
        environments: made with equal options.
    """

    def __init__(self, environments: Sequence[NetHackEnvironment]) -> None:
        self._environments = list(environments)
        self._inners = [env.inner for env in self._environments]
        one, n = self._inners[0], len(self._inners)
        self._games = [inner.nethack for inner in self._inners]
        self._presses = [game._pynethack.step for game in self._games]
        self._overs = [game._pynethack.done for game in self._games]
        self._keys = np.array([int(action) for action in one.actions])
        self._limit, self._penalty = int(one._max_episode_steps), float(one.penalty_step)
        self._goal_reward: float | None = getattr(one, "goal_reward", None)
        self._menus_stay = bool(one._allow_all_modes)
        self._spec = self._environments[0].spec
        self._steps = np.zeros(n, np.int64)
        # What the games write and is looked at here: one block each, so that all are looked at in one call.
        self._packs = PACKED_COLORS in self._spec.observation
        keys = ("blstats", "message", "internal", "program_state", *(["colors"] if self._packs else []))
        buffers = one.nethack._obs_buffers
        self._raw = {key: np.zeros((n, *buffers[key].shape), buffers[key].dtype) for key in keys}
        self._shown: dict[str, NDArray[Any]] = {}
        self._loud: list[int] = []  # games that said something at the step before

    @property
    def spec(self) -> EnvSpec:
        """Observations and actions of one game."""
        return self._spec

    def bind(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Show every observation in `arrays` `[N, …]`; most are written there by the games themselves."""
        self._shown = dict(arrays)
        self._raw |= {key: arrays[key] for key in self._raw if key in arrays and key not in NOT_AS_WRITTEN}
        for index, env in enumerate(self._environments):
            env.bind({key: block[index] for key, block in arrays.items()})
            env.share({key: block[index] for key, block in self._raw.items()})

    def reset(self, indices: Sequence[int], seeds: Sequence[int]) -> list[TimeStep]:
        """Begin games; each by itself, because it takes milliseconds anyway."""
        self._steps[list(indices)] = 0
        self._loud = sorted({*self._loud, *indices})
        return [self._environments[index].reset(seed) for index, seed in zip(indices, seeds, strict=True)]

    def step(self, actions: NDArray[Any]) -> Outcome:
        """Press a key in every game, and those that follow of themselves."""
        inners, raw = self._inners, self._raw
        stats, message = raw["blstats"], raw["message"]
        for index in self._loud:
            inners[index].heard.clear()
        before = stats.copy()
        for press, key in zip(self._presses, self._keys[actions].tolist(), strict=True):
            press(key)
        over = np.array([done() for done in self._overs])
        loud = np.flatnonzero(message[:, 0]).tolist()
        for index in loud:
            inners[index].heard.append(message[index].tobytes())
        waiting = raw["internal"][:, _WAITS].any(1)
        if self._menus_stay:
            waiting &= raw["program_state"][:, 0] == 1
        for index in np.flatnonzero(waiting).tolist():
            inner = inners[index]
            _, over[index] = inner._perform_known_steps(inner.last_observation, over[index])
            loud.append(index)
        self._steps += 1
        self._show(loud)
        status = self._status(over)
        return self._outcome(before, stats, status)

    def render(self, index: int) -> str:
        """One game as text."""
        return self._environments[index].render()

    def close(self) -> None:
        """End the games and free their memory."""
        for env in self._environments:
            env.close()

    def _show(self, loud: list[int]) -> None:
        """Refresh what the games do not write themselves."""
        if (blstats := self._shown.get("blstats")) is not None:
            np.copyto(blstats, self._raw["blstats"], casting="same_kind")
        if self._packs:
            self._shown[PACKED_COLORS][:] = pack_nibbles(self._raw["colors"].reshape(len(self._inners), -1))
        for index in {*loud, *self._loud}:
            self._environments[index].hear()
        self._loud = loud

    def _status(self, over: NDArray[np.bool_]) -> dict[int, Any]:
        """How episodes ended, by index: NLE's word for it."""
        may_end = over | (self._steps >= self._limit)
        if self._goal_reward is not None:
            may_end[:] = True
        status = {}
        for index in np.flatnonzero(may_end).tolist():
            inner = self._inners[index]
            inner._steps = int(self._steps[index])
            if how := inner._get_end_status(inner.last_observation, bool(over[index])):
                status[index] = how
        return status

    def _outcome(self, before: NDArray[Any], now: NDArray[Any], status: Mapping[int, Any]) -> Outcome:
        n = len(self._inners)
        reward, discount, last = np.zeros(n), np.ones(n, np.float32), np.zeros(n, np.bool_)
        if self._goal_reward is None:
            reward += now[:, Blstat.SCORE] - before[:, Blstat.SCORE]
            for index in np.flatnonzero(reward).tolist():
                if not self._games[index].in_normal_game():
                    reward[index] = 0.0
        success = {}
        for index, how in status.items():
            last[index] = True
            discount[index], told = self._environments[index].ended(how)
            if told is not None:
                success[index] = told
                reward[index] = told * (self._goal_reward or 0.0)
        reward += np.where(now[:, Blstat.TIME] == before[:, Blstat.TIME], self._penalty, 0.0)
        return Outcome(reward.astype(np.float32), discount, last, success)


def make_nethack_ensemble(task: str, n: int, *, penalty_mode: str = "constant", **options: Any) -> Any:
    """Games of a NetHack task that step together; None where their reward is not one that is known here.

    Args:
        task: as of `make_nethack`.
        n: how many.
        penalty_mode: NLE's; only the constant one is known here.
        **options: of `make_nethack`.
    """
    if penalty_mode != "constant":
        return None
    return NetHackEnsemble([make_nethack(task, **options) for _ in range(n)])
