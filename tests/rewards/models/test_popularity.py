from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.models.popularity import popularity_pairs, reuse_counts, reuse_rates


@given(st.floats(0.05, 3.0), st.floats(1.0, 8.0))
def test_counts_divided_by_exposure_are_unbiased(quality, exposure):
    # The mean over all counts of a Poisson distribution, of which next to nothing is left beyond 150.
    count = np.arange(150)
    logs = count * math.log(quality * exposure) - quality * exposure - np.array([math.lgamma(k + 1) for k in count])
    rates = reuse_rates(count, np.full(150, exposure))
    assert float(np.exp(logs) @ rates) == pytest.approx(quality, rel=1e-9)


def test_nobody_counts_twice_and_followers_and_those_who_like_everything_do_not_count_by_hand():
    item = [0, 0, 0, 1, 2, 1, 2]
    user = [7, 7, 8, 7, 7, 9, 9]
    assert reuse_counts(item, user, 4).tolist() == [2, 2, 2, 0]
    follows = [False, False, True, False, False, False, False]
    assert reuse_counts(item, user, 4, follows).tolist() == [1, 2, 2, 0]
    # User 7 counts for items 0 and 1 then, his first ones.
    assert reuse_counts(item, user, 4, most=2).tolist() == [2, 2, 1, 0]
    assert reuse_counts(item, user, 4, most=1).tolist() == [2, 1, 0, 0]
    assert reuse_counts([], [], 2, most=1).tolist() == [0, 0]


def test_what_was_shown_too_little_has_no_rate():
    found = reuse_rates([3, 0, 5, 0], [6, 10, 2, 0], least=5)
    assert found[:2].tolist() == [0.5, 0.0] and np.isnan(found[2:]).all()


def test_pairs_are_of_one_prompt_a_popular_item_before_an_unpopular_one():
    rates = [0.9, 0.1, np.nan, 0.5, 0.8, 0.2]
    better, worse = popularity_pairs(rates, [0, 0, 0, 0, 1, 1])  # quantiles 0.26 and 0.74
    assert list(zip(better.tolist(), worse.tolist(), strict=True)) == [(0, 1), (4, 5)]
    assert [len(side) for side in popularity_pairs([0.5, 0.5], [0, 0])] == [0, 0]  # equals are no pair
    assert [len(side) for side in popularity_pairs([np.nan], [0])] == [0, 0]
    better, worse = popularity_pairs([3.0, 2.0, 1.0], [0, 0, 0], low=1.0, high=1.0)
    assert list(zip(better.tolist(), worse.tolist(), strict=True)) == [(0, 1), (0, 2)]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="items from 0 to 1"):
        reuse_counts([2], [0], 2)
    with pytest.raises(ValueError, match="expected \\[E\\]"):
        reuse_counts([1], [0, 0], 2)
    with pytest.raises(ValueError, match="least above 0"):
        reuse_rates([1], [1], least=0)
    with pytest.raises(ValueError, match="0 ≤ low ≤ high ≤ 1"):
        popularity_pairs([1.0], [0], low=0.8, high=0.2)
