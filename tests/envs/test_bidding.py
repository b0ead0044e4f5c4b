from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.bidding import best_bids, best_values, rlb, strategy_worth
from envs.market import Market, random_market, settle

COIN = Market(np.array([0.5]), np.ones(1), np.array([[0.0, 0.5, 0.0, 0.5]]))  # a click of two, for 1 or for 3


def test_values_and_bids_by_hand():
    values = best_values(COIN, auctions=2, budget=3)
    assert values[1].tolist() == [0.0, 0.25, 0.25, 0.5]
    # With 3 and two auctions left: what costs 1 earns 0.5 + 0.25 where losing keeps 0.5; what costs 3 is all the same.
    assert values[2].tolist() == [0.0, 0.375, 0.5, 0.625]
    assert best_bids(values[1], np.array([3, 2, 0]), np.full(3, 0.5), 3).tolist() == [3, 2, 0]
    assert best_bids(values[1], np.array([3]), np.array([0.2]), 3).tolist() == [0]  # not worth the 0.25 that 1 costs


@given(st.integers(0, 10_000))
def test_without_a_budget_there_is_nothing_and_more_of_it_is_never_worse_up_to_a_click_an_auction(seed):
    market = random_market(seed, kinds=3, highest=6)
    values = best_values(market, auctions=5, budget=12)
    assert (values[:, 0] == 0).all()
    assert (np.diff(values, axis=1) >= -1e-12).all() and (np.diff(values, axis=0) >= -1e-12).all()
    assert (values <= np.arange(6)[:, None] * market.averaged.clicks + 1e-12).all()


@given(st.integers(0, 10_000))
def test_with_money_for_all_every_auction_is_won(seed):
    market = random_market(seed, kinds=3, highest=6)
    values = best_values(market, auctions=4, budget=24)
    assert values[4, 24] == pytest.approx(4 * float(market.shares @ market.clicks))
    assert best_bids(values[3], np.full(3, 24), market.clicks, 6).tolist() == [6, 6, 6]


@given(st.integers(0, 10_000))
def test_nothing_earns_more_than_the_exact_bids_which_are_worth_their_value(seed):
    market, random = random_market(seed, kinds=3, highest=6), np.random.default_rng(seed)
    exact = best_values(market, 5, 12)
    assert np.allclose(strategy_worth(market, 5, 12, rlb(exact, 6)).clicks, exact)
    averaged = best_values(market.averaged, 5, 12)
    for strategy in (rlb(averaged, 6), lambda left, budget, clicks: random.integers(0, 7, len(budget))):
        assert (strategy_worth(market, 5, 12, strategy).clicks <= exact + 1e-12).all()


def test_what_is_spent_is_counted_too():
    worth = strategy_worth(COIN, 1, 3, lambda left, budget, clicks: np.minimum(budget, 3))
    assert worth.cost[1].tolist() == [0.0, 0.5, 0.5, 2.0]


def test_played_often_a_strategy_earns_and_spends_what_it_is_worth():
    market, random = random_market(0, kinds=3, highest=6), np.random.default_rng(0)
    bids, money, earned = rlb(best_values(market.averaged, 4, 9), 6), np.full(20_000, 9), 0.0
    for left in range(4, 0, -1):
        kinds, prices = market.drawn(len(money), random)
        clicks = market.clicks[kinds]
        reward, money = settle(bids(left, money, clicks), prices, clicks, money)
        earned += reward.mean()
    worth = strategy_worth(market, 4, 9, bids)
    assert earned == pytest.approx(worth.clicks[4, 9], rel=0.02)
    assert 9 - money.mean() == pytest.approx(worth.cost[4, 9], rel=0.02)


def test_budgets_that_values_are_not_known_for_are_refused():
    with pytest.raises(ValueError, match="from 0 to 3"):
        best_bids(np.zeros(4), np.array([4]), np.ones(1), 2)
