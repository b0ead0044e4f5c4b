"""Bids for impressions under a budget: what they are worth, and the best ones, exactly.

With t auctions left, this one counted, and a budget b the value of the best bids in a market is

    V(t, b) = E max_a Σ_{δ≤a} m(δ) (θ + V(t − 1, b − δ)) + Σ_{δ>a} m(δ) V(t − 1, b)        V(0, ·) = 0
    a(t, b, θ) = max {A ≤ b : θ + V(t − 1, b − A) − V(t − 1, b) ≥ 0}

Source: RLB, Real-Time Bidding by Reinforcement Learning in Display Advertising (Cai et al. 2017), which has for V that
of a market of one kind, the average of all (`Market.averaged`), and bids with the true θ. E over kinds is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from envs.market import Floats, Ints, Market

Strategy = Callable[[int, Ints, Floats], Ints]
"""From how many auctions are left, this one counted, budgets `[N]` and rates of clicks `[N]`: bids `[N]`."""


class Worth(NamedTuple):
    """What a strategy earns, by auctions left and budget.

    Attributes:
        clicks: expected `[T + 1, B + 1]`.
        cost: what is expected to be spent `[T + 1, B + 1]`.
    """

    clicks: Floats
    cost: Floats


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
