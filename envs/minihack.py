"""MiniHack by its registered ids, behind the `Environment` contract. The only file that imports `minihack`.

The observations are those of `envs.nethack`, so one policy plays both.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Sequence
from functools import cache
from typing import Any

from envs.nethack import OBSERVATION_KEYS, NetHackEnvironment, check_keys, faithful, feature_name, named_actions

_NEEDED = ("glyphs", "blstats", "message", "program_state", "internal", "chars", "inv_strs", "inv_letters")

# Key rooms of sizes between those that MiniHack registers, by MiniHack's own generator: S5 is found by chance, S15 is
# out of reach of small budgets.
_KEY_ROOM = "minihack.envs.keyroom:MiniHackKeyRoom"
_SIZES = [
    ("MiniHack-KeyRoom-S8-v0", _KEY_ROOM, {"room_size": 8, "subroom_size": 2, "lit": True, "max_episode_steps": 250}),
    ("MiniHack-KeyRoom-S10-v0", _KEY_ROOM, {"room_size": 10, "subroom_size": 3, "lit": True, "max_episode_steps": 300}),
    (
        "MiniHack-KeyRoom-Dark-S10-v0",
        _KEY_ROOM,
        {"room_size": 10, "subroom_size": 3, "lit": False, "max_episode_steps": 300},
    ),
]


@cache
def _registry() -> Any:
    """Gymnasium's registry, with MiniHack's environments in it.

    MiniHack asks setuptools' `pkg_resources` where files lie; newer versions of setuptools are without it, and older
    ones warn. A stand-in answers while MiniHack is imported.
    """
    stand_in = types.ModuleType("pkg_resources")

    def resource_filename(package: str, name: str) -> str:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"package {package!r} is not installed")
        return os.path.join(os.path.dirname(spec.origin), name)

    stand_in.resource_filename = resource_filename  # type: ignore[attr-defined]
    there = sys.modules.get("pkg_resources")
    sys.modules["pkg_resources"] = stand_in
    try:
        importlib.import_module("minihack")
    finally:
        if there is None:
            del sys.modules["pkg_resources"]
        else:
            sys.modules["pkg_resources"] = there
    registration = importlib.import_module("gymnasium.envs.registration")
    for id, entry_point, options in _SIZES:
        registration.register(id=id, entry_point=entry_point, kwargs=options)
    return registration.registry


def minihack_ids() -> list[str]:
    """Every MiniHack environment that this installation knows."""
    return sorted(name for name in _registry() if name.startswith("MiniHack-"))


class _FeaturesByGlyph:
    """Mixed into a MiniHack class: names the features of the map (doors, stairs) by their glyph.

    MiniHack reads NLE's `screen_descriptions`, 133 kB that are filled and copied twice in every step. Where only
    features are asked for, as by the key rooms, the glyph says the same.
    """

    last_observation: Any
    _glyph_index: int

    def get_screen_description(self, x: int, y: int, observation: Any = None) -> str:
        observation = self.last_observation if observation is None else observation
        glyph = int(observation[self._glyph_index][y, x])
        return feature_name(glyph)


def _trim(inner: Any, keys: Sequence[str]) -> None:
    """Let NLE fill, and MiniHack copy, only what is used: about four times the steps per second.

    Environments whose goal reads other observations (reward managers, a goal of their own) are left alone.
    """
    base = importlib.import_module("minihack.base").MiniHack
    if inner.reward_manager is not None or type(inner)._is_episode_end is not base._is_episode_end:
        return
    game = inner.nethack
    buffers = {k: v for k, v in game._obs_buffers.items() if k in {*_NEEDED, *keys}}
    names = list(buffers)
    game._pynethack.set_buffers(**buffers)
    game._obs, inner._observation_keys = tuple(buffers.values()), names
    for name in ("glyph", "blstats", "message", "program_state", "internal"):
        setattr(inner, f"_{name}_index", names.index("glyphs" if name == "glyph" else name))
    inner._scr_descr_index = None  # Whoever asks for it after all gets an error, not another observation.
    inner._original_observation_keys = OBSERVATION_KEYS
    inner._original_indices = tuple(names.index(key) for key in OBSERVATION_KEYS)


def make_minihack(
    id: str,
    *,
    max_episode_steps: int | None = None,
    keys: Sequence[str] = OBSERVATION_KEYS,
    actions: Sequence[str] | None = None,
    games: int | None = None,
    **options: Any,
) -> NetHackEnvironment:
    """A MiniHack environment.

    Args:
        id: as registered, such as `MiniHack-KeyRoom-S5-v0`.
        max_episode_steps: the episode is truncated there; None keeps the environment's own limit.
        keys: observations to expose, of NLE's.
        actions: names of the actions to allow, such as `N`, `KICK`, `APPLY`; None keeps the environment's own.
        games: how many different levels there are; None: a new one each episode.
        **options: of the MiniHack class, such as `reward_win`, `penalty_step`, `character`.

    Raises:
        ValueError: MiniHack knows no such id, key or action.
    """
    registry = _registry()
    if id not in registry:
        raise ValueError(f"got MiniHack id {id!r}; expected one of {', '.join(minihack_ids())}")
    check_keys(keys)
    entry = registry[id]
    module, _, name = str(entry.entry_point).partition(":")
    cls: Any = getattr(importlib.import_module(module), name)
    if max_episode_steps is not None:
        options["max_episode_steps"] = max_episode_steps
    if actions is not None:
        options["actions"] = named_actions(actions)
    inner: Any = faithful(_by_glyph(cls))
    inner = inner(observation_keys=OBSERVATION_KEYS, fix_moon_phase=True, **{**entry.kwargs, **options})
    _trim(inner, keys)
    return NetHackEnvironment(inner, keys, games)


@cache
def _by_glyph(cls: Any) -> Any:
    key_door = importlib.import_module("minihack.envs.keyroom").MiniHackKeyDoor
    return type(cls.__name__, (_FeaturesByGlyph, cls), {}) if issubclass(cls, key_door) else cls
