"""A market of impressions: how often they are clicked, what they cost, and how an auction of second price is settled.

Each auction brings an impression of some kind, whose rate of clicks θ is known, and a price δ that is not. A bid a wins
where a ≥ δ: it is paid θ, and the budget falls by δ.

Source: RLB, Real-Time Bidding by Reinforcement Learning in Display Advertising (Cai et al. 2017). Kinds of impressions
stand for their features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Market:
    """What is auctioned.

    Attributes:
        clicks: θ of each kind of impression, not negative `[K]`.
        shares: how often a kind comes; they sum to 1 `[K]`.
        prices: chance that a kind costs 0, 1, 2, …; rows sum to 1 `[K, P]`.
    """

    clicks: Floats
    shares: Floats
    prices: Floats

    def __post_init__(self) -> None:
        """Hold it to what it says.

        Raises:
            ValueError: shapes that do not fit, negative rates, or chances that do not sum to 1.
        """
        if (
            self.clicks.ndim != 1
            or self.clicks.shape != self.shares.shape
            or self.prices.shape[:-1] != self.shares.shape
        ):
            raise ValueError(
                f"got clicks {self.clicks.shape}, shares {self.shares.shape} and prices {self.prices.shape}; "
                "expected [K], [K] and [K, P]"
            )
        chances = (self.shares, *self.prices)
        if (self.clicks < 0).any() or any((c < 0).any() or not np.isclose(c.sum(), 1) for c in chances):
            raise ValueError("got negative rates, or chances that do not sum to 1; expected θ >= 0, and rows that do")

    @property
    def highest(self) -> int:
        """The highest price: no bid need be above it."""
        return int(self.prices.shape[1]) - 1

    @property
    def averaged(self) -> Market:
        """The market of one kind that is as this one in the mean."""
        return Market(self.shares @ self.clicks[:, None], np.ones(1), self.shares[None] @ self.prices)

    def drawn(self, number: int, random: np.random.Generator) -> tuple[Ints, Ints]:
        """Impressions of an auction each: their kinds and their prices `[N]`."""
        kinds = random.choice(len(self.clicks), number, p=self.shares)
        dearer = self.prices.cumsum(1)[kinds] < random.random((number, 1))
        return kinds, dearer.sum(1).clip(max=self.highest)


def random_market(seed: int, kinds: int = 6, highest: int = 20, related: float = 0.4) -> Market:
    """A market whose rates of clicks and prices are log-normal; none is free.

    Args:
        seed: of the rates.
        kinds: of impressions, all equally frequent.
        highest: price.
        related: how much dearer more clicks are: the power of the rate that typical prices grow with.
    """
    random = np.random.default_rng(seed)
    clicks = 0.1 * np.exp(0.9 * random.standard_normal(kinds))
    typical = 5 * (clicks / clicks.mean()) ** related
    prices = np.exp(-np.square(np.log(np.arange(1, highest + 1) / typical[:, None])) / (2 * 0.6**2))
    prices = np.pad(prices / prices.sum(1, keepdims=True), ((0, 0), (1, 0)))
    return Market(clicks.clip(max=1), np.full(kinds, 1 / kinds), prices)


def settle(bid: Ints, price: Ints, clicks: Floats, budget: Ints) -> tuple[Floats, Ints]:
    """What is earned in one auction, and the budget after it `[N]` each; nobody bids more than there is."""
    won = np.minimum(bid, budget) >= price
    return np.where(won, clicks, 0.0), budget - np.where(won, price, 0)
