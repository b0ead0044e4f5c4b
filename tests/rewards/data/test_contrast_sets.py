from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.data.contrast_sets import better_of_pairs, greedy_split
from rewards.sources.distributional import frechet_distance, gaussian


def drawn(seed, pairs=12):
    random = np.random.default_rng(seed)
    return random.normal(size=(pairs, 2, 2)), random


@given(st.integers(0, 10_000))
def test_no_swap_raises_what_was_found_and_it_is_never_less_than_the_split_it_began_with(seed):
    pairs, random = drawn(seed)
    exemplars = gaussian(random.normal(size=(30, 2)) + 1)

    def reward(chosen):
        return -float(frechet_distance(gaussian(chosen), exemplars))

    found = greedy_split(pairs, reward, random)
    positive, negative = found.of(pairs)
    assert found.reward >= found.start and found.reward == pytest.approx(reward(positive))
    for row in range(len(pairs)):
        swapped = positive.copy()
        swapped[row] = negative[row]
        assert reward(swapped) <= found.reward + 1e-9


@given(st.integers(0, 10_000))
def test_with_a_reward_that_adds_up_it_is_the_order_of_each_pair(seed):
    pairs, random = drawn(seed)
    found = greedy_split(pairs, lambda chosen: float(chosen[:, 0].sum()), random, passes=1)
    assert found.positive.tolist() == better_of_pairs(pairs[:, :, 0]).positive.tolist()


def test_a_split_without_passes_or_with_nothing_to_choose_by_stays_as_it_was_drawn():
    pairs, _ = drawn(0)
    positive = np.random.default_rng(3).integers(0, 2, len(pairs))
    for reward, passes in ((lambda chosen: 0.0, 20), (lambda chosen: float(chosen.sum()), 0)):
        found = greedy_split(pairs, reward, np.random.default_rng(3), passes)
        assert found.positive.tolist() == positive.tolist() and found.reward == found.start


def test_sets_are_of_anything_that_both_members_have():
    found = better_of_pairs(np.array([[1.0, 3.0], [2.0, 2.0]]))
    assert (found.positive.tolist(), found.reward, found.start) == ([1, 0], 2.5, 2.0)
    positive, negative = found.of(np.array([["a", "b"], ["c", "d"]]))
    assert positive.tolist() == ["b", "c"] and negative.tolist() == ["a", "d"]


def test_what_cannot_be_rewarded_is_refused():
    with pytest.raises(ValueError, match="leave out"):
        better_of_pairs(np.array([[1.0, np.nan]]))
    with pytest.raises(ValueError, match="NaN"):
        greedy_split(np.zeros((2, 2, 1)), lambda chosen: float("nan"), np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"\[P, 2, d\]"):
        greedy_split(np.zeros((2, 3, 1)), lambda chosen: 0.0, np.random.default_rng(0))
