"""Forecasts of events that had not happened yet: scored from 0 to 1 by their kind of answer, once the truth is known.

    choice    1 where it is what happened, else 0
    choices   F1 of what was named and what happened
    ranking   1 in exactly the order that came about, else 0.8 · the share of the k that are named among the first k
    number    max(0, 1 − ((ŷ − y) / σ)²), where σ is the standard deviation of what is foretold

The whole is a mean over levels of difficulty, by weight. Only what was foretold before the event, and from nothing
newer than the question, is a forecast at all: `foretold` says which are.

Source: FutureX (Zeng et al. 2025): kinds of answers, and levels. The 0.8 of a ranking and the weights of levels are as
they are reported of it, and were not to be had from its authors' code. Chosen here: that no more than k names of a
ranking count, so that naming all is no help, and that the weights are of the levels that have a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.verifiers.sets import f1

Kind = Literal["choice", "choices", "ranking", "number"]
WEIGHTS = (0.1, 0.2, 0.3, 0.4)
"""Of levels 1 to 4: few choices, many choices, open answers that change little, open answers that change much."""
ORDER = 0.8
"""The most that a ranking in another order gets."""


def number_score(said: ArrayLike, truth: ArrayLike, sigma: ArrayLike) -> NDArray[np.float64]:
    """1 for the number itself, 0 from one standard deviation away, a parabola in between; NaN where one is NaN.

    Args:
        said: ŷ, of any shape.
        truth: y, of a shape that goes with it.
        sigma: σ, likewise; above 0.

    Raises:
        ValueError: a deviation that is not above 0.
    """
    deviation = np.asarray(sigma, np.float64)
    if (deviation <= 0).any():
        raise ValueError(f"got a deviation of {deviation.min():g}; expected above 0: what never changes is no question")
    found: NDArray[np.float64] = 1 - ((np.asarray(said, np.float64) - np.asarray(truth, np.float64)) / deviation) ** 2
    return np.maximum(found, 0.0)


def ranking_score(said: Sequence[str], truth: Sequence[str]) -> float:
    """1 for the order that came about, else 0.8 of the share of its names that are among the first as many said.

    Raises:
        ValueError: a truth that is empty or names something twice.
    """
    if not truth or len(set(truth)) < len(truth):
        raise ValueError(f"got {list(truth)} as the true ranking; expected names, each once")
    first = list(said)[: len(truth)]
    return 1.0 if first == list(truth) else ORDER * len(set(first) & set(truth)) / len(truth)


def forecast_score(kind: Kind, said: Any, truth: Any, sigma: float = 1.0) -> float:
    """The score of one forecast, 0 to 1.

    Args:
        kind: of answer.
        said: a name, names, names in their order, or a number.
        truth: the same.
        sigma: of a number; the others need none.

    Raises:
        ValueError: an unknown kind, or what `number_score` and `ranking_score` refuse.
    """
    if kind == "choice":
        return float(said == truth)
    if kind == "choices":
        return f1(set(said), set(truth))
    if kind == "ranking":
        return ranking_score(said, truth)
    if kind == "number":
        return float(number_score(said, truth, sigma))
    raise ValueError(f"got kind {kind!r}; expected one of {get_args(Kind)}")


def by_level(scores: ArrayLike, levels: ArrayLike, weights: Sequence[float] = WEIGHTS) -> float | None:
    """Weighted mean over levels of their mean scores; NaN is NULL and left out. None where no score is known.

    Args:
        scores: `[N]`.
        levels: of the questions, from 1 `[N]`.
        weights: of levels 1, 2, …

    Raises:
        ValueError: shapes that differ, a level without a weight, or a weight that is not above 0.
    """
    found, level = np.asarray(scores, np.float64), np.asarray(levels, np.int64)
    if found.shape != level.shape or found.ndim != 1:
        raise ValueError(f"got scores of shape {found.shape} and levels of {level.shape}; expected [N] for both")
    if min(weights, default=0.0) <= 0 or not ((level >= 1) & (level <= len(weights))).all():
        raise ValueError(f"got levels {sorted(set(level.tolist()))} and weights {tuple(weights)}; expected one each")
    known = ~np.isnan(found)
    there = np.unique(level[known])
    if not len(there):
        return None
    means = [found[known & (level == one)].mean() for one in there]
    return float(np.average(means, weights=[weights[one - 1] for one in there]))


def foretold(asked: ArrayLike, happens: ArrayLike, newest: ArrayLike) -> NDArray[np.bool_]:
    """Which forecasts were made before their event and from nothing newer than the question.

    Args:
        asked: when each was asked for `[N]`.
        happens: when its event is due `[N]`.
        newest: date of the newest thing that was read `[N]`; NaN: nothing was read.
    """
    when, read = np.asarray(asked, np.float64), np.asarray(newest, np.float64)
    found: NDArray[np.bool_] = (when < np.asarray(happens, np.float64)) & ~(read > when)
    return found
