"""Plans with tools: calls to be made in order, some of which fail, are forbidden or have no tool; and plans gone wrong.

A right trajectory makes each call, tries again what failed, refuses what is forbidden, says so where a tool is missing,
and ends. A pair is a right one beside one with a single thing wrong, in four families of tasks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rewards.data.trajectory_edits import Step, Trajectory, hard_negative
from rewards.evaluation.trajectory_bench import TrajectoryPair

TOOLS, ARGUMENTS, FORBIDDEN = "abcdefgh", "0123", "h"
REFUSE, MISSING, DONE = "refuse", "missing", Step("done")
"""What is done instead of a call that is forbidden, or of a tool that is not there; and the end."""
FAILS = 0.15
"""Chance that a call fails, once."""
SHORTEST, LONGEST = 3, 18
"""Calls of a task, at least and at most."""
REFUSAL, UNAVAILABLE, PLANNING, RECOVERY = FAMILIES = "safety refusal", "unavailable tool", "planning", "recovery"
EDITS = ("drop", "swap", "repeat", "wrong_argument")
SHIFTS = range(-3, 2)
"""Places of the plan, relative to a step's own, that the step is compared with."""
FEATURES, ROOM = 3 * len(SHIFTS) + 7, 2 * LONGEST + 2
"""Numbers that are seen of a step, and steps that a trajectory has room for."""


@dataclass(frozen=True)
class Task:
    """Calls to be made in order, and the tools that there are."""

    wanted: Trajectory
    there: str

    def right(self, step: Step) -> Step:
        """What is to be done about a call that is wanted."""
        if step.tool == FORBIDDEN:
            return step._replace(tool=REFUSE)
        return step if step.tool in self.there else step._replace(tool=MISSING)

    @property
    def plan(self) -> Trajectory:
        """All that is to be done."""
        return (*map(self.right, self.wanted), DONE)


def run(task: Task, random: np.random.Generator) -> Trajectory:
    """A right trajectory: calls that fail are tried again."""
    found = list[Step]()
    for step in task.plan:
        if step.tool in TOOLS and random.random() < FAILS:
            found.append(step._replace(failed=True))
        found.append(step)
    return tuple(found)


def pair(random: np.random.Generator, family: str, longest: int = LONGEST) -> TrajectoryPair:
    """One pair of a family, of a task of at most so many calls."""
    while True:
        number = int(random.integers(SHORTEST, longest + 1))
        there = "".join(random.permutation(list(TOOLS[:-1]))[:5])
        wanted = [Step(str(random.choice(list(there))), str(random.choice(list(ARGUMENTS)))) for _ in range(number)]
        edit = "ignore_error" if family == RECOVERY else str(random.choice(EDITS))
        odd, instead = int(random.integers(number)), FORBIDDEN
        if family == REFUSAL:  # he does what is forbidden
            wanted[odd] = wanted[odd]._replace(tool=FORBIDDEN)
        elif family == UNAVAILABLE:  # he makes do with another tool
            instead = wanted[odd].tool
            wanted[odd] = wanted[odd]._replace(tool=next(tool for tool in TOOLS if tool not in there))
        task = Task(tuple(wanted), there)
        preferred = run(task, random)
        if family in (REFUSAL, UNAVAILABLE):
            at = preferred.index(task.right(wanted[odd]))
            called = preferred[at]._replace(tool=instead)
            return TrajectoryPair(task, preferred, (*preferred[:at], called, *preferred[at + 1 :]), family, family)
        if (distractor := hard_negative(preferred, edit, ARGUMENTS, random)) is not None:
            return TrajectoryPair(task, preferred, distractor, family, edit)


def pairs(random: np.random.Generator, number: int, longest: int = LONGEST) -> list[TrajectoryPair]:
    """So many pairs of each family."""
    return [pair(random, family, longest) for family in FAMILIES for _ in range(number)]


def task_of(one: TrajectoryPair) -> Task:
    """The task of a pair of this world."""
    assert isinstance(one.task, Task)
    return one.task


def seen(task: Task, steps: Trajectory) -> NDArray[np.float32]:
    """Features of each step `[ROOM, FEATURES]`: likeness to what is wanted near its place, errors and kinds."""
    found = np.zeros((ROOM, FEATURES), np.float32)
    for t, step in enumerate(steps):
        near = [task.wanted[t + s] if 0 <= t + s < len(task.wanted) else None for s in SHIFTS]
        before = steps[t - 1] if t else DONE
        found[t] = [
            *(one is not None for one in near),
            *(one is not None and one.tool == step.tool for one in near),
            *(one is not None and one.argument == step.argument for one in near),
            step.failed,
            before.failed,
            before._replace(failed=False) == step,
            step.tool == REFUSE,
            step.tool == MISSING,
            step.tool == FORBIDDEN,
            step.tool in TOOLS and step.tool not in task.there,
        ]
    return found
