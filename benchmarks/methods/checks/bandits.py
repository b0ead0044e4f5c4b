"""Check of rewards for agents that learn to play bandits: payoffs, arms' means, or the imitation of UCB."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.bandits import ARMS, Agent, Family, Played, Player, Ucb, drawn, play
from benchmarks.methods.worlds.menu import view
from rewards.columns import Column
from rewards.evaluation.exploration import cumulative_regret, greedy_fraction, suffix_failures
from rewards.sources.bandits import algorithmic_reward, strategic_reward
from rewards.views.layout import Layout

Floats = NDArray[np.float64]
Paid = Callable[[Played], Floats]
GROUPS, MEMBERS, STEPS, LONG = 12, 6, 50, 300
CREDIT = view(
    {"paid": "step"},
    {"part": "returns", "of": "paid", "gamma": 0.9, "to": "reward"},
    {"part": "position_relative", "preset": "tp_grpo", "of": "reward"},
)
"""What follows within about ten steps, against other games of the same bandit at the same step."""


def loss(agent: Agent, paid: Paid | None, random: np.random.Generator) -> Tensor:
    """Of one batch: policy gradient with a reward, or, where there is none, −log p of what UCB plays."""
    means = np.repeat(drawn(random, GROUPS), MEMBERS, axis=0)
    games = play(Ucb() if paid is None else agent, means, STEPS, random)
    if paid is None:
        return -agent.log_prob(games).mean()
    layout = Layout.of(np.full(len(means), STEPS), np.repeat(np.arange(GROUPS), MEMBERS))
    advantage = CREDIT.apply({"paid": Column.full(paid(games).ravel())}, layout).advantage
    if advantage is None:
        raise ValueError("got a view without an advantage; expected one that writes it")
    return -(agent.log_prob(games) * torch.as_tensor(advantage.values).view(-1, STEPS)).mean()


def noise(agent: Agent, paid: Paid | None, random: np.random.Generator, batches: int = 16) -> float:
    """Variance of a batch's gradient, over the square of its mean (without the variance that is left in it)."""
    found = []
    for _ in range(batches):
        own = torch.autograd.grad(loss(agent, paid, random), list(agent.parameters()))
        found.append(torch.cat([one.flatten() for one in own]))
    gradients = torch.stack(found)
    variance = float(gradients.var(0).sum())
    return variance / max(float(gradients.mean(0).square().sum()) - variance / batches, 1e-12)


def trained(seed: int, paid: Paid | None, updates: int = 120) -> Mapping[str, float]:
    """How an agent plays new bandits after training, beside UCB on the same ones.

    Args:
        seed: of everything.
        paid: the reward of each step `[B, T]`; None clones UCB.
        updates: batches.
    """
    random, agent = np.random.default_rng(seed), Agent(seed)
    apart = noise(agent, paid, random)
    optimiser = torch.optim.Adam(agent.parameters(), 2e-2)
    for _ in range(updates):
        optimiser.zero_grad()
        loss(agent, paid, random).backward()
        optimiser.step()
    return {"noise of the gradient": apart, **measured(agent, seed)}


def measured(agent: Player, seed: int, number: int = 400) -> dict[str, float]:
    """Regret as a multiple of UCB's, and how greedy both are."""

    def games(player: Player, steps: int, family: Family = "bernoulli") -> Played:
        random = np.random.default_rng(10_000 + seed)
        return play(player, drawn(random, number), steps, random, family)

    def regret(own: Played) -> float:
        return float(cumulative_regret(own.means, own.chosen)[:, -1].mean())

    def failures(own: Played) -> float:
        return float(suffix_failures(own.means, own.chosen, own.chosen.shape[1] // 2).mean())

    own, ucb = games(agent, STEPS), games(Ucb(), STEPS)
    long, ucb_long = games(agent, LONG), games(Ucb(), LONG)
    return {
        "regret over UCB's": regret(own) / regret(ucb),
        "regret over UCB's, 300 steps": regret(long) / regret(ucb_long),
        "regret over UCB's, Gaussian": regret(games(agent, STEPS, "gaussian"))
        / regret(games(Ucb(), STEPS, "gaussian")),
        "suffix failures": failures(long),
        "suffix failures of UCB": failures(ucb_long),
        "greedy fraction": float(greedy_fraction(long.chosen, long.payoffs, ARMS).mean()),
        "greedy fraction of UCB": float(greedy_fraction(ucb_long.chosen, ucb_long.payoffs, ARMS).mean()),
    }


def original(games: Played) -> Floats:
    """What the arm happened to pay."""
    return games.payoffs


def strategic(games: Played) -> Floats:
    """How good the arm is."""
    return strategic_reward(games.means, games.chosen)


def algorithmic(games: Played) -> Floats:
    """Whether UCB would have played it."""
    return algorithmic_reward(games.chosen, games.payoffs, ARMS)


NAMES = ("regret over UCB's", "regret over UCB's, 300 steps")


def _as_good_and_greedier(found: Found) -> bool:
    """Less noise with the strategic reward, UCB's level at both lengths, and more failures than UCB."""
    failures = (found.values["strategic"][name] for name in ("suffix failures", "suffix failures of UCB"))
    return (
        found.below("strategic", "original", "noise of the gradient")
        and all(found.interval(arm, name)[1] <= 1.2 for arm in ("strategic", "algorithmic") for name in NAMES)
        and all(own > ucb for own, ucb in zip(*failures, strict=True))
    )


WHEN_GREEDY_WINS = Check(
    row=66,
    name="meta-bandit-rewards",
    claim="An untrained agent's policy gradient has less noise with the strategic reward than with payoffs; trained on "
    "50 steps with the strategic or the algorithmic reward, agents have at most 1.2 times UCB's regret, after 50 steps "
    "and after 300; with the strategic reward they never play the best arm again more often than UCB.",
    arms={
        "original": lambda seed: trained(seed, original),
        "strategic": lambda seed: trained(seed, strategic),
        "algorithmic": lambda seed: trained(seed, algorithmic),
        "cloning of UCB": lambda seed: trained(seed, None),
    },
    holds=_as_good_and_greedier,
    units={
        "noise of the gradient": "variance over square of the mean",
        **dict.fromkeys((*NAMES, "regret over UCB's, Gaussian"), "ratio"),
        **dict.fromkeys(("suffix failures", "suffix failures of UCB"), "share of bandits"),
        **dict.fromkeys(("greedy fraction", "greedy fraction of UCB"), "share of steps"),
    },
)
