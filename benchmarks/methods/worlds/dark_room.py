"""A dark room: a grid with a goal that cannot be seen, paid for each step on it, and histories of finding it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SIZE, EPISODES, LENGTH = 5, 4, 8
STEPS = EPISODES * LENGTH
MOVES = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
FEATURES = 2 * SIZE + len(MOVES) + 2
"""Of a step: where one is, what was done before, whether that was paid, and whether an episode begins."""


def goals() -> Ints:
    """All places but the one in the middle, where episodes begin `[G, 2]`."""
    found = np.stack(np.meshgrid(*[np.arange(SIZE)] * 2, indexing="ij"), -1).reshape(-1, 2)
    return np.asarray(found[(found != SIZE // 2).any(1)])


class Rooms:
    """Some rooms that are walked through at once, episode after episode."""

    def __init__(self, goal: Ints) -> None:
        """Rooms with goals `[B, 2]`, at the beginning of the first episode."""
        self.goal, self.step = goal, 0
        self.place = np.full_like(goal, SIZE // 2)
        self.done, self.paid = np.zeros(len(goal), np.int64), np.zeros(len(goal))

    def seen(self) -> Floats:
        """What is seen `[B, FEATURES]`."""
        eye, begins = np.eye(SIZE), self.step % LENGTH == 0
        before = np.eye(len(MOVES))[self.done] * (not begins)
        last = np.stack([self.paid, np.full(len(self.goal), float(begins))], 1)
        return np.concatenate([eye[self.place[:, 0]], eye[self.place[:, 1]], before, last], 1)

    def act(self, actions: Ints) -> Floats:
        """Take a step each; what it is paid `[B]`. After the last one of an episode all are in the middle again."""
        place = np.clip(self.place + MOVES[actions], 0, SIZE - 1)
        paid = np.asarray((place == self.goal).all(1), np.float64)
        self.step += 1
        self.done, self.paid = actions, paid
        self.place = np.full_like(place, SIZE // 2) if self.step % LENGTH == 0 else place
        return paid

    def best(self, random: np.random.Generator) -> Ints:
        """A shortest way's next action `[B]`, along either axis."""
        apart = self.goal - self.place
        first = np.where(apart[:, 0] > 0, 1, 2)
        second = np.where(apart[:, 1] > 0, 3, 4)
        along_first = (apart[:, 0] != 0) & ((apart[:, 1] == 0) | (random.random(len(apart)) < 0.5))
        return np.where((apart == 0).all(1), 0, np.where(along_first, first, second))


def histories(goal: Ints, random: np.random.Generator) -> tuple[Floats, Ints]:
    """What is seen `[B, STEPS, FEATURES]` and done `[B, STEPS]` by one who knows the goal ever better.

    At first all is done at random, at last nothing; in between ever less, step by step.
    """
    rooms, seen, done = Rooms(goal), [], []
    for step in range(STEPS):
        seen.append(rooms.seen())
        by_chance = random.random(len(goal)) < 1 - step / (STEPS - 1)
        done.append(np.where(by_chance, random.integers(0, len(MOVES), len(goal)), rooms.best(random)))
        rooms.act(done[-1])
    return np.stack(seen, 1), np.stack(done, 1)
