"""Ranks of models on static benchmarks against their ranks in an arena, where people vote between two answers.

    static   mean over benchmarks of a model's score        arena   log-strengths of Bradley and Terry from votes
    τ(static, arena)    1 where they put all models into the same order, 0 by chance, −1 in the opposite order
    shift    places by which a model stands better on benchmarks than in the arena

Scores can be had by heart, votes on new questions cannot. A model that stands much better on benchmarks than with
people was perhaps trained on what benchmarks ask.

Source: Yi-Lightning Technical Report (2024), which finds the two orders apart; that scores are averaged, and Kendall's
τ, are chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.comparison.correlation import kendall
from rewards.judges.kinds.ratings import bradley_terry

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RankDisparity:
    """Two orders of the same models.

    Attributes:
        static: mean score of each model over the benchmarks that it has a score on `[M]`; NaN where it has none.
        arena: log-strength of each `[M]`; NaN where it met nobody.
        tau: Kendall's τ of both; None where one is the same for all.
    """

    static: Floats
    arena: Floats
    tau: float | None

    @property
    def shift(self) -> Floats:
        """Places by which each stands better on benchmarks than in the arena `[M]`; NaN where one is not known."""
        known = ~np.isnan(self.static + self.arena)
        found = np.full(len(known), np.nan)
        found[known] = _places(self.arena[known]) - _places(self.static[known])
        return found


def rank_disparity(scores: ArrayLike, wins: ArrayLike, prior: float = 0.1) -> RankDisparity:
    """Compare the orders of models by benchmarks and by votes.

    Args:
        scores: of M models on K benchmarks, the same for all of a benchmark's questions `[M, K]`; NaN where NULL.
        wins: how often the row's model was preferred to the column's `[M, M]`; a tie is half a win for each.
        prior: votes that everyone is given for and against an average model.

    Raises:
        ValueError: shapes that do not fit, or votes that are no counts.
    """
    static, votes = np.asarray(scores, np.float64), np.asarray(wins, np.float64)
    if static.ndim != 2 or votes.shape != (len(static), len(static)):
        raise ValueError(f"got scores {static.shape} and wins {votes.shape}; expected [M, K] and [M, M]")
    known = ~np.isnan(static)
    total = np.where(known, static, 0.0).sum(1)
    mean = np.where(known.any(1), total / np.maximum(known.sum(1), 1), np.nan)
    met = (votes + votes.T - 2 * np.diag(np.diag(votes))).sum(1) > 0
    strengths = np.where(met, bradley_terry(votes, prior), np.nan)
    return RankDisparity(mean, strengths, kendall(mean, strengths))


def _places(values: Floats) -> Floats:
    """Places, 0 for the best; those that tie share the mean of theirs."""
    above, equal = (values[None] > values[:, None]).sum(1), (values[None] == values[:, None]).sum(1)
    found: Floats = above + (equal - 1) / 2
    return found
