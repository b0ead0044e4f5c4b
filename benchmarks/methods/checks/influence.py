"""Check of choices under quotas: friends whom a few adopters should win over, so that news reaches many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from envs.influence import Bools, Influence, Network, cascade, random_network, reverse_reachable
from rewards.data.certified import take_certified
from rewards.data.quotas import Order, Taken, take

Items = NDArray[np.int64]
Picked = tuple[list[Items], int]
"""Of each adopter, and the reverse-reachable sets that it took."""
Choose = Callable[[Network, int, np.random.Generator], Picked]
"""From a network, a capacity and a generator."""
NODES, ADOPTERS, CAPACITY, SETS = 150, 10, 3, 4096
TINY, TINY_SETS = 8, 20_000
"""Networks on which every choice is tried, and the sets that judge them."""


def at_random(network: Network, capacity: int, random: np.random.Generator) -> Picked:
    """Any friends of each."""
    return [random.permutation(np.flatnonzero(row))[:capacity] for row in network.offered], 0


def _first(network: Network, capacity: int, worth: NDArray[np.int64]) -> list[Items]:
    each = [np.flatnonzero(row) for row in network.offered]
    return [row[np.argsort(-worth[row], kind="stable")][:capacity] for row in each]


def by_degree(network: Network, capacity: int, random: np.random.Generator) -> Picked:
    """The friends of each who have most friends."""
    return _first(network, capacity, (network.chances > 0).sum(1)), 0


def alone(network: Network, capacity: int, random: np.random.Generator) -> Picked:
    """The friends of each who reach most by themselves, whoever else is picked."""
    return _first(network, capacity, reverse_reachable(network.chances, SETS, random).sum(0)), SETS


def greedy(network: Network, capacity: int, random: np.random.Generator, order: Order) -> Picked:
    """By MG-Greedy or RR-Greedy."""
    taken = take(reverse_reachable(network.chances, SETS, random).T, network.offered, capacity, order)
    return _of_each(network, taken), SETS


def rr_opim(network: Network, capacity: int, random: np.random.Generator) -> Picked:
    """By RR-Greedy with as few sets as it takes to be sure."""
    found = take_certified(lambda n: reverse_reachable(network.chances, n, random), network.offered, capacity)
    return _of_each(network, found.taken), found.drawn


def _of_each(network: Network, taken: Taken) -> list[Items]:
    return [taken.item[taken.owner == owner] for owner in range(len(network.offered))]


@cache
def tiny(seed: int) -> tuple[Network, Bools, float]:
    """A network of few choices, sets that judge them, and the best of them all."""
    network = random_network(seed, nodes=14, adopters=3, edges=2)
    sets = reverse_reachable(network.chances, TINY_SETS, np.random.default_rng(seed))
    every = product(*(list(combinations(np.flatnonzero(row), min(2, row.sum()))) for row in network.offered))
    unlike = {tuple(sorted({int(i) for part in choice for i in part})) for choice in every}
    return network, sets, max(float(sets[:, list(items)].any(1).mean()) for items in unlike)


def share_of_the_best(choose: Choose, seed: int) -> float:
    """The least share that a choice has of the best one's spread, over tiny networks."""
    shares = []
    for network, sets, best in map(tiny, range(TINY * seed, TINY * (seed + 1))):
        items = np.concatenate(choose(network, 2, np.random.default_rng(seed))[0])
        shares.append(float(sets[:, items].any(1).mean()) / best)
    return min(shares)


def chosen(seed: int, choose: Choose) -> Mapping[str, float]:
    """What a way to choose reaches, by cascades, by reverse-reachable sets, and in the environment.

    Args:
        seed: of the network and of everything else.
        choose: the way.
    """
    network, random = random_network(seed, NODES, ADOPTERS), np.random.default_rng(seed)
    picked, sets = choose(network, CAPACITY, random)
    items = np.concatenate(picked)
    forward = cascade(network.chances, np.tile(np.isin(np.arange(NODES), items), (4000, 1)), random).sum(1)
    backward = NODES * reverse_reachable(network.chances, 4000, random)[:, items].any(1)
    error = np.sqrt((forward.var() + backward.var()) / 4000)
    return {
        "spread": float(forward.mean()),
        "return in the environment": returns(network, picked),
        "estimates apart": float(abs(forward.mean() - backward.mean()) / error),
        "least share of the best": share_of_the_best(choose, seed),
        "sets": float(sets),
    }


def returns(network: Network, picked: list[Items], episodes: int = 100) -> float:
    """The mean return of adopters who pick these; who was offered too few picks one of them again."""
    world, total = Influence(CAPACITY, network), 0.0
    for seed in range(episodes):
        world.reset(seed)
        for turn in range(CAPACITY):
            total += sum(world.step(mine[turn % len(mine)] if len(mine) else 0).reward for mine in picked)
    return total / episodes


def _more_than_any_simple_way(found: Found) -> bool:
    ways, simple = ("MG-Greedy", "RR-Greedy", "RR-OPIM+"), ("random", "degree", "largest alone")
    return all(
        min(found.values[arm]["least share of the best"]) >= 0.5
        and all(found.above(arm, other, "spread") for other in simple)
        for arm in ways
    ) and all(max(measures["estimates apart"]) <= 3 for measures in found.values.values())


CIM = Check(
    row=165,
    name="capacity-constrained-influence-max",
    claim="Friends chosen greedily under the capacity of each adopter reach more than random ones, than those with "
    "most friends, and than those who reach most alone; on tiny networks they have at least half of the best spread; "
    "and the estimate by reverse-reachable sets is within 3 standard errors of that by cascades.",
    arms={
        "random": lambda seed: chosen(seed, at_random),
        "degree": lambda seed: chosen(seed, by_degree),
        "largest alone": lambda seed: chosen(seed, alone),
        "MG-Greedy": lambda seed: chosen(seed, partial(greedy, order="marginal")),
        "RR-Greedy": lambda seed: chosen(seed, partial(greedy, order="round_robin")),
        "RR-OPIM+": lambda seed: chosen(seed, rr_opim),
    },
    holds=_more_than_any_simple_way,
    units={"spread": "nodes", "return in the environment": "nodes", "estimates apart": "standard errors"},
)
