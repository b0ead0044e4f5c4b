from __future__ import annotations

import numpy as np
import pytest

from envs.auction import Auction
from envs.contract import EnvironmentContract
from envs.market import Market, settle
from envs.tasks import make_task


class TestAuction(EnvironmentContract):
    def task(self):
        return make_task("envs.auction:Auction", auctions=20, budget=30)


@pytest.mark.parametrize("seed", range(5))
def test_it_pays_what_its_auctions_settle_for(seed):
    env = Auction(auctions=6, budget=15, market=1)
    kinds, prices = env.market.drawn(6, np.random.default_rng(seed))
    timestep, money = env.reset(seed), np.array([15])
    for at in range(6):
        clicks = env.market.clicks[kinds[at : at + 1]]
        _, purse, shown = timestep.observation["auction"]
        assert purse * 15 == pytest.approx(money[0]) and shown * env.market.clicks.max() == pytest.approx(clicks[0])
        reward, money = settle(np.array([7]), prices[at : at + 1], clicks, money)
        timestep = env.step(7)
        assert timestep.reward == reward[0] and timestep.last == (at == 5)


def test_an_episode_ends_with_its_last_auction_and_says_what_is_left():
    free = Market(np.array([0.25]), np.ones(1), np.array([[0.0, 1.0]]))
    env = Auction(auctions=3, budget=4, market=free)
    assert env.reset(0).observation["auction"].tolist() == [1.0, 1.0, 1.0]
    assert env.step(0).reward == 0.0 and env.step(1).reward == 0.25
    assert env.render() == "1 auctions left (33%), budget 3, clicks 1.00 of the most"
    last = env.step(1)
    assert (last.last, last.discount, last.observation["auction"].tolist()) == (True, 0.0, [0.0, 0.5, 1.0])
    with pytest.raises(ValueError, match="expected at least 1"):
        Auction(auctions=0)
