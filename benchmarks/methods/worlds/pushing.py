"""A point mass that pushes a box to a goal, one who can do it, and how badly he is seen.

A state is [p, v, b, w], place and velocity of the mass and of the box, which does not turn `[..., 8]`. Contact is a
spring at the nearest face: who starts inside of the box throws it off. Goals are to the right and above, so that a box
is first pushed from its left, and then from below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
HALF, STRONGEST, STIFF = 0.3, 0.15, 0.6
"""Half a side of the box, the largest force along an axis, and the stiffness of contact."""
MASS_KEEPS, BOX_KEEPS, NEAR = 0.6, 0.6, 0.1
"""Shares of their velocity that mass and box keep in a step, and how near to a goal along both axes is there."""
BIAS, JITTER, BOX_JITTER, DROPPED = 0.12, 0.07, 0.045, 0.3
"""What is seen: deviation of the mass's constant error, of its noise and the box's, and contacts that are not seen."""
Act = Callable[[int, Floats], Floats]
"""Forces `[N, 2]` at a step, in states `[N, 8]`."""


class Reference(NamedTuple):
    """What is seen of demonstrations: the mass and the box `[N, T + 1, 2]`, and whether they touch `[N, T + 1]`."""

    mass: Floats
    box: Floats
    contact: Bools


class Walk(NamedTuple):
    """States `[N, T + 1, 8]`, and what was meant to be done in all but the last `[N, T, 2]`."""

    states: Floats
    actions: Floats


def tasks(random: np.random.Generator, number: int) -> tuple[Floats, Floats]:
    """First states `[N, 8]`, with the box at the origin, and goals of the box `[N, 2]`."""
    states = np.zeros((number, 8))
    states[:, :2] = random.uniform([-1.3, -0.6], [-0.7, 0.6], (number, 2))
    return states, random.uniform(0.4, 0.9, (number, 2))


def touching(states: Floats, within: float = 0.02) -> Bools:
    """Whether the mass is at the box, or so near `[...]`."""
    return np.asarray((np.abs(states[..., 4:6] - states[..., :2]) < HALF + within).all(-1))


def arrived(states: Floats, goals: Floats) -> Bools:
    """Whether the box is at its goal `[...]`."""
    return np.asarray((np.abs(states[..., 4:6] - goals) < NEAR).all(-1))


def move(states: Floats, actions: Floats) -> Floats:
    """One step."""
    p, v, b, w = np.split(states, 4, -1)
    apart = b - p
    depth = HALF - np.abs(apart)
    face = np.arange(2) == depth.argmin(-1)[..., None]
    push = STIFF * depth * np.where(apart < 0, -1, 1) * (face & (depth > 0).all(-1, keepdims=True))
    v = MASS_KEEPS * v + np.clip(actions, -STRONGEST, STRONGEST) - push
    w = BOX_KEEPS * (w + push)
    return np.concatenate([p + v, v, b + w, w], -1)


def toward(states: Floats, target: ArrayLike, reach: float = 0.2) -> Floats:
    """The force that halves the way to a target in a step, or goes half of `reach` of it along each axis `[..., 2]`."""
    way = np.clip(np.asarray(target) - states[..., :2], -reach, reach)
    return np.asarray(0.5 * way - MASS_KEEPS * states[..., 2:4])


def expert(states: Floats, goals: Floats) -> Floats:
    """What one does who can do it: to the left face and push, round the corner, to the lower face and push."""
    p, b = states[:, :2], states[:, 4:6]
    (x, y), (dx, dy) = p.T, (p - b).T
    (bx, by), (gx, gy) = b.T, goals.T
    rightwards = bx < gx - 0.03
    side, ahead = -HALF - 0.2, -HALF + 0.02
    cases = [
        rightwards & (dx < 0) & (np.abs(dy) < 0.1),
        rightwards,
        by >= gy - 0.03,
        (np.abs(dx) < 0.1) & (dy < 0),
        dy < -HALF - 0.1,
        dx < -HALF - 0.1,
    ]
    target_x = np.select(cases, [gx + ahead, bx + side, x, bx, bx, x], bx + side)
    target_y = np.select(cases, [by, by, y, gy + ahead, by + side, by + side - 0.05], y)
    return toward(states, np.stack([target_x, target_y], -1))


def walk(states: Floats, act: Act, steps: int, noise: Callable[[], ArrayLike] | None = None) -> Walk:
    """What comes of acting; with `noise` something else is done than was meant.

    Args:
        states: first ones `[N, 8]`.
        act: who acts.
        steps: T.
        noise: what is added to the forces of a step `[N, 2]`.
    """
    seen, meant = [states], []
    for t in range(steps):
        meant.append(act(t, seen[-1]))
        seen.append(move(seen[-1], meant[-1] + (0.0 if noise is None else np.asarray(noise()))))
    return Walk(np.stack(seen, 1), np.stack(meant, 1))


def as_seen(random: np.random.Generator, states: Floats) -> Reference:
    """Demonstrations `[N, T + 1, 8]` as a camera has them: off, noisy, and with contacts that it misses."""
    number, length = states.shape[:2]

    def jitter(deviation: float) -> Floats:
        white = random.normal(0, deviation, (number, length + 4, 2))  # five frames are smoothed into one
        return np.asarray(sliding_window_view(white, 5, axis=1).mean(-1))

    mass = states[..., :2] + random.normal(0, BIAS, (number, 1, 2)) + jitter(JITTER)
    missed = (random.random((number, length // 10 + 1)) < DROPPED).repeat(10, 1)[:, :length]
    return Reference(mass, states[..., 4:6] + jitter(BOX_JITTER), touching(states) & ~missed)
