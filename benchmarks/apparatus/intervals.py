"""Interquartile means with stratified bootstrap intervals over few seeds (Agarwal et al. 2021, rliable).

The interquartile mean leaves out the lowest and the highest quarter of all runs: less moved by one odd run than the
mean, less blind than the median. Up to three runs are too few to leave one out, so it is their mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.results import Figure

RESAMPLES = 2000
Floats = NDArray[np.floating[Any]]


def iqm(scores: Floats) -> Floats:
    """Interquartile mean over runs and tasks.

    Args:
        scores: `[runs, tasks, points]`.

    Returns:
        One number a point, `[points]`.
    """
    ordered = np.sort(scores.reshape(-1, scores.shape[-1]), axis=0)
    cut = len(ordered) // 4
    middle: Floats = ordered[cut : len(ordered) - cut].mean(axis=0)
    return middle


def iqm_interval(scores: Floats, resamples: int = RESAMPLES) -> tuple[Floats, Floats, Floats]:
    """Interquartile means and their 95 % percentile-bootstrap intervals; runs are drawn within each task.

    Args:
        scores: `[runs, tasks, points]`.
        resamples: bootstrap resamples.

    Returns:
        Value, low and high, each `[points]`.
    """
    # Imported here: it takes seconds, and only whoever collects results needs it.
    from rliable.library import get_interval_estimates

    np.random.seed(0)  # rliable draws from NumPy's global generator, whatever random_state it is given
    values, bounds = get_interval_estimates({"": scores}, iqm, reps=resamples)
    low, high = bounds[""]
    return values[""], low, high


def iqm_figure(scores: Floats, unit: str) -> Figure:
    """The interquartile mean of final scores `[runs, tasks]` as a figure over all of them.

    Raises:
        ValueError: there are no scores, or one is not finite.
    """
    if scores.ndim != 2 or not scores.size or not np.isfinite(scores).all():
        raise ValueError(f"got scores {scores.tolist()} in {unit}; expected finite numbers [runs, tasks], at least one")
    runs, tasks = scores.shape
    if runs == 1:  # seeds are what is drawn: a single one has no interval
        return Figure(value=float(iqm(scores[..., None])[0]), unit=unit, low=None, high=None, n=1)
    value, low, high = (float(x[0]) for x in iqm_interval(scores[..., None]))
    return Figure(value=value, unit=unit, low=low, high=high, n=runs * tasks)


def apart(above: Figure, below: Figure) -> bool:
    """Whether the whole interval of one figure lies above that of another; False where one has no interval."""
    return above.low is not None and below.high is not None and above.low > below.high
