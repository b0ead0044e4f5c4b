"""`Ahead`: samples drawn before they are asked for, several at once, for as long as nothing changes what may be drawn.

Most of what a draw costs is calls, and a call for many samples costs little more than one for a single one. What was
drawn and not asked for is forgotten when anything changes; that depends on no draw, so that chance stays fair.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from learners.replay.drawing import draw
from learners.replay.state import State
from learners.replay.tables import Slots
from learners.replay.units import Pieces

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_MOST = 64  # samples that are drawn at once


class Drawn(NamedTuple):
    """The items of a sample that has not been decided.

    Attributes:
        ids: of the items, in order, `[n]`.
        probabilities: of each, `[n]`.
        slots: where they are, `[n]`.
        pieces: their steps.
    """

    ids: Ints
    probabilities: Floats
    slots: Slots
    pieces: Pieces


class Ahead:
    """Draws from a state that it never changes, but for the order within its sampler."""

    def __init__(self, state: State, rng: np.random.Generator) -> None:
        """Nothing is drawn.

        Args:
            state: of the replay.
            rng: where chance comes from.
        """
        self._state, self._rng = state, rng
        # Items that may be drawn a limited number of times are others after each sample.
        self._is_free = state.config.max_times_sampled is None
        self._drawn: list[Drawn] = []  # the next one last
        self._under = -1, 0  # the changes of the state, and the size, that they were drawn under
        self._many = 1

    def draw(self, size: int) -> Drawn:
        """The next sample; there may be fewer items than `size`."""
        if self._under != (under := (self._state.changes, size)):
            self._under, self._many = under, 1
            self._drawn.clear()
        if not self._drawn:
            self._drawn = self._draw(size, self._many)
            self._drawn.reverse()
            if self._is_free:
                self._many = min(2 * self._many, _MOST)  # as many as were asked for since the last change
        return self._drawn.pop()

    def _draw(self, size: int, many: int) -> list[Drawn]:
        state = self._state
        slots, probabilities = draw(state, size, self._rng, many)
        ids, pieces = state.items["id"][slots], state.unit.pieces(slots)
        if many == 1:
            return [Drawn(ids, probabilities, slots, pieces)]

        def each(column: NDArray[Any]) -> NDArray[Any]:
            return column.reshape(many, -1)

        if len(pieces.row) == len(slots):
            lines = np.arange(len(slots) // many)
            columns = zip(each(pieces.row), each(pieces.start), each(pieces.steps), strict=True)
            longest = int(pieces.steps.max(initial=0))
            is_whole = not pieces.start.any() and bool((pieces.steps == longest).all())
            steps = [Pieces(lines, lines, *column, len(lines), longest if is_whole else 0) for column in columns]
        else:  # items of several pieces
            steps = [state.unit.pieces(part) for part in each(slots)]
        return list(map(Drawn, each(ids), each(probabilities), each(slots), steps))
