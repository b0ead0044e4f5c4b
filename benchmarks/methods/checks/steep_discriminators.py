"""Check of discriminators that may not be steep: a point on a plane that imitates what little was kept of a few ways.

Learning is off-policy: fitted Q-iteration on random Fourier features, over all that was ever done, whose rewards are
those of the discriminator of now.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.tabular import Floats
from learners.objectives.gradient_penalty import gradient_norms, gradient_penalty, interpolated
from learners.objectives.occupancy import discriminator
from rewards.models.adversarial import adversarial_reward, preconditioned

MOVES = np.array([[x, y] for x in (-1, 0, 1) for y in (-1, 0, 1)], np.float64)
GOAL, SPEED, REACH, LONGEST, EPISODES = np.array([0.6, 0.6]), 0.15, 0.15, 25, 8
SHOWN, KEPT_EVERY = 4, 6
"""Demonstrations, and of how many steps one is kept."""
ROUNDS, FEATURES, SWEEPS, SAMPLE, GAMMA, RIDGE, EPSILON = 12, 120, 25, 600, 0.9, 0.05, 0.2
WEIGHT, LIMIT, STRENGTH, RATIOS = 10.0, 1.0, 1.0, (40, 120)
"""Of the gradient penalty its weight and k, α of PURPLE, and updates of the discriminator a round."""
SCALE = np.array([2.0, 2.0, 0.4, 0.4])
"""Of what a discriminator reads of a state and a move: steepness is counted in these units."""


def begun(number: int, random: np.random.Generator) -> Floats:
    """Where episodes begin `[N, 2]`."""
    return np.array([-0.7, -0.7]) + 0.1 * random.normal(size=(number, 2))


def moved(place: Floats, move: Floats, random: np.random.Generator) -> Floats:
    """Where points are after moves `[N, 2]`."""
    return np.clip(place + SPEED * move + 0.02 * random.normal(size=place.shape), -1, 1)


def demonstrated(random: np.random.Generator) -> tuple[Floats, float]:
    """What was kept of an expert's steps, states and moves `[E, 4]`, and what the expert gets a step."""
    place, seen, near = begun(SHOWN, random), [], []
    for t in range(LONGEST):
        way = GOAL - place
        move = np.sign(way) * (np.abs(way) > SPEED / 2)
        if t % KEPT_EVERY == 0:
            seen.append(np.concatenate([place, move], 1))
        place = moved(place, move, random)
        near.append(np.linalg.norm(place - GOAL, axis=1) < REACH)
    return np.concatenate(seen), float(np.mean(near))


class Values:
    """Q of all moves, linear in random Fourier features of a state and a move."""

    def __init__(self, random: np.random.Generator) -> None:
        """Nothing is worth anything."""
        self._ways = random.normal(size=(4, FEATURES)) * np.array([1.2, 1.2, 0.4, 0.4])[:, None]
        self._shift = random.uniform(0, 2 * np.pi, FEATURES)
        self.weights = np.zeros(FEATURES)

    def features(self, place: Floats, move: Floats) -> Floats:
        """`[…, FEATURES]`."""
        found: Floats = np.cos(np.concatenate([place, move], -1) @ self._ways + self._shift)
        return found

    def of_all(self, place: Floats) -> Floats:
        """Features of all moves `[N, 9, FEATURES]`."""
        each = np.broadcast_to(place[:, None], (len(place), len(MOVES), 2))
        return self.features(each, np.broadcast_to(MOVES, each.shape))

    def fit(self, place: Floats, move: Floats, after: Floats, reward: Floats) -> None:
        """Fitted Q-iteration, from the values of before."""
        here, there = self.features(place, move), self.of_all(after)
        solved = np.linalg.solve(here.T @ here + RIDGE * np.eye(FEATURES), here.T)
        most = reward.max() / (1 - GAMMA)
        for _ in range(SWEEPS):
            self.weights = solved @ np.clip(reward + GAMMA * (there @ self.weights).max(1), 0.0, most)


def played(values: Values, epsilon: float, random: np.random.Generator) -> tuple[Floats, float]:
    """Steps of episodes, `[N, 6]` of a state, a move and the state after it, and what is got a step."""
    place, steps, near = begun(EPISODES, random), [], []
    for _ in range(LONGEST):
        best = (values.of_all(place) @ values.weights).argmax(1)
        other = random.random(EPISODES) < epsilon
        move = MOVES[np.where(other, random.integers(0, len(MOVES), EPISODES), best)]
        after = moved(place, move, random)
        steps.append(np.concatenate([place, move, after], 1))
        near.append(np.linalg.norm(after - GOAL, axis=1) < REACH)
        place = after
    return np.concatenate(steps), float(np.mean(near))


def imitated(seed: int, arm: str, updates: int) -> tuple[float, float]:
    """What is got a step, as a share of what the expert gets, and where the reward is as flat as it may be.

    Args:
        seed: of everything.
        arm: `none`, `penalty`, or `PURPLE`, which does without the penalty.
        updates: of the discriminator a round.
    """
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    shown, worth = demonstrated(random)
    expert = torch.as_tensor(SCALE * shown, dtype=torch.float32)
    torch.manual_seed(seed)
    body = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    optimiser = torch.optim.Adam(body.parameters(), 2e-3)

    def logits(read: Tensor) -> Tensor:
        found: Tensor = body(read)[:, 0]
        return found

    def paid(read: Tensor) -> Tensor:
        return adversarial_reward(logits(read)[None])

    values, replay, got, flat = Values(random), np.zeros((0, 6)), [], []
    for number in range(ROUNDS):
        replay = np.concatenate([replay, played(values, EPSILON if number else 1.0, random)[0]])
        seen = torch.as_tensor(SCALE * replay[:, :4], dtype=torch.float32)
        for _ in range(updates):
            one = expert[torch.randint(len(expert), (64,), generator=generator)]
            other = seen[torch.randint(len(seen), (64,), generator=generator)]
            loss = discriminator(logits(one), logits(other))
            if arm == "penalty":
                between = interpolated(one, other, generator)
                loss = loss + WEIGHT * gradient_penalty(gradient_norms(logits, between), LIMIT)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        rows = random.integers(0, len(replay), SAMPLE)
        reward = paid(seen[rows]).detach()
        norms = gradient_norms(paid, seen[rows]).detach()
        flat.append(float((norms <= LIMIT).float().mean()))
        if arm == "PURPLE":
            reward = preconditioned(reward, norms, LIMIT, STRENGTH)
        values.fit(replay[rows, :2], replay[rows, 2:4], replay[rows, 4:], reward.double().numpy())
        got.append(played(values, 0.0, random)[1])
    return float(np.mean(got[-4:])) / worth, float(np.mean(flat[-4:]))


def tamed(seed: int, arm: str) -> Mapping[str, float]:
    """At both ratios of updates."""
    few, many = (imitated(seed, arm, updates) for updates in RATIOS)
    return {
        "return": few[0],
        "return, three times the updates": many[0],
        "between the two": abs(few[0] - many[0]),
        "flat enough": few[1],
    }


def _tamed(found: Found) -> bool:
    """The penalty is needed, however often the discriminator is updated, and does what it is for."""
    returns = ("return", "return, three times the updates")
    return all(found.above("gradient penalty", "no penalty", measure, by=0.1) for measure in returns) and found.above(
        "gradient penalty", "no penalty", "flat enough"
    )


LIPSCHITZ = Check(
    row=50,
    name="lipschitz-adversarial-reward",
    claim="Off-policy imitation of four demonstrations, of which every sixth step was kept, gets at least a tenth of "
    "the expert's return more with a gradient penalty than without, with two numbers of updates of the discriminator, "
    "and its reward is flat enough more often.",
    arms={
        "no penalty": lambda seed: tamed(seed, "none"),
        "gradient penalty": lambda seed: tamed(seed, "penalty"),
        "PURPLE alone": lambda seed: tamed(seed, "PURPLE"),
    },
    holds=_tamed,
    seeds=3,
    units={
        "return": "share of the expert's",
        "return, three times the updates": "share of the expert's",
        "between the two": "share of the expert's",
        "flat enough": "share of steps",
    },
)
