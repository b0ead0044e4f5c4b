"""Auctions of second price under a budget: how they are settled, what bids are worth, and the best ones, exactly.

Of t auctions that are left each brings an impression of some kind, whose rate of clicks θ is known, and a price δ that
is not. A bid a wins where a ≥ δ: it is paid θ, and the budget b falls by δ. So the value of the best bids is

    V(t, b) = E max_a Σ_{δ≤a} m(δ) (θ + V(t − 1, b − δ)) + Σ_{δ>a} m(δ) V(t − 1, b)        V(0, ·) = 0
    a(t, b, θ) = max {A ≤ b : θ + V(t − 1, b − A) − V(t − 1, b) ≥ 0}

Source: RLB, Real-Time Bidding by Reinforcement Learning in Display Advertising (Cai et al. 2017), which has for V that
of a market of one kind, the average of all (`Market.averaged`), and bids with the true θ. E over kinds is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Strategy = Callable[[int, Ints, Floats], Ints]
"""From how many auctions are left, this one counted, budgets `[N]` and rates of clicks `[N]`: bids `[N]`."""


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


class Worth(NamedTuple):
    """What a strategy earns, by auctions left and budget.

    Attributes:
        clicks: expected `[T + 1, B + 1]`.
        cost: what is expected to be spent `[T + 1, B + 1]`.
    """

    clicks: Floats
    cost: Floats


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


def best_bids(following: Floats, budget: Ints, clicks: Floats, highest: int) -> Ints:
    """a(t, b, θ) `[N]` from V(t − 1, ·).

    Args:
        following: V(t − 1, ·) for budgets from 0 `[B + 1]`.
        budget: b `[N]`, at most B.
        clicks: θ `[N]`.
        highest: bid.

    Raises:
        ValueError: budgets that V is not known for.
    """
    if len(budget) and not 0 <= budget.min() <= budget.max() < len(following):
        raise ValueError(
            f"got budgets from {budget.min()} to {budget.max()}; expected them from 0 to {len(following) - 1}"
        )
    after = budget[:, None] - np.arange(highest + 1)
    worth_it = (clicks[:, None] + following[after.clip(min=0)] - following[budget, None] >= 0) & (after >= 0)
    return np.asarray(highest - worth_it[:, ::-1].argmax(1))  # the last bid that is; 0 always is


def best_values(market: Market, auctions: int, budget: int) -> Floats:
    """V of the best bids `[T + 1, B + 1]`: exact where kinds are told apart, RLB's where the market is averaged."""
    found = np.zeros((auctions + 1, budget + 1))
    for left in range(1, auctions + 1):
        bids = _by_kind(rlb(found, market.highest), market, left, budget)
        found[left] = _backup(market, found[left - 1], bids, market.clicks[:, None])
    return found


def rlb(values: Floats, highest: int) -> Strategy:
    """Bids by a table of V `[T + 1, B + 1]`."""
    return lambda left, budget, clicks: best_bids(values[left - 1], budget, clicks, highest)


def strategy_worth(market: Market, auctions: int, budget: int, strategy: Strategy) -> Worth:
    """Clicks and cost of any strategy in a market, exactly."""
    found = Worth(*np.zeros((2, auctions + 1, budget + 1)))
    price = np.arange(market.highest + 1, dtype=np.float64)[None]
    for left in range(1, auctions + 1):
        bids = _by_kind(strategy, market, left, budget)
        found.clicks[left] = _backup(market, found.clicks[left - 1], bids, market.clicks[:, None])
        found.cost[left] = _backup(market, found.cost[left - 1], bids, price)
    return found


def _by_kind(strategy: Strategy, market: Market, left: int, budget: int) -> Ints:
    """Bids of a strategy for every kind and budget `[K, B + 1]`."""
    budgets = np.tile(np.arange(budget + 1), len(market.clicks))
    return strategy(left, budgets, market.clicks.repeat(budget + 1)).reshape(-1, budget + 1)


def _backup(market: Market, following: Floats, bids: Ints, paid: Floats) -> Floats:
    """Expected sum `[B + 1]` of what is paid `[K, P]` now, where a bid wins, and of what follows."""
    price = np.arange(market.highest + 1)
    after = np.arange(len(following))[:, None] - price  # [B + 1, P]
    won = (price <= bids[..., None]) & (after >= 0)  # [K, B + 1, P]
    gain = paid[:, None] + following[after.clip(min=0)] - following[:, None]
    found: Floats = following + np.einsum("k,kp,kbp->b", market.shares, market.prices, np.where(won, gain, 0.0))
    return found
