"""Check of curiosity beside noise: a long corridor, and a television at its beginning that shows ever new things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.tabular import Floats
from rewards.models.hindsight import HindsightCuriosity, prioritised
from rewards.novelty.rnd import Config, RandomNetworkDistillation
from rewards.running import RunningMoments

CELLS, PIXELS, LEFT, RIGHT, WATCH = 32, 8, 0, 1, 2
EPISODES, LONGEST, BATCHES, BATCH, RECENT = 50, 48, 12, 64, 1000
GAMMA, EPSILON, SWEEPS = 0.95, 0.3, 100
Ints = NDArray[np.int64]


class Curiosity(Protocol):
    """Pays for transitions `[B, D]`, `[B]`, `[B, D]`, and learns from them."""

    def update(self, observation: Tensor, action: Tensor, following: Tensor) -> dict[str, float]:
        """Become familiar with them."""
        ...

    def rewards(self, observation: Tensor, action: Tensor, following: Tensor) -> Tensor:
        """How surprising they are `[B]`."""
        ...


class Distillation:
    """RND of what is seen next, as it stands in the house."""

    def __init__(self, seed: int) -> None:
        """Its networks are as wide as the others'."""
        self._novelty = RandomNetworkDistillation(Config(hidden=64, learning_rate=1e-3, train_share=1.0, seed=seed))

    def update(self, observation: Tensor, action: Tensor, following: Tensor) -> dict[str, float]:
        """Become familiar with what is seen next."""
        return self._novelty.update({"seen": following.numpy()})

    def rewards(self, observation: Tensor, action: Tensor, following: Tensor) -> Tensor:
        """How new that is."""
        return torch.as_tensor(self._novelty.score({"seen": following.numpy()}))


def curiosity(arm: str, seed: int) -> Curiosity:
    """By its name: RND, BYOL-Explore (no latent), or BYOL-Hindsight."""
    if arm == "RND":
        return Distillation(seed)
    latent = PIXELS if arm == "BYOL-Hindsight" else 0
    return HindsightCuriosity(CELLS + PIXELS, 3, latent, learning_rate=3e-3, seed=seed)


class Steps(NamedTuple):
    """What was done: cells, actions, cells after, and what the television showed after; `[N]`, and `[N, PIXELS]`."""

    cell: Ints
    action: Ints
    after: Ints
    shown: Floats

    def seen(self, rows: Ints) -> tuple[Tensor, Tensor, Tensor]:
        """Observation, action and next observation of some of them."""
        cells = np.eye(CELLS)
        # What was on before is not in what is seen before: it would tell nothing of what comes.
        before = np.concatenate([cells[self.cell[rows]], np.zeros((len(rows), PIXELS))], 1)
        after = np.concatenate([cells[self.after[rows]], self.shown[rows]], 1)
        numbers = [torch.as_tensor(values, dtype=torch.float32) for values in (before, after)]
        return numbers[0], torch.as_tensor(self.action[rows]), numbers[1]


def walked(values: Floats, noise: bool, random: np.random.Generator) -> Steps:
    """An episode from the first cell, by a table of values `[CELLS, 3]`, with any action now and then."""
    kept, cell = [], 0
    for _ in range(LONGEST):
        best = np.flatnonzero(values[cell] == values[cell].max())
        action = int(random.integers(3) if random.random() < EPSILON else random.choice(best))
        after = int(np.clip(cell + (action == RIGHT) - (action == LEFT), 0, CELLS - 1))
        kept.append((cell, action, after))
        cell = after
    before, did, came = np.array(kept).T
    watched = noise & (before == 0) & (did == WATCH)
    return Steps(before, did, came, random.choice([-1.0, 1.0], (LONGEST, PIXELS)) * watched[:, None])


def planned(steps: Steps, paid: Floats) -> Floats:
    """Values of all actions in the corridor as it is known, by the mean reward of each `[CELLS, 3]`.

    What was never done pays nothing and leads nowhere: it is found by chance alone.
    """
    place = steps.cell * 3 + steps.action
    times = np.bincount(place, minlength=CELLS * 3)
    reward = np.bincount(place, paid, CELLS * 3) / np.maximum(times, 1)
    leads = np.repeat(np.arange(CELLS), 3)
    leads[place] = steps.after
    values = np.zeros(CELLS * 3)
    for _ in range(SWEEPS):
        values = reward + GAMMA * values.reshape(CELLS, 3).max(1)[leads] * (times > 0)
    return values.reshape(CELLS, 3)


def explored(seed: int, arm: str, noise: bool) -> Mapping[str, float]:
    """How much of the corridor is seen, and how often the television is watched.

    Args:
        seed: of everything.
        arm: as of `curiosity`.
        noise: whether the television shows anything.
    """
    random, bonus = np.random.default_rng(seed), curiosity(arm, seed)
    values, episodes = np.zeros((CELLS, 3)), []
    for _ in range(EPISODES):
        episodes.append(walked(values, noise, random))
        steps = Steps(*(np.concatenate(one) for one in zip(*episodes, strict=True)))
        for _ in range(BATCHES):
            bonus.update(*steps.seen(random.integers(0, len(steps.cell), BATCH)))
        recent = np.arange(max(0, len(steps.cell) - RECENT), len(steps.cell))
        surprise, moments = bonus.rewards(*steps.seen(recent)), RunningMoments()
        moments.update(surprise.numpy())
        paid = prioritised(surprise, float(moments.mean), max(float(moments.std), 1e-6)).double().numpy()
        values = planned(Steps._make(column[recent] for column in steps), paid)
    watching = (steps.cell == 0) & (steps.action == WATCH)
    return {
        "cells seen": len(np.unique(steps.after)) / CELLS,
        "farthest cell, on the way": float(np.mean([one.after.max() for one in episodes])) / (CELLS - 1),
        "steps at the television": float(watching.mean()),
    }


def _not_caught(found: Found) -> bool:
    """With noise more is seen than with the others and less is watched; without, as much as with BYOL-Explore."""
    hindsight = "BYOL-Hindsight, noise"
    calm = found.difference("BYOL-Hindsight, no noise", "BYOL-Explore, no noise", "cells seen").low or 0.0
    return calm > -0.1 and all(
        found.above(hindsight, other, "cells seen", by=0.1) and found.below(hindsight, other, "steps at the television")
        for other in ("BYOL-Explore, noise", "RND, noise")
    )


HINDSIGHT = Check(
    row=117,
    name="hindsight-curiosity",
    claim="In a corridor with a noisy television at its beginning, BYOL-Hindsight sees at least a tenth more of the "
    "cells than BYOL-Explore and RND do and watches less; without the noise it sees within a tenth of what "
    "BYOL-Explore sees, or more.",
    arms={
        "BYOL-Hindsight, noise": lambda seed: explored(seed, "BYOL-Hindsight", True),
        "BYOL-Explore, noise": lambda seed: explored(seed, "BYOL-Explore", True),
        "RND, noise": lambda seed: explored(seed, "RND", True),
        "BYOL-Hindsight, no noise": lambda seed: explored(seed, "BYOL-Hindsight", False),
        "BYOL-Explore, no noise": lambda seed: explored(seed, "BYOL-Explore", False),
    },
    holds=_not_caught,
    units={
        "cells seen": "share of cells",
        "farthest cell, on the way": "share of the corridor",
        "steps at the television": "share of steps",
    },
)
