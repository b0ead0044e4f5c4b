from __future__ import annotations

import numpy as np
import pytest

from envs.market import Market, random_market, settle


def test_the_average_of_one_kind_is_itself_and_of_two_their_mean():
    one = Market(np.array([0.5]), np.ones(1), np.array([[0.0, 0.5, 0.0, 0.5]]))
    assert one.averaged.clicks.tolist() == [0.5] and one.averaged.prices.tolist() == one.prices.tolist()
    two = Market(np.array([0.2, 0.6]), np.array([0.75, 0.25]), np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert two.averaged.clicks == pytest.approx([0.3]) and two.averaged.prices.tolist() == [[0.25, 0.75]]


def test_a_bid_above_the_budget_is_one_of_all_that_is_left():
    reward, left = settle(np.array([5, 5, 2]), np.array([3, 3, 3]), np.full(3, 0.5), np.array([4, 2, 9]))
    assert reward.tolist() == [0.5, 0.0, 0.0] and left.tolist() == [1, 2, 9]


def test_what_is_drawn_comes_and_costs_as_often_as_the_market_says():
    market = random_market(0, kinds=3, highest=4)
    kinds, prices = market.drawn(20_000, np.random.default_rng(0))
    assert np.bincount(kinds) / len(kinds) == pytest.approx(market.shares, abs=0.015)
    for kind in range(3):
        found = np.bincount(prices[kinds == kind], minlength=5) / (kinds == kind).sum()
        assert found == pytest.approx(market.prices[kind], abs=0.02) and found[0] == 0


def test_bad_markets_are_refused():
    with pytest.raises(ValueError, match=r"\[K, P\]"):
        Market(np.ones(2), np.ones(1), np.ones((1, 1)))
    with pytest.raises(ValueError, match="sum to 1"):
        Market(np.ones(1), np.ones(1), np.ones((1, 2)))
