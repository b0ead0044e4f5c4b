"""Check of a search for what is not seen, and of who says when to grasp it: piles, one of which hides the target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from actors.search.bayesian import posterior, where_to_look
from actors.search.coordination import Coordinator
from benchmarks.methods.experiment import Check, Found
from rewards.sources.motions import motion_rewards

Floats = NDArray[np.float64]
Search = Literal["Bayesian", "belief", "value", "uniform"]
Grasp = Literal["coordinator", "value", "always"]
PILES, EPISODES, LONGEST = 12, 300, 60
SHOWN = np.array([0.0, 0.9, 0.6, 0.35])
"""Chance that a push at a pile of this height moves things, so that the target is seen if it is there."""
GRASPED = np.array([0.9, 0.6, 0.25, 0.05])
"""Chance of a grasp with so much around the target."""
BAD, WHEN_BAD, FREED = 0.4, 0.15, 0.7
"""How often the target lies badly till it is pushed, what that leaves of a grasp's chance, how often a push frees."""
GAMMA = 0.5


class Target:
    """The target once it is seen: what is around it is seen too, how it lies is not."""

    def __init__(self, random: np.random.Generator) -> None:
        """Somewhere in the clutter."""
        self.random, self.around, self.failures = random, int(random.integers(4)), 0
        self.bad = random.random() < BAD

    def push(self) -> bool:
        """It lies anew; whether there is less around it."""
        freed = self.around > 0 and self.random.random() < FREED
        self.around, self.failures, self.bad = self.around - freed, 0, self.random.random() < BAD
        return bool(freed)

    def grasp(self) -> bool:
        """Whether it is held."""
        held = self.random.random() < GRASPED[self.around] * (WHEN_BAD if self.bad else 1.0)
        self.failures += not held
        return bool(held)


@dataclass(frozen=True)
class Critic:
    """Values that an agent has learnt.

    Attributes:
        pile: of a push at a pile of each height `[4]`.
        push: of a push with so much around the target `[4]`.
        grasp: of a grasp `[4]`.
    """

    pile: Floats
    push: Floats
    grasp: Floats

    def features(self, seen: Sequence[tuple[int, int]]) -> Tensor:
        """What the coordinator reads `[B, 4]`, of what is around the target and how often it was missed."""
        around, failures = np.array(seen).T
        found = np.stack([self.push[around], self.grasp[around], around, failures], -1)
        return torch.as_tensor(found, dtype=torch.float32)


@cache
def learnt(seed: int, episodes: int = 1500, rate: float = 0.1) -> tuple[Critic, Coordinator]:
    """A critic by Q-learning from random motions, and a coordinator from the outcomes of the grasps among them."""
    random = np.random.default_rng([seed, EPISODES])
    critic = Critic(np.zeros(4), np.zeros(4), np.zeros(4))
    seen, outcomes = list[tuple[int, int]](), list[bool]()
    for _ in range(episodes):
        height = int(random.integers(1, 4))
        moved = bool(random.random() < SHOWN[height])
        critic.pile[height] += rate * (float(motion_rewards(False, False, moved)) - critic.pile[height])
        target, held = Target(random), False
        for _ in range(8):
            grasp, before = bool(random.random() < 0.5), (target.around, target.failures)
            did = target.grasp() if grasp else target.push()
            reward, held = float(motion_rewards(grasp, True, did)), grasp and did
            # What changed nothing has no future, as in the paper.
            future = max(critic.push[target.around], critic.grasp[target.around]) if did and not held else 0.0
            own = critic.grasp if grasp else critic.push
            own[before[0]] += rate * (reward + GAMMA * future - own[before[0]])
            if grasp:
                seen.append(before)
                outcomes.append(did)
            if held:
                break
    torch.manual_seed(seed)
    features, labels = critic.features(seen), torch.tensor(outcomes).float()
    coordinator = Coordinator(features)
    optimiser = torch.optim.Adam(coordinator.parameters(), 1e-2)
    for _ in range(300):
        loss = nn.functional.binary_cross_entropy_with_logits(coordinator(features), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return critic, coordinator


def searched(critic: Critic, search: Search, random: np.random.Generator) -> int:
    """Pushes until the target is seen, at most LONGEST; it lies under tall piles more often."""
    heights = random.integers(1, 4, PILES)
    place = int(random.choice(PILES, p=heights / heights.sum()))
    tries, values = np.zeros((0, PILES)), critic.pile[heights]
    for number in range(1, LONGEST + 1):
        if search == "uniform":
            pile = int(random.integers(PILES))
        elif search == "value":
            pile = int(random.choice(np.flatnonzero(values == values.max())))
        else:
            belief = posterior(heights, tries)
            pile = where_to_look(values if search == "Bayesian" else np.ones(PILES), belief)
        if pile == place and random.random() < SHOWN[heights[pile]]:
            return number
        # A push at a pile shows as often as it moves things: half of its value, which is half a unit when it does.
        tries = np.concatenate([tries, np.eye(PILES)[pile : pile + 1] * min(2 * values[pile], 0.99)])
    return LONGEST


def grasped(critic: Critic, coordinator: Coordinator, grasp: Grasp, random: np.random.Generator) -> int:
    """Motions until the target that is seen is held, at most LONGEST."""
    target = Target(random)
    for number in range(1, LONGEST + 1):
        if grasp == "coordinator":
            acts = bool(coordinator.acts(critic.features([(target.around, target.failures)])))
        else:
            acts = grasp == "always" or bool(critic.grasp[target.around] > critic.push[target.around])
        if not acts:
            target.push()
        elif target.grasp():
            return number
    return LONGEST


def found_and_grasped(seed: int, search: Search = "Bayesian", grasp: Grasp = "coordinator") -> Mapping[str, float]:
    """How many motions it takes to see the target, to hold it then, and both.

    Args:
        seed: of everything.
        search: where the next push goes: by value and belief, by one of them, or anywhere.
        grasp: who says whether to grasp.
    """
    critic, coordinator = learnt(seed)

    def mean(motions: Callable[[np.random.Generator], int]) -> float:
        return float(np.mean([motions(np.random.default_rng([seed, k])) for k in range(EPISODES)]))

    seen = mean(lambda random: searched(critic, search, random))
    held = mean(lambda random: grasped(critic, coordinator, grasp, random))
    return {"motions till it is seen": seen, "motions from then on": held, "motions": seen + held}


def _fewer(found: Found) -> bool:
    method, seen, held = "Bayesian search, coordinator", "motions till it is seen", "motions from then on"
    return all(found.below(method, f"{other} search", seen) for other in ("value", "uniform")) and found.below(
        method, "always grasping", held
    )


GRASPING = Check(
    row=100,
    name="bayesian-explore-then-coordinate",
    claim="A target under one of twelve piles is seen after fewer pushes by value times belief than by value alone or "
    "anywhere, and then held after fewer motions where a coordinator says when to grasp than by grasping always.",
    arms={
        "Bayesian search, coordinator": found_and_grasped,
        "belief search": partial(found_and_grasped, search="belief"),
        "value search": partial(found_and_grasped, search="value"),
        "uniform search": partial(found_and_grasped, search="uniform"),
        "grasping by value": partial(found_and_grasped, grasp="value"),
        "always grasping": partial(found_and_grasped, grasp="always"),
    },
    holds=_fewer,
)
