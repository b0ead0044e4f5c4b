"""Bandits to be played from nothing, many at once, and an agent that has learnt how by playing others.

Each bandit has arms whose means are drawn between 0 and 1. The agent sees how often each arm was played and what it
paid on average, and how long the game has lasted; it scores each arm alike, whatever its number.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rewards.sources.bandits import seen, ucb_choices

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Family = Literal["bernoulli", "gaussian"]
ARMS = 5
DEVIATION = 0.5
"""Of Gaussian payoffs."""


class Played(NamedTuple):
    """Games: means of the arms `[B, K]`, which was played at each step, and what it paid `[B, T]`."""

    means: Floats
    chosen: Ints
    payoffs: Floats


class Player(Protocol):
    """Who plays."""

    def chances(self, count: Floats, total: Floats) -> Floats:
        """Of each arm `[B, K]`, after what was seen of it `[B, K]`."""
        ...


class Ucb:
    """Upper confidence bounds; an arm by chance where several are equal."""

    def chances(self, count: Floats, total: Floats) -> Floats:
        """Equal ones for all that it may choose."""
        allowed = ucb_choices(count, total).astype(np.float64)
        found: Floats = allowed / allowed.sum(-1, keepdims=True)
        return found


class Agent(nn.Module):
    """A small network that scores an arm by what was seen of it, and plays by a softmax over the scores."""

    def __init__(self, seed: int, hidden: int = 16) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.score = nn.Sequential(
            nn.Linear(4, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def log_probs(self, count: Floats, total: Floats) -> Tensor:
        """Of each arm `[..., K]`, after what was seen of it `[..., K]`."""
        mean = np.where(count > 0, total / np.maximum(count, 1.0), 0.5)
        best, played = np.broadcast_arrays(mean.max(-1, keepdims=True), count.sum(-1, keepdims=True), mean)[:2]
        features = np.stack([mean, best, 1 / np.sqrt(1 + count), 1 / np.sqrt(1 + played)], -1)
        found: Tensor = self.score(torch.as_tensor(features, dtype=torch.float32))[..., 0].log_softmax(-1)
        return found

    @torch.no_grad()
    def chances(self, count: Floats, total: Floats) -> Floats:
        """Of each arm `[B, K]`."""
        found: Floats = self.log_probs(count, total).exp().double().numpy()
        return found

    def log_prob(self, games: Played) -> Tensor:
        """Of what was played at each step `[B, T]`."""
        every = self.log_probs(*seen(games.chosen, games.payoffs, ARMS))
        return every.gather(-1, torch.as_tensor(games.chosen)[..., None])[..., 0]


def drawn(random: np.random.Generator, number: int) -> Floats:
    """Means of the arms of that many bandits `[n, K]`."""
    return random.random((number, ARMS))


def play(
    player: Player, means: Floats, steps: int, random: np.random.Generator, family: Family = "bernoulli"
) -> Played:
    """One game of each bandit.

    Args:
        player: who plays.
        means: of the arms `[B, K]`.
        steps: T.
        random: of choices and payoffs.
        family: of the payoffs around their means.
    """
    number, rows = len(means), np.arange(len(means))
    count, total = np.zeros_like(means), np.zeros_like(means)
    chosen, payoffs = np.zeros((number, steps), np.int64), np.zeros((number, steps))
    for t in range(steps):
        reached = player.chances(count, total).cumsum(-1)
        arm = (reached > random.random((number, 1)) * reached[:, -1:]).argmax(-1)
        mu = means[rows, arm]
        paid = random.random(number) < mu if family == "bernoulli" else random.normal(mu, DEVIATION)
        chosen[:, t], payoffs[:, t] = arm, paid
        count[rows, arm] += 1
        total[rows, arm] += paid
    return Played(means, chosen, payoffs)
