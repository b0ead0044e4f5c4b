"""Preferences from popularity: what a community re-uses of what it was shown, and not of what is shown most.

An item is shown to some people, and some of them make something of it. Counts of that are not its merit: followed
authors are shown more and re-used out of loyalty, and one keen user counts many times. So followers of the author are
left out, nobody counts twice for an item nor more than so often in all, and what is left is divided by how often it was
shown:

    u_i ~ Poisson(q_i e_i)      E[u_i / e_i] = q_i          unbiased at any exposure, and too noisy below some

Pairs are of items of the same prompt that were shown enough: one among those with high rates, one among those with low.

Source: Social Reward (Isajanyan et al. 2024), whose model is CLIP taught by a triplet loss with margin 0.3
(`learners.language.reward_losses.margin_ranking`). What is left out, and that high and low are quantiles, is chosen
here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def reuse_counts(
    item: ArrayLike, user: ArrayLike, items: int, follows: ArrayLike | None = None, most: int | None = None
) -> Ints:
    """How many people re-used each item `[items]`.

    Args:
        item: number of the item of each re-use, in the order of time `[E]`.
        user: number of who did it `[E]`.
        items: how many there are.
        follows: whether that user follows the item's author: left out `[E]`; None: nobody does.
        most: items that a user counts for, his first ones; None: any number.

    Raises:
        ValueError: shapes that do not fit, an item that there is not, or a bound below 1.
    """
    what, who = np.asarray(item, np.int64), np.asarray(user, np.int64)
    loyal = np.zeros(what.shape, np.bool_) if follows is None else np.asarray(follows, np.bool_)
    if what.ndim != 1 or not what.shape == who.shape == loyal.shape:
        raise ValueError(f"got shapes {what.shape}, {who.shape} and {loyal.shape}; expected [E] for all")
    if ((what < 0) | (what >= items)).any() or (most is not None and most < 1):
        raise ValueError(f"got most={most} and re-uses of items; expected at least 1, and items from 0 to {items - 1}")
    what, who = what[~loyal], who[~loyal]
    # The first time that each user re-uses each item, in the order of time.
    first = np.sort(np.unique(who * items + what, return_index=True)[1])
    what, who = what[first], who[first]
    if most is not None:
        order = np.argsort(who, kind="stable")
        place, begins = np.arange(len(who)), np.ones(len(who), np.bool_)
        begins[1:] = np.diff(who[order]) != 0
        rank = place - np.maximum.accumulate(np.where(begins, place, 0))
        what = what[order[rank < most]]
    return np.bincount(what, minlength=items).astype(np.int64)


def reuse_rates(counts: ArrayLike, exposures: ArrayLike, least: float = 1.0) -> Floats:
    """u_i / e_i `[I]`; NaN where an item was shown less than `least` times.

    Args:
        counts: u `[I]`, of the same people as the exposures.
        exposures: e `[I]`.
        least: above 0.

    Raises:
        ValueError: shapes that differ, a number below 0, or a bound that is not above 0.
    """
    uses, shown = np.asarray(counts, np.float64), np.asarray(exposures, np.float64)
    if uses.shape != shown.shape or (uses < 0).any() or (shown < 0).any() or not least > 0:
        raise ValueError(
            f"got counts {uses.shape}, exposures {shown.shape} and least={least}; expected [I] twice, none below 0, "
            "and least above 0"
        )
    return np.where(shown >= least, uses / np.maximum(shown, least), np.nan)


def popularity_pairs(rates: ArrayLike, prompt: ArrayLike, low: float = 0.3, high: float = 0.7) -> tuple[Ints, Ints]:
    """Numbers of the popular and the unpopular item of every pair `[P]`.

    Args:
        rates: of items `[I]`; NaN where not known, and the item is in no pair.
        prompt: number of the prompt of each `[I]`.
        low: quantile of all known rates, up to which an item is unpopular.
        high: from which it is popular.

    Raises:
        ValueError: shapes that differ, or quantiles that are not in order from 0 to 1.
    """
    rate, asked = np.asarray(rates, np.float64), np.asarray(prompt, np.int64)
    if rate.ndim != 1 or rate.shape != asked.shape or not 0 <= low <= high <= 1:
        raise ValueError(
            f"got rates {rate.shape}, prompts {asked.shape}, low={low} and high={high}; expected [I] twice, and "
            "0 ≤ low ≤ high ≤ 1"
        )
    known = ~np.isnan(rate)
    if not known.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    few, many = np.quantile(rate[known], [low, high])
    better, worse = np.flatnonzero(known & (rate >= many)), np.flatnonzero(known & (rate <= few))
    pairs = (asked[better][:, None] == asked[worse]) & (rate[better][:, None] > rate[worse])
    one, other = np.nonzero(pairs)
    return better[one], worse[other]
