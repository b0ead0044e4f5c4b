"""Labels of progress for the frames of a demonstration: by its stages, and within a stage by time or by what changed.

A step goes from one frame to the next and belongs to a stage k. The stage is worth a share B_k of the whole, and

    P_t = Σ_{j<k} B_j + B_k · Σ_{steps of k before t} c / Σ_{steps of k} c

With c = 1 progress rises evenly in a stage, however long it takes. With c the change of what is seen, who stands still
makes none, and who is slow does not make less. One stage and c = 1 is the share of time that is over.

Sources: SARM (c = 1, B_k the mean share of time that a stage takes in the data) and ProcVLM (c the visual change; in
its released code B_k is the demonstration's own share of time times the number of stages, cut to 0.75 … 1.25, and each
step has a floor of half the greatest change). That a stage in which nothing changes rises evenly is chosen here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ROUNDING = 1e-9


def stage_progress(stages: ArrayLike, shares: ArrayLike, change: ArrayLike | None = None) -> Floats:
    """Progress of each frame of a demonstration that completes what it begins `[T + 1]`: no step lowers it.

    Where all stages occur it is 0 at first and 1 at last. A stage without a step counts as passed.

    Args:
        stages: of each step `[T]`, in order.
        shares: B `[K]`, what each stage is worth; their sum is 1.
        change: c of each step `[T]`, at least 0; None: 1.

    Raises:
        ValueError: no step, stages that go back or that have no share, shares that do not sum to 1, or changes that do
            not fit.
    """
    step, share = _stages(stages), _shares(shares)
    moved = np.ones(len(step)) if change is None else np.asarray(change, np.float64)
    if step[-1] >= len(share):
        raise ValueError(f"got a step of stage {step[-1]} and {len(share)} shares; expected a share for each stage")
    if moved.shape != step.shape or not ((moved >= 0) & np.isfinite(moved)).all():
        raise ValueError(f"got changes of shape {moved.shape} for {len(step)} steps; expected one each, at least 0")
    still = np.bincount(step, moved, len(share)) == 0
    moved = np.where(still[step], 1.0, moved)
    gained = share[step] * moved / np.bincount(step, moved, len(share))[step]
    total = gained.cumsum()
    first = np.searchsorted(step, step)  # where the stage of each step begins
    within = total - (total - gained)[first]
    before = _before(share)[step]
    return np.concatenate([before[:1], before + within]).clip(0.0, 1.0)


def located(progress: ArrayLike, shares: ArrayLike) -> tuple[Ints, Floats]:
    """The stage in which a progress lies, and how far within it, 0 to 1: the inverse of P = Σ_{j<k} B_j + B_k τ.

    Between two stages it is the beginning of the later one; 1 is the end of the last one.

    Args:
        progress: 0 to 1 `[...]`.
        shares: B `[K]`.

    Returns:
        k `[...]` and τ `[...]`.

    Raises:
        ValueError: progress beyond 0 and 1, or shares that do not sum to 1.
    """
    found, share = np.asarray(progress, np.float64), _shares(shares)
    if not ((found >= 0) & (found <= 1)).all():
        raise ValueError("got progress that is not between 0 and 1; expected a share of the whole")
    last = int(np.flatnonzero(share)[-1])
    before = _before(share)
    stage = np.minimum(np.searchsorted(before, found + ROUNDING, side="right") - 1, last)
    return stage, ((found - before[stage]) / share[stage]).clip(0.0, 1.0)


def time_shares(demonstrations: Sequence[ArrayLike], number: int) -> Floats:
    """Mean share of time that each stage takes in the data `[K]`.

    Args:
        demonstrations: stages of the steps of each.
        number: K, of stages.

    Raises:
        ValueError: no demonstration, or stages that there are not.
    """
    if not demonstrations:
        raise ValueError("got no demonstration; expected one at least, to know how long stages take")
    found: Floats = np.mean([_counted(one, number) / len(_stages(one)) for one in demonstrations], axis=0)
    return found


def bounded_shares(stages: ArrayLike, number: int, low: float = 0.75, high: float = 1.25) -> Floats:
    """Shares of a demonstration's stages by their time, but none far from equal `[K]`; 0 for a stage without a step.

    Args:
        stages: of its steps `[T]`.
        number: K, of stages.
        low: least share, in units of the mean, before all are made to sum to 1.
        high: greatest share, likewise.

    Raises:
        ValueError: bounds that make no sense, no step, or stages that there are not.
    """
    if not 0 < low <= high:
        raise ValueError(f"got bounds {low} and {high}; expected 0 < low <= high")
    steps = _counted(stages, number)
    each = np.where(steps > 0, np.clip(steps * (steps > 0).sum() / steps.sum(), low, high), 0.0)
    found: Floats = each / each.sum()
    return found


def visual_change(frames: ArrayLike, floor: float = 0.0) -> Floats:
    """How much each step changes what is seen `[T]`: the distance of its two frames, and a floor.

    Args:
        frames: `[T + 1, d]`.
        floor: what a step counts in which nothing changes; 0: nothing.

    Raises:
        ValueError: fewer than two frames, or a floor below 0.
    """
    seen = np.asarray(frames, np.float64)
    if seen.ndim != 2 or len(seen) < 2 or floor < 0:
        raise ValueError(f"got frames {seen.shape} and floor={floor}; expected [T + 1, d], two at least, and 0 or more")
    apart: Floats = np.linalg.norm(np.diff(seen, axis=0), axis=-1)
    return apart + floor


def _stages(stages: ArrayLike) -> Ints:
    step = np.asarray(stages)
    if step.ndim != 1 or not len(step) or step.dtype.kind not in "iu" or (np.diff(step) < 0).any() or step[0] < 0:
        raise ValueError(f"got stages {step.tolist()}; expected whole numbers from 0 that never go back, one a step")
    return step.astype(np.int64)


def _counted(stages: ArrayLike, number: int) -> Ints:
    step = _stages(stages)
    if step[-1] >= number:
        raise ValueError(f"got a step of stage {step[-1]} of {number} stages; expected stages below their number")
    return np.bincount(step, minlength=number)


def _shares(shares: ArrayLike) -> Floats:
    share = np.asarray(shares, np.float64)
    if share.ndim != 1 or not (share >= 0).all() or not np.isclose(share.sum(), 1.0):
        raise ValueError(f"got shares {share.tolist()}; expected one a stage, none below 0, of sum 1")
    return share


def _before(share: Floats) -> Floats:
    """What is done before each stage `[K]`."""
    return np.concatenate([[0.0], share.cumsum()[:-1]])
