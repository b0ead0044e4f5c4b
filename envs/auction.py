"""`Auction`: bid for impressions one after another, with a budget for all of them.

`guerdon train task=envs.auction:Auction`. What bids are worth, and the best ones, is in `envs.bidding`, exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.market import Market, random_market, settle
from envs.specs import ArraySpec, Discrete, EnvSpec
from envs.timestep import TimeStep, restart, termination, transition


class Auction:
    """A second-price auction a step; the reward is the impression's rate of clicks, where it was won.

    Shown are the share of auctions that are left, the share of the budget, and the rate of clicks of the impression,
    over the highest there is. A bid above what is left of the budget is one of all that is left.

    Args:
        auctions: of an episode.
        budget: for all of them.
        market: seed of `random_market`, or a market.
    """

    def __init__(self, auctions: int = 50, budget: int = 75, market: int | Market = 0) -> None:
        if auctions < 1 or budget < 0:
            raise ValueError(f"got {auctions} auctions and a budget of {budget}; expected at least 1, and at least 0")
        self.market = random_market(market) if isinstance(market, int) else market
        self._auctions, self._budget = auctions, budget
        self._left, self._money = 0, 0
        self._kinds = self._prices = np.zeros(0, np.int64)
        self._spec = EnvSpec({"auction": ArraySpec((3,), "float32")}, Discrete(self.market.highest + 1))

    @property
    def spec(self) -> EnvSpec:
        """Three numbers, and bids from 0 to the highest price."""
        return self._spec

    def reset(self, seed: int) -> TimeStep:
        """Begin an episode: `seed` draws its impressions and their prices."""
        self._kinds, self._prices = self.market.drawn(self._auctions, np.random.default_rng(seed))
        self._left, self._money = self._auctions, self._budget
        return restart(self._observe())

    def step(self, action: Any) -> TimeStep:
        """Bid for the impression that is shown."""
        at = self._auctions - self._left
        here = slice(at, at + 1)
        clicks = self.market.clicks[self._kinds[here]]
        reward, money = settle(np.array([int(action)]), self._prices[here], clicks, np.array([self._money]))
        self._money, self._left = int(money[0]), self._left - 1
        made = transition if self._left else termination
        return made(float(reward[0]), self._observe())

    def render(self) -> str:
        """What is left, and what is offered."""
        left, _, clicks = self._observe()["auction"]
        return f"{self._left} auctions left ({left:.0%}), budget {self._money}, clicks {clicks:.2f} of the most"

    def close(self) -> None:
        """Nothing to free."""

    def _observe(self) -> dict[str, NDArray[np.float32]]:
        kind = self._kinds[min(self._auctions - self._left, self._auctions - 1)]  # the last one stays to be seen
        most = max(float(self.market.clicks.max()), 1e-12)
        shown = (self._left / self._auctions, self._money / max(self._budget, 1), self.market.clicks[kind] / most)
        return {"auction": np.array(shown, np.float32)}
