"""NetHack by NLE, behind the `Environment` contract. The only file that imports `nle`.

What NLE does that a learner must not see is mended here:

- `reset(seed=…)` is ignored: the seed is set on the game, for play, display and level generation, with reseeding off
  and the moon's phase fixed.
- The step limit is reported as a termination, hides a success in the same step, and quits the game, which overwrites
  the last observation: here it is a truncation, comes second, and leaves the observation alone.
- `--More--` is dismissed unseen, and with it the messages before: here they are joined into one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from nle import nethack
from nle.env import tasks
from nle.env.base import NLE
from nle.nethack.nethack import DLPATH
from numpy.typing import NDArray

from envs.blstats import BLSTATS_SIZE, Blstat
from envs.frames import render_frame
from envs.packing import MAP_CELLS, pack_nibbles
from envs.shared_code import share_code
from envs.specs import ArraySpec, Discrete, EnvSpec
from envs.timestep import TimeStep, restart, termination, transition, truncation

OBSERVATION_KEYS = ("chars", "blstats", "message")
EXTENDED_COMMANDS = ("CAST", "QUAFF", "PRAY", "PICKUP", "PAY")
PACKED_COLORS = "packed_colors"
_MESSAGE_SIZE: int = nethack.OBSERVATION_DESC["message"]["shape"][0]
NOT_AS_WRITTEN: dict[str, Any] = {  # shape and dtype of what is shown otherwise than the game writes it
    "blstats": ((BLSTATS_SIZE,), np.int32),
    "message": ((_MESSAGE_SIZE,), np.uint8),
    PACKED_COLORS: (((MAP_CELLS + 1) // 2,), np.uint8),
}
_QUIT_KEYS = (0x80 | ord("q"), ord("y"))  # Meta-q and yes.
_PROMPT = re.compile(rb"\?\s*(\[.*\]\s*(\(.\)\s*)?)?$", re.DOTALL)


def join_messages(messages: Sequence[bytes]) -> bytes:
    """What was said during one step, as one message.

    Prompts that were answered within the step and the `Never mind.` that follows are left out where anything else was
    said; a prompt at the end stays, because the game waits for its answer.

    Args:
        messages: in the order in which the game showed them.
    """
    distinct = list(dict.fromkeys(filter(None, messages)))
    events = [m for m in distinct[:-1] if not _PROMPT.search(m)] + distinct[-1:]
    if len(events) > 1:
        events = [m for m in events if m != b"Never mind."] or events
    return b"  ".join(m.strip() for m in events)


class _Faithful:
    """Mixed into an NLE class: keeps every message and the last observation, and puts the task before the limit."""

    nethack: Any
    actions: Any
    StepStatus: Any
    last_observation: Any
    _steps: int
    _observation_keys: Sequence[str]
    _blstats_index: int
    _internal_index: int
    _program_state_index: int
    _allow_all_modes: bool
    step: Callable[..., Any]
    _reward_fn: Callable[..., Any]
    _perform_known_steps: Callable[..., Any]
    _is_episode_end: Callable[[Any], Any]
    _check_abort: Callable[[Any], bool]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.heard: list[bytes] = []
        self._plain = type(self).step is NLE.step
        super().__init__(*args, **kwargs)
        self._listen()

    def _listen(self) -> None:
        """Keep whatever the game says, also between two steps of ours."""
        game, core, heard = self.nethack, self.nethack._pynethack, self.heard
        message = game._obs_buffers["message"]

        def step(action: int) -> Any:
            core.step(action)
            if message[0]:
                heard.append(message.tobytes())
            return game._obs, core.done()

        game.step = step

    def advance(self, action: int) -> tuple[float, Any]:
        """What NLE's `step` does, without copying what nobody reads: about a third less time a step.

        Of the step before, NLE's rewards look at the status line alone. A class with a step of its own is left to it.

        Returns:
            The reward, and how the episode ended (false where it goes on).
        """
        if not self._plain:
            _, reward, _, _, info = self.step(action)
            return reward, info["end_status"]
        now = self.last_observation
        before = list(now)
        before[self._blstats_index] = now[self._blstats_index].copy()
        now, done = self.nethack.step(self.actions[action])
        waits = any(now[self._internal_index][1:4].tolist())  # for a key, a line, or an answer
        if waits and (not self._allow_all_modes or now[self._program_state_index][0] == 1):
            now, done = self._perform_known_steps(now, done)
        self._steps += 1
        self.last_observation = now
        status = self._get_end_status(now, done)
        return float(self._reward_fn(before, action, now, status)), status

    def _get_end_status(self, observation: Any, done: bool) -> Any:
        status = self._is_episode_end(observation)
        if not status and self._check_abort(observation):
            status = self.StepStatus.ABORTED
        return self.StepStatus(done or status) if done or status else self.StepStatus.RUNNING

    def write_into(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Let the game write these observations into `arrays` from now on; call it before the first episode."""
        game = self.nethack
        game._obs_buffers |= arrays
        game._obs = tuple(game._obs_buffers[name] for name in self._observation_keys)
        game._pynethack.set_buffers(**{name: game._obs_buffers[name] for name in self._observation_keys})
        self._listen()

    def _quit_game(self, observation: Any, done: bool) -> None:
        """Leave the game as it stands, for its last observation; `leave` quits it before the next one."""

    def leave(self) -> None:
        """Quit the running game: NetHack leaks some 2 kB with every game that is reset without being quit."""
        observation, done = self._perform_known_steps(self.last_observation, False, exceptions=False)
        for key in _QUIT_KEYS:
            if not done:
                observation, done = self.nethack.step(key)
        if not done:
            self._perform_known_steps(observation, done, exceptions=False)


@cache
def faithful(cls: type) -> type:
    """A subclass of an NLE environment class without the traps named above."""
    return type(cls.__name__, (_Faithful, cls), {})


class DepthTask(tasks.NetHackStaircase):
    """Reach a dungeon level: success when the depth is at least `depth`, whichever way down was taken.

    Args:
        depth: dungeon level to reach; the game starts on 1.
        goal_reward: paid on success, never clipped.
        **kwargs: of NLE's score task; frozen steps cost `penalty_step`.
    """

    def __init__(self, *, depth: int, goal_reward: float = 1.0, **kwargs: Any) -> None:
        self._depth, self.goal_reward = depth, goal_reward
        super().__init__(**kwargs)

    def _is_episode_end(self, observation: Any) -> Any:
        status = self.StepStatus
        reached = observation[self._blstats_index][Blstat.DEPTH] >= self._depth
        return status.TASK_SUCCESSFUL if reached else status.RUNNING

    def _reward_fn(self, last_observation: Any, action: int, observation: Any, end_status: Any) -> float:
        goal = self.goal_reward if end_status == self.StepStatus.TASK_SUCCESSFUL else 0.0
        return goal + float(self._get_time_penalty(last_observation, observation))


class OracleTask(tasks.NetHackOracle):
    """Stand next to the Oracle.

    Args:
        goal_reward: paid on success, never clipped.
        **kwargs: of NLE's score task; frozen steps cost `penalty_step`.
    """

    def __init__(self, *, goal_reward: float = 1.0, **kwargs: Any) -> None:
        self.goal_reward = goal_reward
        super().__init__(**kwargs)

    def _reward_fn(self, last_observation: Any, action: int, observation: Any, end_status: Any) -> float:
        goal = self.goal_reward if end_status == self.StepStatus.TASK_SUCCESSFUL else 0.0
        return goal + float(self._get_time_penalty(last_observation, observation))


def feature_name(glyph: int) -> str:
    """What a feature of the map is called, such as "closed door"; empty for monsters and objects."""
    if not nethack.glyph_is_cmap(glyph):
        return ""
    return str(nethack.symdef.from_idx(nethack.glyph_to_cmap(glyph)).explanation)


class NetHackEnvironment:
    """An NLE environment as an `Environment`.

    Observations: any of NLE's keys in NLE's shapes and dtypes, but `blstats` [27] as int32 (NLE bounds it so), and
    `packed_colors` [830] uint8: the 16 colours of the map, two cells a byte (see `envs.packing`). `success` is None for
    tasks without a goal.

    Args:
        inner: an instance of a `faithful` NLE class.
        keys: observations to expose.
        games: how many different games there are: seeds that agree modulo `games` begin the same one; None: any number.
    """

    def __init__(self, inner: Any, keys: Sequence[str] = OBSERVATION_KEYS, games: int | None = None) -> None:
        if games is not None and games < 1:
            raise ValueError(f"got games={games}; expected at least 1, or None for as many as there are seeds")
        self.inner, self._running, self._games = inner, False, games
        self._status = inner.StepStatus
        self._success_status = getattr(self._status, "TASK_SUCCESSFUL", None)
        self._live: dict[str, NDArray[Any]] = dict(zip(inner._observation_keys, inner.nethack._obs, strict=True))
        self._observation: dict[str, NDArray[Any]] = {}
        for key in keys:
            own = NOT_AS_WRITTEN.get(key)
            self._observation[key] = self._live[key] if own is None else np.zeros(*own)
        self._message = self._observation.get("message")
        self._blstats = self._observation.get("blstats")
        self._packed = self._observation.get(PACKED_COLORS)
        self._silent = True
        names = tuple(action_name(action) for action in inner.actions)
        self._spec = EnvSpec(
            observation={k: ArraySpec(v.shape, v.dtype.name) for k, v in self._observation.items()},
            action=Discrete(len(names)),
            action_names=names,
        )

    @property
    def spec(self) -> EnvSpec:
        """Observations and actions."""
        return self._spec

    def reset(self, seed: int) -> TimeStep:
        """Begin the game that `seed` determines."""
        if self._running:
            self.inner.leave()
        game = seed if self._games is None else seed % self._games
        core, display, levels = (int(word) for word in np.random.SeedSequence(game).generate_state(3))
        self.inner.seed(core, display, reseed=False, lgen=levels)
        self.inner.heard.clear()
        self.inner.reset()
        share_code(self.inner.nethack._dl.fileno(), DLPATH)  # each game is loaded anew
        self._running = True
        self._refresh()
        return restart(self._observation)

    def step(self, action: Any) -> TimeStep:
        """Press the action's key, and those that follow of themselves."""
        self.inner.heard.clear()
        reward, status = self.inner.advance(int(action))
        self._refresh()
        if not status:
            return transition(reward, self._observation)
        discount, success = self.ended(status)
        return (truncation if discount else termination)(reward, self._observation, success)

    def ended(self, status: Any) -> tuple[float, bool | None]:
        """Note that the episode ended with NLE's `status`; gives the discount, and whether the task was solved."""
        self._running = status != self._status.DEATH  # At a limit or a goal the game itself goes on.
        success = None if self._success_status is None else bool(status == self._success_status)
        return float(status == self._status.ABORTED), success

    def bind(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write observations straight into `arrays`, of the spec's shapes and types; call it before the first reset."""
        self.share({k: arrays[k] for k, v in self._observation.items() if v is self._live.get(k)})
        self._observation = dict(arrays)
        self._message, self._blstats = arrays.get("message"), arrays.get("blstats")
        self._packed = arrays.get(PACKED_COLORS)

    def share(self, raw: Mapping[str, NDArray[Any]]) -> None:
        """Let the game write these of NLE's own observations into `raw`; call it before the first reset."""
        self.inner.write_into(dict(raw))
        self._live |= raw

    def render(self) -> str:
        """Message, map and status as text."""
        return render_frame({key: self._live[key] for key in OBSERVATION_KEYS} | self._observation)

    def close(self) -> None:
        """End the game and free its memory."""
        self.inner.close()

    def _refresh(self) -> None:
        if self._blstats is not None:
            np.copyto(self._blstats, self._live["blstats"], casting="same_kind")
        if self._packed is not None:
            self._packed[:] = pack_nibbles(self._live["colors"].reshape(-1))
        self.hear()

    def hear(self) -> None:
        """Show what was said during the step, and nothing where nothing was."""
        heard = self.inner.heard
        if self._message is None or (self._silent and not heard):
            return
        said = heard[0] if len(heard) == 1 else join_messages([raw.rstrip(b"\0") for raw in heard])[: _MESSAGE_SIZE - 1]
        self._message[:] = np.frombuffer(said.ljust(_MESSAGE_SIZE, b"\0"), np.uint8)
        self._silent = not heard


def check_keys(keys: Sequence[str]) -> None:
    """Refuse observations that NLE does not have, before a game is made.

    Raises:
        ValueError: names them, and those that it has.
    """
    known = {*nethack.OBSERVATION_DESC, PACKED_COLORS}
    if unknown := [key for key in keys if key not in known]:
        raise ValueError(f"got observation keys {unknown}; expected some of {sorted(known)}")


def game_keys(keys: Sequence[str]) -> tuple[str, ...]:
    """Which of NLE's observations are needed to show `keys`."""
    named = ("colors" if key == PACKED_COLORS else key for key in keys)
    return tuple(dict.fromkeys((*OBSERVATION_KEYS, *named)))


def named_actions(names: Sequence[str]) -> tuple[Any, ...]:
    """The NLE actions of these names, as `action_name` writes them.

    Raises:
        ValueError: NLE knows no such action.
    """
    known = {action_name(action): action for action in nethack.ACTIONS}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"got actions {unknown}; expected some of {sorted(known)}")
    return tuple(known[name] for name in names)


def action_name(action: Any) -> str:
    """The name of an NLE action, such as `N`, `far N`, `SEARCH` or `DOWN`."""
    kind, name = type(action).__name__, getattr(action, "name", str(action))
    return f"far {name}" if kind == "CompassDirectionLonger" else str(name)


_TASKS: dict[str, Callable[..., Any]] = {
    "score": tasks.NetHackScore,
    "oracle": OracleTask,
    "depth": DepthTask,
}


def make_nethack(
    task: str,
    *,
    max_episode_steps: int | None = None,
    keys: Sequence[str] = OBSERVATION_KEYS,
    extended_actions: bool = False,
    character: str = "mon-hum-neu-mal",
    penalty_step: float = -0.01,
    **task_options: Any,
) -> NetHackEnvironment:
    """A NetHack task.

    Args:
        task: `score` (the reward is the change of the game's score), `oracle` or `depth`.
        max_episode_steps: the episode is truncated there; None for NLE's 5000.
        keys: observations to expose.
        extended_actions: adds cast, quaff, pray, pick up and pay to NLE's 23 task actions.
        character: role, race, alignment and gender as NLE writes them.
        penalty_step: added to the reward of every step in which the game's time stands still (NLE's default: -0.01).
        **task_options: `goal_reward` (oracle, depth) and `depth`.

    Raises:
        ValueError: the task or a key is unknown.
    """
    if task not in _TASKS:
        raise ValueError(f"got NetHack task {task!r}; expected one of {sorted(_TASKS)}")
    check_keys(keys)
    extra = named_actions(EXTENDED_COMMANDS) if extended_actions else ()
    inner = faithful(_TASKS[task])(
        observation_keys=game_keys(keys),
        actions=tasks.TASK_ACTIONS + extra,
        max_episode_steps=5000 if max_episode_steps is None else max_episode_steps,
        character=character,
        penalty_step=penalty_step,
        fix_moon_phase=True,
        **task_options,
    )
    return NetHackEnvironment(inner, keys)
