"""Checklists over turns: many small criteria, paid together where the turn ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def first_met(satisfied: ArrayLike, turn: ArrayLike, after: Mapping[int, Sequence[int]] | None = None) -> Bools:
    """At which step of its turn each criterion is met for the first time, with all that it depends on `[T, K]`.

    Args:
        satisfied: what a judge says of each step and criterion `[T, K]`.
        turn: number of each step's turn, in order, without gaps `[T]`.
        after: by criterion, those with smaller numbers that must be met in the same turn, before it or with it.

    Raises:
        ValueError: shapes that do not fit, turns out of order, or a criterion that depends on one behind it.
    """
    told, turns = np.asarray(satisfied, np.bool_), np.asarray(turn, np.int64)
    steps = np.diff(turns, prepend=-1) if turns.ndim == 1 else np.array([-1])
    in_order = bool(np.isin(steps, (0, 1)).all()) and bool((steps[:1] == 1).all())
    if told.ndim != 2 or turns.shape != (len(told),) or not in_order:
        raise ValueError(
            f"got verdicts of shape {told.shape} and turns {turns.tolist()[:20]}; expected [T, K], and turns 0, 1, … "
            "in order, one a step"
        )
    starts = np.flatnonzero(steps)
    met = np.zeros_like(told)  # by now, in this turn
    for criterion in range(told.shape[1]):
        needed = list((after or {}).get(criterion, ()))
        if any(not 0 <= other < criterion for other in needed):
            raise ValueError(f"criterion {criterion} comes after {needed}; expected criteria with smaller numbers")
        ever = _ever(told[:, criterion], turns, starts)
        met[:, criterion] = ever & met[:, needed].all(axis=1)
    before = np.zeros_like(told)
    before[1:] = met[:-1]
    before[starts] = False
    return met & ~before


def turn_scores(
    satisfied: ArrayLike,
    weights: ArrayLike,
    turn: ArrayLike,
    after: Mapping[int, Sequence[int]] | None = None,
    sparse: bool = True,
) -> Floats:
    """Σ_k w_k 1[criterion k met in the turn], weights made to sum to 1: paid at the last step of the turn, or when met.

    A turn with all criteria met earns exactly 1 (but for rounding), one that is met twice counts once. Several
    checklists of a turn are averaged by whoever has them. The score of an episode is the mean of its turns: divide by
    their number where turns are not compared with each other.

    Source: "CM2: Reinforcement Learning with Checklist Rewards for Multi-Turn and Multi-Step Agentic Tool Use".

    Args:
        satisfied: what a judge says of each step and criterion `[T, K]`.
        weights: of the criteria, not negative `[K]`.
        turn: number of each step's turn, in order `[T]`.
        after: dependencies, see `first_met`.
        sparse: whether all is paid at the last step of the turn; else each criterion where it is first met.

    Returns:
        `[T]`.

    Raises:
        ValueError: weights that cannot be made to sum to 1, or what `first_met` refuses.
    """
    shares, turns = np.asarray(weights, np.float64), np.asarray(turn, np.int64)
    met = first_met(satisfied, turn, after)
    usable = np.isfinite(shares).all() and (shares >= 0).all() and shares.sum() > 0
    if shares.shape != met.shape[1:] or not usable:
        raise ValueError(f"got weights {shares.tolist()}; expected {met.shape[1]}, none below 0, with a sum above 0")
    earned: Floats = met @ (shares / shares.sum())
    if not sparse:
        return earned
    total = np.bincount(turns, earned, int(turns.max(initial=-1)) + 1)
    last = np.append(turns[1:] != turns[:-1], True)[: len(turns)]
    return np.where(last, total[turns], 0.0)


def _ever(values: Bools, turns: NDArray[np.int64], starts: NDArray[np.int64]) -> Bools:
    """Whether it was so at this step or one before it in the turn."""
    count: NDArray[np.int64] = np.cumsum(values)
    start = (count - values)[starts]
    ever: Bools = count - start[turns] > 0
    return ever
