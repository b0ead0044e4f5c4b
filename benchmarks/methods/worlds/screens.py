"""Screens to be gone through, one of which shows a code that a later one asks for, and an agent that may take notes.

On most screens one action is right, always the same. Where the code is shown, another one is; where it is asked for,
the action is the code, and no longer to be seen. With each action the agent may write a note, and sees the latest one
of its history. Those who recorded how it is done knew what to do, and wrote no notes.
"""

from __future__ import annotations

from copy import copy

import numpy as np
from numpy.typing import NDArray

from actors.semi_online import Rollouts, Steps, follow
from benchmarks.methods.worlds.menu import softmax

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
PLAIN, CODES, ACTIONS = 8, 4, 6
ASKED = PLAIN + CODES
"""The screen that asks for the code; the CODES screens before it show one each."""
SCREENS, NOTES = ASKED + 1, 1 + CODES
"""Note 0 is none."""
LENGTH, SHOWN, SLACK = 7, 1, 1
"""Steps of a task, where in it the code is shown, and steps that may be wasted in the world."""
ACTION, NOTE = 0, 1


class Tasks:
    """Recorded tasks: screens `[n, LENGTH]`, and the expert's steps, an action and no note `[n, LENGTH, 2]`."""

    def __init__(self, seed: int, random: np.random.Generator, number: int) -> None:
        """Tasks of the world of `seed`, drawn by `random`."""
        right = np.random.default_rng(seed).integers(0, ACTIONS, SCREENS)
        code = random.integers(0, CODES, number)
        self.screens = random.integers(0, PLAIN, (number, LENGTH))
        self.screens[:, SHOWN] = PLAIN + code
        asked = random.integers(SHOWN + 2, LENGTH, number)
        self.screens[np.arange(number), asked] = ASKED
        self.expert = np.zeros((number, LENGTH, 2), np.int64)
        self.expert[..., ACTION] = np.where(self.screens == ASKED, code[:, None], right[self.screens])

    def __len__(self) -> int:
        """How many there are."""
        return len(self.screens)

    def repeated(self, times: int) -> Tasks:
        """Each task so many times, one behind another."""
        found = copy(self)
        found.screens, found.expert = (np.repeat(of, times, axis=0) for of in (self.screens, self.expert))
        return found


def same_action(done: Steps, expert: Steps) -> Bools:
    """Whether steps `[R, 2]` do the same, whatever is noted."""
    return np.asarray(done[:, ACTION] == expert[:, ACTION])


def latest(notes: Ints) -> Ints:
    """The latest note of each history `[R, t]`; 0 where there is none."""
    found = np.zeros(len(notes), np.int64)
    for t in range(notes.shape[1]):
        found = np.where(notes[:, t] > 0, notes[:, t], found)
    return found


class Agent:
    """Tables of logits over actions and over notes, by what is on the screen and what was noted."""

    def __init__(self, seed: int, skill: float = 3.5) -> None:
        """Who mostly knows what is right on a screen that tells; `skill` is its logit."""
        self.action = np.zeros((SCREENS, NOTES, ACTIONS))
        right = np.random.default_rng(seed).integers(0, ACTIONS, SCREENS)
        self.action[np.arange(ASKED), :, right[:ASKED]] = skill
        self.note = np.zeros((SCREENS, NOTES, NOTES))
        self.note[..., 0] = 1.0

    def act(self, screen: Ints, noted: Ints, random: np.random.Generator) -> Ints:
        """An action and a note for each screen `[R, 2]`."""
        drawn = [
            (softmax(table[screen, noted]).cumsum(-1) > random.random((len(screen), 1))).argmax(-1)
            for table in (self.action, self.note)
        ]
        return np.stack(drawn, -1)

    def ascend(self, screen: Ints, noted: Ints, done: Ints, gain: Floats, rate: float) -> None:
        """One step along Σ gain · ∇ log π of steps `[S, 2]`; a gain for the action and one for the note `[S, 2]`."""
        for part, table in ((ACTION, self.action), (NOTE, self.note)):
            step, chances = np.zeros_like(table), softmax(table[screen, noted])
            np.add.at(step, (screen, noted, done[:, part]), gain[:, part])
            np.add.at(step, (screen, noted), -gain[:, part, None] * chances)
            table += rate * step

    def along(self, tasks: Tasks, patches: int | None, random: np.random.Generator) -> Rollouts:
        """Its rollouts along recorded tasks."""

        def act(step: int, rows: Ints, history: Steps) -> Steps:
            return self.act(tasks.screens[rows, step], latest(history[..., NOTE]), random)

        return follow(act, tasks.expert, np.full(len(tasks), LENGTH), same_action, patches)


class Lived:
    """Rollouts in the world, where a wrong action changes nothing: what was seen, noted and done, and who got through.

    Attributes:
        screen: `[B, L]`, and `noted`, what the agent had noted by then.
        done: actions and notes `[B, L, 2]`.
        going: whether the task was still to be done `[B, L]`.
        through: whether it was in the end `[B]`.
    """

    def __init__(self, agent: Agent, tasks: Tasks, random: np.random.Generator) -> None:
        """Let an agent do tasks, with SLACK steps more than they need."""
        shape, rows = (len(tasks), LENGTH + SLACK), np.arange(len(tasks))
        self.screen, self.noted = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self.done, self.going = np.zeros((*shape, 2), np.int64), np.zeros(shape, np.bool_)
        at, noted = np.zeros(len(tasks), np.int64), np.zeros(len(tasks), np.int64)
        for t in range(shape[1]):
            here = np.minimum(at, LENGTH - 1)
            self.screen[:, t], self.noted[:, t], self.going[:, t] = tasks.screens[rows, here], noted, at < LENGTH
            self.done[:, t] = agent.act(self.screen[:, t], noted, random)
            noted = np.where(self.done[:, t, NOTE] > 0, self.done[:, t, NOTE], noted)
            at = at + (self.going[:, t] & same_action(self.done[:, t], tasks.expert[rows, here]))
        self.through = at == LENGTH
