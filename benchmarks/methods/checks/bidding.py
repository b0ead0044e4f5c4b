"""Check of bids under a budget: by dynamic programming, by rules that are tuned, and by a policy that learns them.

Everything is measured exactly, in markets of six kinds of impressions with log-normal rates of clicks and prices. A
budget is given as a share of what all auctions of an episode would cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch

from benchmarks.methods.experiment import Check, Found
from envs.bidding import Strategy, best_values, rlb, strategy_worth
from envs.market import Floats, Ints, Market, random_market, settle

AUCTIONS, SHARES = 50, (32, 16, 8, 4, 2)
"""Of an episode, and one over the budgets that are learnt for."""
SHOWN = (32, 8, 2)
"""One over the budgets that are measured."""


def mean_price(market: Market) -> float:
    """Of an auction."""
    return float(market.averaged.prices[0] @ np.arange(market.highest + 1))


def budgets(market: Market) -> dict[int, int]:
    """By one over their share of the cost of all auctions."""
    return {share: int(AUCTIONS * mean_price(market) / share) for share in SHARES}


def whole(bids: Floats, market: Market) -> Ints:
    """The nearest bids that there are."""
    return np.rint(bids).astype(np.int64).clip(max=market.highest)


def linear(market: Market, base: float) -> Strategy:
    """Bids in proportion to the rate of clicks, `base` for the mean rate."""
    return lambda left, budget, clicks: whole(base * clicks / market.averaged.clicks, market)


def constant(base: int) -> Strategy:
    """The same bid for everything."""
    return lambda left, budget, clicks: np.full(len(budget), base)


# --- a policy that learns --------------------------------------------------------------------------------------------


def features(left: int, budget: Ints) -> Floats:
    """What the scale of a bid is linear in, of auctions and money left `[N, 5]`."""
    purse, time = np.log((budget + 1) / left), left / AUCTIONS
    return np.stack([np.ones_like(purse), purse, purse**2 / 4, np.full_like(purse, time), purse * time], 1)


def scaled(market: Market, weights: Floats) -> Strategy:
    """Bids in proportion to the rate of clicks, on a scale that follows the money and the time."""

    def bids(left: int, budget: Ints, clicks: Floats) -> Ints:
        scale = np.exp((features(left, budget) @ weights).clip(-3, 5))
        return whole(scale * clicks / market.averaged.clicks, market)

    return bids


def learnt(market: Market, seed: int, updates: int = 200, members: int = 64, noise: float = 0.3) -> Strategy:
    """REINFORCE on the logarithm of that scale, from what auctions pay; of prices it knows the mean, to begin with."""
    random, purses = np.random.default_rng(seed), list(budgets(market).values())
    weights = torch.tensor([np.log(mean_price(market)), 0.0, 0.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([weights], 0.01)
    for _ in range(updates):
        money, number = np.repeat(purses, members), members * len(purses)
        seen, moved, paid = [], [], []
        for left in range(AUCTIONS, 0, -1):
            kinds, prices = market.drawn(number, random)
            shown, push = features(left, money), noise * random.standard_normal(number)
            scale = np.exp((shown @ weights.detach().numpy() + push).clip(-3, 5))
            bids = whole(scale * market.clicks[kinds] / market.averaged.clicks, market)
            reward, money = settle(bids, prices, market.clicks[kinds], money)
            seen.append(shown)
            moved.append(push)
            paid.append(reward)
        after = np.cumsum(paid[::-1], 0)[::-1].reshape(AUCTIONS, len(purses), members)
        gain = (after - after.mean(2, keepdims=True)) / (after.std(2, keepdims=True) + 1e-8)
        slope = torch.as_tensor(gain.reshape(AUCTIONS, number) * np.array(moved) / noise**2)
        loss = -(slope * (torch.as_tensor(np.array(seen)) @ weights)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return scaled(market, weights.detach().numpy())


def strategies(market: Market, how: str, most: int, seed: int) -> list[Strategy]:
    """What is tried: one strategy, or all of a family that is tuned."""
    if how == "constant":
        return [constant(base) for base in range(1, market.highest + 1)]
    if how == "linear":
        return [linear(market, base) for base in np.arange(0.5, market.highest + 0.1, 0.5)]
    if how == "truthful":  # a click is worth what it costs where everything is won
        return [linear(market, mean_price(market))]
    if how == "learnt":
        return [learnt(market, seed)]
    known = market.averaged if how == "RLB" else market
    return [rlb(best_values(known, AUCTIONS, most), market.highest)]


def bid(seed: int, how: str) -> Mapping[str, float]:
    """Clicks of a way to bid, as shares of the best there are, and what they cost; the best of a family by clicks.

    Args:
        seed: of the market, and of learning.
        how: which way.
    """
    market = random_market(seed)
    purses = budgets(market)
    most = max(purses.values())
    best = best_values(market, AUCTIONS, most)[AUCTIONS]
    tried = [strategy_worth(market, AUCTIONS, most, one) for one in strategies(market, how, most, seed)]
    measured = {}
    for share in SHOWN:
        purse = purses[share]
        clicks, cost = max((float(w.clicks[AUCTIONS, purse]), float(w.cost[AUCTIONS, purse])) for w in tried)
        measured[f"clicks at 1/{share}"] = clicks / float(best[purse])
        measured[f"cost a click at 1/{share}"] = cost / clicks
    return measured


def _more_clicks(found: Found) -> bool:
    at = [f"clicks at 1/{share}" for share in SHOWN]
    return all(
        found.above("RLB", other, clicks) for other in ("linear", "constant", "truthful") for clicks in at
    ) and all(found.interval("learnt", clicks)[0] > 0.95 for clicks in at)


RLB = Check(
    row=102,
    name="budgeted-auction-env",
    claim="With budgets of 1/32, 1/8 and 1/2 of what all auctions cost, bids by dynamic programming in the averaged "
    "market have more clicks than linear bids and constant bids, each tuned to market and budget, and than truthful "
    "ones; a policy that learns by playing has more than 0.95 of the clicks of the best bids.",
    arms={how: partial(bid, how=how) for how in ("exact", "RLB", "linear", "constant", "truthful", "learnt")},
    holds=_more_clicks,
    units={f"clicks at 1/{share}": "of the best bids' clicks" for share in SHOWN},
)
