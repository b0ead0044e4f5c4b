"""A ball in a room with a wall, whose flight may break in four ways, each for some steps.

It flies straight on and bounces off the sides of the room, [0, 1]², and off a wall across it, from x = 0.4 to 0.6. For
a few steps it may be shown elsewhere (teleport), stay where it is (freeze) or be three times as fast (velocity jump);
or it flies into the wall, and is broken until it comes out on the other side. In lessons a flight breaks once at most.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TELEPORT, CROSSING, FREEZE, JUMP = 1, 2, 3, 4
"""What may be asked for at a step, besides 0: to obey."""
KINDS, STEPS, FEATURES = 4, 24, 4
WALL = (0.4, 0.6)
SHORTEST, LONGEST, FASTER = 3, 6, 3.0
"""Steps for which it breaks, but for a crossing; and how much faster it is in a velocity jump."""
NOISE = 0.01
"""Deviation of what is seen of a place."""


class Flights(NamedTuple):
    """Flights, and what was wrong with them.

    Attributes:
        seen: where the ball is seen, and how that has changed `[B, T, FEATURES]`.
        kind: in which way it broke, 0 where it did not `[B]`.
        spans: first and last step at which it was broken `[B, 2]`; −1 and −1 where it was not.
    """

    seen: Floats
    kind: Ints
    spans: Ints


def fly(asked: Ints, random: np.random.Generator, once: bool = False) -> Flights:
    """What comes of what is asked for.

    Args:
        asked: at each step, 0 or a way to break `[B, T]`; nothing comes of it while the flight is broken, nor of a
            crossing where there is no wall ahead.
        random: of starts, lengths and what is seen.
        once: whether nothing comes of it either when it has broken before; else the last break is told of.
    """
    count, steps = len(asked), int(asked.shape[1])
    left = random.random(count) < 0.5
    x = random.uniform(0.0, WALL[0], count) + np.where(left, 0.0, WALL[1])
    y = random.random(count)
    sign = random.choice([-1.0, 1.0], (2, count))
    dx, dy = sign[0] * random.uniform(0.03, 0.07, count), sign[1] * random.uniform(0.0, 0.07, count)
    shift, length = random.uniform(0.3, 0.7, count), random.integers(SHORTEST, LONGEST + 1, count)
    kind, broken = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    spans, shown = np.full((count, 2), -1), np.empty((count, steps, 2))
    for t in range(steps):
        broken &= (kind == CROSSING) | (t - spans[:, 0] < length)
        ahead = np.where(left, x + dx > WALL[0], x + dx < WALL[1])
        free = kind == 0 if once else ~broken
        breaks = free & (asked[:, t] > 0) & ((asked[:, t] != CROSSING) | ahead)
        kind, broken = np.where(breaks, asked[:, t], kind), broken | breaks
        spans[:, 0] = np.where(breaks, t, spans[:, 0])
        pace = np.where(broken & (kind == FREEZE), 0.0, np.where(broken & (kind == JUMP), FASTER, 1.0))
        through = broken & (kind == CROSSING)
        low, high = np.where(left | through, 0.0, WALL[1]), np.where(left & ~through, WALL[0], 1.0)
        x, dx = _bounced(x + pace * dx, dx, low, high)
        y, dy = _bounced(y + pace * dy, dy, np.zeros(count), np.ones(count))
        out = through & ((x < WALL[0]) | (x > WALL[1]))
        broken, left = broken & ~out, np.where(out, x < WALL[0], left)
        spans[:, 1] = np.where(broken, t, spans[:, 1])
        shown[:, t, 0], shown[:, t, 1] = x, np.where(broken & (kind == TELEPORT), (y + shift) % 1.0, y)
    shown += NOISE * random.standard_normal(shown.shape)
    change = np.diff(shown, axis=1, prepend=shown[:, :1])
    return Flights(np.concatenate([2 * shown - 1, 10 * change], 2), kind, spans)


def lessons(random: np.random.Generator, number: int) -> Flights:
    """Flights of which about half are sound; the others break in any way, with equal chances, from any step on."""
    kind = np.where(random.random(number) < 0.5, 0, random.integers(1, KINDS + 1, number))
    # A crossing is asked for from the first step on, as there is seldom a wall ahead.
    onset = np.where(kind == CROSSING, 0, random.integers(0, STEPS, number))
    return fly(np.where(np.arange(STEPS) >= onset[:, None], kind[:, None], 0), random, once=True)


def _bounced(place: Floats, pace: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Where it is, and where it goes, once it has bounced off the sides."""
    inside = np.clip(place, low, high)
    return 2 * inside - place, np.where(inside == place, pace, -pace)
