"""Consistency: what changes a judge's mind although nothing of the matter has changed: place, chance, wording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rewards.evaluation.accuracy import Rate, pair_accuracy


@dataclass(frozen=True)
class PositionBias:
    """Of pairs that were asked in both orders.

    Attributes:
        consistent: share whose winner is the same in both orders; a tie in one and a winner in the other is not.
        first: among those that are not, the share that prefers whatever stands first.
    """

    consistent: Rate
    first: Rate


def position_bias(forward: ArrayLike, backward: ArrayLike) -> PositionBias:
    """Compare preferences for whatever stands first, as asked, and with the two exchanged; NaN is NULL, left out.

    Source: Wang et al. 2023, "Large language models are not fair evaluators".

    Args:
        forward: probability that the first of (A, B) is better `[N]`.
        backward: probability that the first of (B, A) is better `[N]`.
    """
    a, b = np.asarray(forward, np.float64), np.asarray(backward, np.float64)
    known = ~(np.isnan(a) | np.isnan(b))
    one, two = np.sign(a[known] - 0.5), np.sign(b[known] - 0.5)
    same = one == -two
    swayed = one[~same] + two[~same]
    return PositionBias(Rate.of(int(same.sum()), len(same)), Rate.of(int((swayed > 0).sum()), len(swayed)))


@dataclass(frozen=True)
class Repeats:
    """Of questions that were asked several times.

    Attributes:
        deviation: mean over questions of the standard deviation of their answers; None of nothing.
        flips: share of questions whose answers lie on both sides of the threshold.
    """

    deviation: float | None
    flips: Rate


def repeats(answers: Sequence[Sequence[float]], threshold: float = 0.5) -> Repeats:
    """Spread of K answers to each of N questions; NaN is NULL, and left out; questions with fewer than two are too."""
    known = [[value for value in own if not np.isnan(value)] for own in answers]
    known = [own for own in known if len(own) > 1]
    flips = sum(len({value > threshold for value in own}) > 1 for own in known)
    deviation = float(np.mean([np.std(own, ddof=1) for own in known])) if known else None
    return Repeats(deviation, Rate.of(flips, len(known)))


def paraphrase_consistency(original: ArrayLike, paraphrased: ArrayLike, threshold: float = 0.5) -> Rate:
    """Share of N texts whose verdict stays on its side of the threshold when only the wording changes."""
    a, b = np.asarray(original, np.float64), np.asarray(paraphrased, np.float64)
    known = ~(np.isnan(a) | np.isnan(b))
    return Rate.of(int(((a[known] > threshold) == (b[known] > threshold)).sum()), int(known.sum()))


def order_consistency(above: ArrayLike, below: ArrayLike, above_again: ArrayLike, below_again: ArrayLike) -> Rate:
    """Share of N pairs that stand in the same order (or tie) when both are scored again, in other words.

    Scores need no scale in common: only their order within a pair counts. NaN is NULL, left out.

    Args:
        above: score of the one of each pair `[N]`.
        below: of the other.
        above_again: of the one, reworded.
        below_again: of the other, reworded.
    """
    a, b, c, d = (np.asarray(one, np.float64) for one in (above, below, above_again, below_again))
    known = ~(np.isnan(a) | np.isnan(b) | np.isnan(c) | np.isnan(d))
    same = np.sign(a - b)[known] == np.sign(c - d)[known]
    return Rate.of(int(same.sum()), int(known.sum()))


@dataclass(frozen=True)
class PairAccuracy:
    """Of pairs of a better and a worse one that were asked in both orders.

    Attributes:
        better_first: share won by the better one where it stands first; a tie counts half.
        better_second: where it stands second.
        both: share that it wins in both orders: what cannot be had by preferring a place.
        shift: by how much the probability of whatever stands first exceeds one half; None of nothing.
    """

    better_first: Rate
    better_second: Rate
    both: Rate
    shift: float | None


def pairs_in_both_orders(forward: ArrayLike, backward: ArrayLike) -> PairAccuracy:
    """Score preferences for whatever stands first; NaN is NULL, and a pair with one is left out of `both` and `shift`.

    Args:
        forward: asked as (better, worse) `[N]`.
        backward: asked as (worse, better) `[N]`.
    """
    a, b = np.asarray(forward, np.float64), np.asarray(backward, np.float64)
    known = ~(np.isnan(a) | np.isnan(b))
    both = (a[known] > 0.5) & (b[known] < 0.5)
    shift = float(((a[known] + b[known]) / 2 - 0.5).mean()) if known.any() else None
    half = np.full(len(a), 0.5)
    return PairAccuracy(
        pair_accuracy(a, half), pair_accuracy(half, b), Rate.of(int(both.sum()), int(known.sum())), shift
    )
