"""`Influence`: who of their friends initial adopters should win over, so that news reaches most of a network.

`guerdon train task=envs.influence:Influence`. What to pick before anything spreads is found by `rewards.data.quotas`
and `rewards.data.certified`.

Whoever has the news passes it on to each neighbour once, u to v with chance p_uv (the independent cascade model). Each
adopter u may pick at most k of those offered to it, S_u ⊆ N(u); what is picked spreads by itself:

    maximise σ(∪_u S_u) = E[nodes reached],    σ(S) = n · P(a random node's reverse-reachable set meets S)

A reverse-reachable set holds whoever would have reached a node: one cascade against the direction of the edges.

Source: CIM, Capacity Constrained Influence Maximization in Social Networks (Zhang et al. 2023), in which all is chosen
before anything spreads. Chosen here: as an environment, picks spread at once, and whoever picks next sees what was
reached (each edge is tried once, so that the sum of rewards is a draw of σ for picks that do not look); adopters take
turns; random networks are of preferential attachment with p_uv = 1 / degree of v.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.specs import ArraySpec, Discrete, EnvSpec
from envs.timestep import TimeStep, restart, termination, transition

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


class Network(NamedTuple):
    """Who influences whom, and what the adopters may choose from.

    Attributes:
        chances: p_uv of each pair, 0 where there is no edge `[n, n]`.
        offered: whom each adopter may pick `[A, n]`.
    """

    chances: Floats
    offered: Bools


def random_network(seed: int, nodes: int = 50, adopters: int = 5, edges: int = 3) -> Network:
    """Newcomers befriend the well befriended; adopters are random, and are offered their friends but no adopters.

    Args:
        seed: of everything.
        nodes: n.
        adopters: A, at most n.
        edges: friends of each newcomer, below n.

    Raises:
        ValueError: numbers that do not fit.
    """
    if not (1 <= adopters <= nodes and 1 <= edges < nodes):
        raise ValueError(f"got {nodes} nodes, {adopters} adopters and {edges} edges; expected A ≤ n and edges < n")
    random, friends = np.random.default_rng(seed), np.zeros((nodes, nodes), np.bool_)
    friends[: edges + 1, : edges + 1] = ~np.eye(edges + 1, dtype=np.bool_)
    for node in range(edges + 1, nodes):
        degree = friends[:node, :node].sum(0)
        chosen = random.choice(node, edges, replace=False, p=degree / degree.sum())
        friends[node, chosen] = friends[chosen, node] = True
    who = random.permutation(nodes)[:adopters]
    offered = friends[who]
    offered[:, who] = False
    return Network(friends / friends.sum(0), offered)


def cascade(chances: Floats, start: Bools, random: np.random.Generator, reached: Bools | None = None) -> Bools:
    """Who has the news at the end of R independent cascades `[R, n]`.

    Args:
        chances: `[n, n]`, from row to column.
        start: who passes it on first `[R, n]`.
        random: of every edge.
        reached: who had it before, and has already tried to pass it on `[R, n]`; nobody by default.

    Raises:
        ValueError: shapes that do not fit, or chances outside of 0 to 1.
    """
    if start.ndim != 2 or chances.shape != (start.shape[1],) * 2 or not ((chances >= 0) & (chances <= 1)).all():
        raise ValueError(f"got chances {chances.shape} from {start.shape}; expected [n, n], from 0 to 1, and [R, n]")
    spared = np.log(np.maximum(1 - chances, 1e-300))
    known = start.copy() if reached is None else reached | start
    new = start if reached is None else start & ~reached
    while new.any():
        # All that are new try at once; no edge is tried again.
        new = (random.random(new.shape) > np.exp(new @ spared)) & ~known
        known |= new
    return known


def reverse_reachable(chances: Floats, number: int, random: np.random.Generator) -> Bools:
    """Reverse-reachable sets of random nodes `[number, n]`: whoever would have reached it."""
    roots = random.integers(0, len(chances), number)
    return cascade(chances.T, roots[:, None] == np.arange(len(chances)), random)


class Influence:
    """The choice of friends as an `Environment`: adopters pick one node each in turn, `capacity` rounds of them.

    It shows whose turn it is (`turn` `[A]`), who is offered to it (`offered` `[n]`) and who has the news (`reached`
    `[n]`). The reward is how many the pick has brought it to; a pick that was not offered is lost.

    Args:
        capacity: k, picks of each adopter.
        network: seed of `random_network`, or a network.
    """

    def __init__(self, capacity: int = 2, network: int | Network = 0) -> None:
        if capacity < 1:
            raise ValueError(f"got capacity={capacity}; expected at least 1")
        self.network = random_network(network) if isinstance(network, int) else network
        self._adopters, nodes = self.network.offered.shape
        self._picks = capacity * self._adopters
        shown = {"turn": self._adopters, "offered": nodes, "reached": nodes}
        self._spec = EnvSpec({name: ArraySpec((size,), "uint8") for name, size in shown.items()}, Discrete(nodes))
        self._random, self._reached, self._step = np.random.default_rng(0), np.zeros(nodes, np.bool_), 0

    @property
    def spec(self) -> EnvSpec:
        """Whose turn it is, who is offered, who is reached; the action is a node."""
        return self._spec

    def reset(self, seed: int) -> TimeStep:
        """Begin an episode; `seed` decides which edges will pass the news on."""
        self._random, self._step = np.random.default_rng(seed), 0
        self._reached = np.zeros_like(self._reached)
        return restart(self._observe())

    def step(self, action: Any) -> TimeStep:
        """Pick a node for the adopter whose turn it is."""
        before = self._reached
        if self.network.offered[self._step % self._adopters, int(action)]:
            start = np.arange(len(before)) == int(action)
            self._reached = cascade(self.network.chances, start[None], self._random, before[None])[0]
        self._step += 1
        gained = float(self._reached.sum() - before.sum())
        if self._step == self._picks:
            return termination(gained, self._observe())
        return transition(gained, self._observe())

    def render(self) -> str:
        """Whose turn it is, and how many are reached."""
        return f"adopter {self._step % self._adopters}, {self._reached.sum()} of {len(self._reached)} reached"

    def close(self) -> None:
        """Nothing to free."""

    def _observe(self) -> dict[str, NDArray[np.uint8]]:
        turn = self._step % self._adopters
        seen = {
            "turn": np.arange(self._adopters) == turn,
            "offered": self.network.offered[turn],
            "reached": self._reached,
        }
        return {name: values.astype(np.uint8) for name, values in seen.items()}
