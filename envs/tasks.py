"""The table of tasks. One line adds one.

    guerdon train task=minihack-keyroom-s5

Besides the table's names, `make_task` takes any MiniHack or Gymnasium id (`MiniHack-River-v0`, `CartPole-v1`), those
of EnvPool (`envpool/Pong-v5`), and any dotted path (`my_lab.mazes:Maze`) to an `Environment`, a Gymnasium environment,
or a function that returns a `Task`.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from envs.captions import NoCaptions, nethack_captioner
from envs.catch import Catch, CatchCaptioner, CatchPlayer
from envs.environment import Task
from envs.overseen import Overseen

EXPLORE = "explore and descend"
ENVPOOL = "envpool/"  # before the names of its environments
MAKE_PROGRESS = "make progress in the environment"


def load(path: str) -> Any:
    """The object at `module:name`.

    Raises:
        ValueError: the module or the name is not there.
    """
    module, _, name = path.partition(":")
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found
    except (ModuleNotFoundError, AttributeError) as error:
        raise ValueError(f"cannot load {path!r}: {error}; expected an importable 'package.module:Name'") from error


def call(path: str, *args: Any, **options: Any) -> Any:
    """Load an object when it is needed and call it: tasks travel by pickle and heavy libraries load late."""
    return load(path)(*args, **options)


def catch_task(goal: str = "get under the ball and catch it", **options: Any) -> Task:
    """The text grid world; options are those of `Catch`."""
    return Task(
        name="catch",
        summary="move a paddle under a falling ball",
        make=partial(Catch, **options),
        make_captioner=CatchCaptioner,
        goal=goal,
    )


def make_overseen_catch(
    shy: int = 1, steps: int = 3, notices: float = 0.95, errs: float = 0.05, **options: Any
) -> Overseen:
    """The text grid world with a player who takes over; `options` are those of `Catch`."""
    return Overseen(Catch(**options), CatchPlayer(shy), steps, notices, errs)


def overseen_catch_task(goal: str = "get under the ball and catch it", **options: Any) -> Task:
    """The text grid world with a player who takes over; options are those of `make_overseen_catch`."""
    return Task(
        name="catch-overseen",
        summary="the same beside a player who takes over",
        make=partial(make_overseen_catch, **options),
        make_captioner=CatchCaptioner,
        goal=goal,
    )


def nethack_task(name: str, summary: str, task: str, goal: str = EXPLORE, **options: Any) -> Task:
    """A NetHack task; options are those of `envs.nethack.make_nethack`."""
    make = partial(call, "envs.nethack:make_nethack", task, **options)
    ensemble = partial(call, "envs.nethack_ensemble:make_nethack_ensemble", task, **options)
    return Task(name, summary, make, nethack_captioner, goal, ensemble)


def minihack_task(id: str, name: str = "", summary: str = "", goal: str = EXPLORE, **options: Any) -> Task:
    """A MiniHack task; options are those of `envs.minihack.make_minihack`."""
    make = partial(call, "envs.minihack:make_minihack", id, **options)
    return Task(name=name or id, summary=summary or id, make=make, make_captioner=nethack_captioner, goal=goal)


def external_task(path: str, captioner: str = "", goal: str = MAKE_PROGRESS, **options: Any) -> Task:
    """An environment by Gymnasium id or dotted path.

    Args:
        path: `CartPole-v1` or `my_lab.mazes:Maze`.
        captioner: dotted path of a captioner's class; empty for no captions.
        goal: told to the judge.
        **options: of the environment.
    """
    return Task(
        name=path,
        summary=path,
        make=partial(call, "envs.gymnasium_env:make_external", path, **options),
        make_captioner=partial(call, captioner) if captioner else NoCaptions,
        goal=goal,
        make_ensemble=partial(call, "envs.gymnasium_ensemble:make_gymnasium_ensemble", path, **options),
    )


def envpool_task(id: str, captioner: str = "", goal: str = MAKE_PROGRESS, **options: Any) -> Task:
    """An environment of EnvPool, by its name there; options are those of `envs.envpool_ensemble`."""
    return Task(
        name=f"{ENVPOOL}{id}",
        summary=id,
        make=partial(call, "envs.envpool_ensemble:make_envpool", id, **options),
        make_captioner=partial(call, captioner) if captioner else NoCaptions,
        goal=goal,
        make_ensemble=partial(call, "envs.envpool_ensemble:make_envpool_ensemble", id, **options),
    )


_KEY_GOAL = "find the key, unlock the door and reach the stairs down"
_STAIRS_GOAL = "explore and reach the stairs down"
_WATER_GOAL = "push boulders into the water to cross the river and reach the stairs down"


def _nethack(name: str, summary: str, task: str, **options: Any) -> tuple[str, Callable[..., Task]]:
    return name, partial(nethack_task, name, summary, task, **options)


def _minihack(name: str, summary: str, id: str, goal: str = _STAIRS_GOAL) -> tuple[str, Callable[..., Task]]:
    return name, partial(minihack_task, id, name, summary, goal)


TASKS: dict[str, Callable[..., Task]] = dict(
    [
        ("catch", catch_task),
        ("catch-overseen", overseen_catch_task),
        # Reward-free score is this one with an extrinsic coefficient of 0: a matter of the recipe.
        _nethack("nethack-score", "raise the game's score", "score"),
        _nethack("nethack-oracle", "stand next to the Oracle", "oracle", goal="descend and find the Oracle"),
        _nethack("nethack-staircase", "reach dungeon level 2", "depth", depth=2, goal="find the stairs and descend"),
        _nethack("nethack-staircase-3", "reach dungeon level 3", "depth", depth=3, goal="find the stairs and descend"),
        _nethack("nethack-staircase-4", "reach dungeon level 4", "depth", depth=4, goal="find the stairs and descend"),
        _minihack("minihack-room-15x15", "cross a room", "MiniHack-Room-15x15-v0"),
        _minihack("minihack-keyroom-s5", "unlock a closet in a room", "MiniHack-KeyRoom-S5-v0", _KEY_GOAL),
        _minihack("minihack-keyroom-fixed-s5", "the same room each time", "MiniHack-KeyRoom-Fixed-S5-v0", _KEY_GOAL),
        _minihack("minihack-keyroom-dark-s5", "a room without light", "MiniHack-KeyRoom-Dark-S5-v0", _KEY_GOAL),
        _minihack("minihack-keyroom-s8", "a larger room", "MiniHack-KeyRoom-S8-v0", _KEY_GOAL),
        _minihack("minihack-keyroom-s10", "a larger room yet", "MiniHack-KeyRoom-S10-v0", _KEY_GOAL),
        _minihack("minihack-keyroom-dark-s10", "the same without light", "MiniHack-KeyRoom-Dark-S10-v0", _KEY_GOAL),
        _minihack("minihack-keyroom-s15", "a large room", "MiniHack-KeyRoom-S15-v0", _KEY_GOAL),
        _minihack("minihack-corridor-r2", "two rooms and corridors", "MiniHack-Corridor-R2-v0"),
        _minihack("minihack-corridor-r3", "three rooms and corridors", "MiniHack-Corridor-R3-v0"),
        _minihack("minihack-corridor-r5", "five rooms and corridors", "MiniHack-Corridor-R5-v0"),
        _minihack("minihack-exploremaze-easy", "a maze with apples", "MiniHack-ExploreMaze-Easy-v0"),
        _minihack("minihack-exploremaze-hard", "a larger maze with apples", "MiniHack-ExploreMaze-Hard-v0"),
        _minihack("minihack-mazewalk-9x9", "a maze", "MiniHack-MazeWalk-9x9-v0"),
        _minihack("minihack-river", "cross a river on boulders", "MiniHack-River-v0", _WATER_GOAL),
        _minihack("minihack-river-narrow", "cross a narrow river", "MiniHack-River-Narrow-v0", _WATER_GOAL),
        _minihack("minihack-quest-easy", "cross lava, pass a monster", "MiniHack-Quest-Easy-v0"),
        _minihack("minihack-lockeddoor", "kick a door open", "MiniHack-LockedDoor-v0"),
    ]
)


def make_task(name: str, **options: Any) -> Task:
    """A task by name.

    Args:
        name: of the table, a MiniHack or Gymnasium id, or a dotted path.
        **options: of the environment, among them `max_episode_steps`; and `goal`.

    Returns:
        The task; it can be pickled, and makes nothing before it is asked to.

    Raises:
        ValueError: the name or an option is unknown; the message says which are known.
    """
    if name in TASKS:
        factory: Callable[..., Task] = TASKS[name]
    elif name.startswith("MiniHack-"):
        known = call("envs.minihack:minihack_ids")
        if name not in known:
            raise ValueError(_unknown(name, [*TASKS, *known]))
        factory = partial(minihack_task, name)
    elif name.startswith(ENVPOOL):
        factory = partial(envpool_task, name.removeprefix(ENVPOOL))
    elif ":" in name:
        found = load(name)
        if inspect.isfunction(found) and inspect.signature(found).return_annotation in (Task, "Task"):
            return _checked(name, found, options)
        factory = partial(external_task, name)
    elif name in (known := call("envs.gymnasium_env:gymnasium_ids")):
        factory = partial(external_task, name)
    else:
        raise ValueError(_unknown(name, [*TASKS, *known]))
    return _checked(name, factory, options)


def _checked(name: str, factory: Callable[..., Task], options: dict[str, Any]) -> Task:
    task = factory(**options)
    if not isinstance(task, Task):
        raise ValueError(f"task {name!r}: got {type(task).__name__}; expected an envs.environment.Task")
    return task


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    nearest = f"; closest: {', '.join(close)}" if close else ""
    return (
        f"got task {name!r}{nearest}; expected one of {', '.join(TASKS)}, a MiniHack or Gymnasium id, or a dotted path "
        "'my_lab.mazes:Maze'. To add a task, add a line to TASKS in envs/tasks.py"
    )
