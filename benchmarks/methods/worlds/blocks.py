"""Blocks to be stacked: a puzzle whose sub-goals are in each other's way, and an agent that half knows what to do."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

COUNT = 5
TABLE = -1
Layout = tuple[int, ...]
"""Of each block, the block that it lies on, or TABLE."""
Move = tuple[int, int]
"""A block with nothing on it, and where it is put."""


def moves(layout: Layout) -> list[Move]:
    """What can be done."""
    free = [block for block in range(len(layout)) if block not in layout]
    places = [TABLE, *free]
    return [(block, place) for block in free for place in places if place not in (block, layout[block])]


def moved(layout: Layout, move: Move) -> Layout:
    """The layout after a move; the same where it cannot be done."""
    block, place = move
    if block in layout or place == block or (place != TABLE and place in layout):
        return layout
    return (*layout[:block], place, *layout[block + 1 :])


def distances(goal: Layout) -> dict[Layout, int]:
    """Moves from each layout to the goal; every move can be taken back, so they are those from the goal."""
    found, waiting = {goal: 0}, deque([goal])
    while waiting:
        layout = waiting.popleft()
        for move in moves(layout):
            after = moved(layout, move)
            if after not in found:
                found[after] = found[layout] + 1
                waiting.append(after)
    return found


def met(layout: Layout, goal: Layout) -> float:
    """Share of the blocks that lie where they should."""
    return sum(one == other for one, other in zip(layout, goal, strict=True)) / len(goal)


class Puzzle:
    """A start and a goal some moves away, and an agent whose errors are always the same ones."""

    def __init__(self, seed: int, far: int, sense: float = 1.0, error: float = 1.5, offered: int = 4) -> None:
        """Drawn from `seed`.

        Args:
            seed: of the puzzle and of the agent's errors.
            far: moves of the shortest plan.
            sense: how much the agent's logits of a move fall with the moves that remain after it.
            error: standard deviation of what else is in them, fixed for each layout and move.
            offered: moves that it proposes.
        """
        random = np.random.default_rng(seed)
        order = random.permutation(COUNT).tolist()
        below = dict(zip(order[1:], order[:-1], strict=True))
        self.goal: Layout = tuple(below.get(block, TABLE) for block in range(COUNT))  # a tower of all
        self.left = distances(self.goal)
        starts = [layout for layout, remain in self.left.items() if remain == far]
        self.start = starts[int(random.integers(len(starts)))]
        self._seed, self._sense, self._error, self._offered = seed, sense, error, offered
        self._said = dict[Layout, list[tuple[Move, float]]]()

    def proposed(self, layout: Layout) -> list[tuple[Move, float]]:
        """The agent's likeliest moves with their chances, of all that can be done."""
        if layout not in self._said:
            able = moves(layout)
            remain = np.array([self.left[moved(layout, move)] for move in able])
            own = np.random.default_rng([self._seed, *(place + 1 for place in layout)])
            logits = -self._sense * remain + self._error * own.normal(size=len(able))
            chances = np.exp(logits - logits.max())
            chances = chances / chances.sum()
            order = np.argsort(-chances)[: self._offered]
            self._said[layout] = [(able[k], float(chances[k])) for k in order]
        return self._said[layout]

    def imagined(
        self, layout: Layout, move: Move, accuracy: float, times: int, random: np.random.Generator
    ) -> list[Layout]:
        """What a model of the world tells, asked several times: the truth, no change, or what another move would do."""
        truth = moved(layout, move)
        others = [layout, *(after for other in moves(layout) if (after := moved(layout, other)) != truth)]
        told = random.random(times) < accuracy
        return [truth if right else others[int(random.integers(len(others)))] for right in told]

    def solved(self, plan: Sequence[Move]) -> bool:
        """Whether a plan comes by the goal in the real world."""
        layout = self.start
        for move in plan:
            layout = moved(layout, move)
            if layout == self.goal:
                return True
        return False
