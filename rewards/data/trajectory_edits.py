"""Hard negatives of trajectories: a right one with one thing wrong, made by rule.

| edit | what is wrong |
|---|---|
| `drop` | a step is left out |
| `swap` | two neighbouring steps change places |
| `repeat` | a step is done twice |
| `wrong_argument` | a call has another argument |
| `ignore_error` | what failed is not tried again, and all goes on as if it had not |

All else is as it was, so that style and end tell nothing, and length next to nothing. Steps that failed and those that
try them again stay together: only `ignore_error` touches them.

Source: Plan-RewardBench (Wang et al. 2026), rule-based perturbations; which rules, and that each makes one change, are
chosen here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Step(NamedTuple):
    """One step of an agent.

    Attributes:
        tool: that is called; an answer or a refusal is a tool, too.
        argument: of the call.
        failed: whether it ended in an error.
    """

    tool: str
    argument: str = ""
    failed: bool = False


Trajectory = tuple[Step, ...]
Edit = Callable[[Trajectory, int, str], Trajectory]
"""From a trajectory, a place and an argument, another trajectory."""


def drop(steps: Trajectory, at: int, argument: str = "") -> Trajectory:
    """Leave one step out."""
    return steps[:at] + steps[at + 1 :]


def swap(steps: Trajectory, at: int, argument: str = "") -> Trajectory:
    """Exchange a step and the next."""
    return (*steps[:at], *steps[at : at + 2][::-1], *steps[at + 2 :])


def repeat(steps: Trajectory, at: int, argument: str = "") -> Trajectory:
    """Do one step twice."""
    return (*steps[: at + 1], *steps[at:])


def wrong_argument(steps: Trajectory, at: int, argument: str) -> Trajectory:
    """Call with another argument."""
    return (*steps[:at], steps[at]._replace(argument=argument), *steps[at + 1 :])


def ignore_error(steps: Trajectory, at: int, argument: str = "") -> Trajectory:
    """Leave out what follows a step that failed, which is the same step again."""
    return drop(steps, at + 1)


EDITS: Mapping[str, Edit] = {
    "drop": drop,
    "swap": swap,
    "repeat": repeat,
    "wrong_argument": wrong_argument,
    "ignore_error": ignore_error,
}


def places(steps: Trajectory, edit: str) -> list[int]:
    """Where an edit can be made, so that it leaves something wrong.

    The last step ends the trajectory and stays the last one. Two that are alike are not exchanged.

    Raises:
        ValueError: an edit that there is not.
    """
    if edit not in EDITS:
        raise ValueError(f"got edit {edit!r}; expected one of {sorted(EDITS)}")
    plain = [not one.failed and not (t and steps[t - 1].failed) for t, one in enumerate(steps)]
    if edit == "ignore_error":
        return [t for t in range(len(steps) - 1) if steps[t].failed and steps[t + 1] == steps[t]._replace(failed=False)]
    if edit == "swap":
        return [t for t in range(len(steps) - 2) if plain[t] and plain[t + 1] and steps[t] != steps[t + 1]]
    return [t for t in range(len(steps) - 1) if plain[t]]


def hard_negative(
    steps: Trajectory, edit: str, arguments: Sequence[str], random: np.random.Generator
) -> Trajectory | None:
    """A right trajectory with one edit, in a place drawn at random; None where there is no place for it.

    Args:
        steps: of the right one.
        edit: a key of EDITS.
        arguments: that calls may have, two of them at least.
        random: draws the place, and the wrong argument.

    Raises:
        ValueError: an edit that there is not, or fewer than two arguments.
    """
    if len(set(arguments)) < 2:
        raise ValueError(f"got arguments {list(arguments)}; expected two at least, so that one of them is wrong")
    free = places(steps, edit)
    if not free:
        return None
    at = free[int(random.integers(len(free)))]
    wrong = [one for one in arguments if one != steps[at].argument]
    return EDITS[edit](steps, at, wrong[int(random.integers(len(wrong)))])
