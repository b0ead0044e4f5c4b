"""Rollouts that are cut once they are much longer than the task should take.

In a group of rollouts the few that have lost their way go on to the very end, and all wait for them. Each rollout has
a budget by its own task, a multiple of what an expert or the shortest way needs:

    budget = min(tolerance · expert's steps, most)

Who has not stopped by then is cut, and counts as one who has failed: it earns 0, and its steps are learnt from.

Source: ActiveVLN, Towards Active Exploration via Multi-Turn RL in Vision-and-Language Navigation (Zhang et al. 2025);
the budget, with a tolerance of 2 and at most 120 steps, is that of its released code.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
States = NDArray[Any]


class Act(Protocol):
    """A policy."""

    def __call__(self, states: States, rows: Ints) -> States:
        """What is done `[R, …]` in states `[R, …]` of some rollouts, whose numbers are `rows`."""
        ...


class Move(Protocol):
    """An environment of many rollouts."""

    def __call__(self, states: States, actions: States, rows: Ints) -> tuple[States, Bools]:
        """The states that follow `[R, …]`, and which rollouts have ended by that `[R]`."""
        ...


class Rollouts(NamedTuple):
    """What was done until it ended or was cut.

    Attributes:
        states: in which something was done `[B, T, …]`; nothing of them counts where `taken` is False.
        actions: what was done `[B, T, …]`.
        taken: which steps there are `[B, T]`.
        last: the states in which it ended `[B, …]`.
        ended: which rollouts ended by themselves `[B]`; the others were cut.
    """

    states: States
    actions: States
    taken: Bools
    last: States
    ended: Bools


def step_budgets(expert: ArrayLike, tolerance: float = 2.0, most: int = 120) -> Ints:
    """Steps that each rollout may take, at least 1 `[B]`.

    Args:
        expert: steps of the expert, or of the shortest way `[B]`.
        tolerance: how many times as many may be taken; infinite: all have `most`.
        most: for any rollout.

    Raises:
        ValueError: steps below 0 or NaN, a tolerance that is not above 0, or a `most` below 1.
    """
    steps = np.asarray(expert, np.float64)
    if not (steps >= 0).all() or not tolerance > 0 or most < 1:
        raise ValueError(
            f"got steps {steps.tolist()}, tolerance={tolerance} and most={most}; expected steps of at least 0, a "
            "tolerance above 0, and at least 1"
        )
    longest = np.full(steps.shape, float(most)) if np.isinf(tolerance) else np.minimum(tolerance * steps, most)
    return np.maximum(np.floor(longest), 1).astype(np.int64)


def roll_out(act: Act, move: Move, start: States, budgets: ArrayLike) -> Rollouts:
    """Play all rollouts at once, each to its end or for as many steps as it may take.

    Args:
        act: the policy; asked only about rollouts that still go on.
        move: the environment.
        start: states to begin in `[B, …]`.
        budgets: steps `[B]`.

    Raises:
        ValueError: budgets of another shape, or below 1.
    """
    left = np.asarray(budgets, np.int64)
    if left.shape != start.shape[:1] or (left < 1).any():
        raise ValueError(f"got budgets {left.tolist()} for {len(start)} rollouts; expected one each, of at least 1")
    longest, state = int(left.max(initial=0)), start.copy()
    ended, taken = np.zeros(len(start), np.bool_), np.zeros((len(start), longest), np.bool_)
    states, actions = np.repeat(start[:, None], longest, 1), None
    for step in range(longest):
        rows = np.flatnonzero(~ended & (step < left))
        if not len(rows):
            break
        done = act(state[rows], rows)
        if actions is None:
            actions = np.zeros((len(start), longest, *done.shape[1:]), done.dtype)
        states[rows, step], actions[rows, step], taken[rows, step] = state[rows], done, True
        state[rows], ended[rows] = move(state[rows], done, rows)
    return Rollouts(states, np.zeros((len(start), longest)) if actions is None else actions, taken, state, ended)
