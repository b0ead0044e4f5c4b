"""Pairs of answers with a known worth, and reward models small enough to be taught in half a second, many at once.

A prompt and an answer are a few numbers each; what an answer is worth to a prompt is a smooth random function of both.
The last number of an answer is its style, which is worth nothing. Whoever writes a check brings the labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Floats = NDArray[np.float64]

PROMPT, ANSWER, UNITS = 4, 8, 24
"""Numbers of a prompt and of an answer, and waves that worth is made of."""
APART = 2.0
"""Standard deviation of the difference of worth within a pair; a Bradley-Terry judge errs in a fifth of such pairs."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of answers to the same prompt, in no order of merit.

    Attributes:
        prompts: `[P, PROMPT]`.
        first: answers `[P, ANSWER]`.
        second: answers `[P, ANSWER]`.
        gap: worth of the first less that of the second `[P]`.
    """

    prompts: Floats
    first: Floats
    second: Floats
    gap: Floats

    def inputs(self, first_chosen: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
        """What a model reads of the chosen and of the rejected answers, `[P, PROMPT + ANSWER]` each."""
        one, other = (
            torch.as_tensor(np.concatenate([self.prompts, answers], 1), dtype=torch.float32)
            for answers in (self.first, self.second)
        )
        at = torch.as_tensor(first_chosen)[:, None]
        return torch.where(at, one, other), torch.where(at, other, one)


class World:
    """What answers are worth."""

    def __init__(self, seed: int) -> None:
        """A function from `seed`."""
        random = np.random.default_rng(seed)
        self._waves = random.normal(size=(PROMPT + ANSWER, UNITS)) / np.sqrt(PROMPT + ANSWER)
        self._waves[-1] = 0.0  # style
        self._shift, self._weights = random.normal(size=UNITS), random.normal(size=UNITS)
        self._scale = 1.0
        self._scale = APART / float(self.pairs(random, 4000).gap.std())

    def worth(self, prompts: Floats, answers: Floats) -> Floats:
        """Of answers to prompts `[N]`."""
        read = np.concatenate([prompts, answers], -1)
        found: Floats = self._scale * np.tanh(read @ self._waves + self._shift) @ self._weights
        return found

    def pairs(self, random: np.random.Generator, number: int, mean: Floats | float = 0.0) -> Pairs:
        """Pairs of answers around a mean."""
        prompts = random.normal(size=(number, PROMPT))
        first, second = (mean + random.normal(size=(number, ANSWER)) for _ in range(2))
        return Pairs(prompts, first, second, self.worth(prompts, first) - self.worth(prompts, second))


class Models(nn.Module):
    """Networks with one hidden layer that know nothing of each other."""

    def __init__(self, members: int, seed: int, hidden: int = 32) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def drawn(inputs: int, size: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(members, inputs, size, generator=generator) / inputs**0.5)

        self.first, self.bias = drawn(PROMPT + ANSWER, hidden), nn.Parameter(torch.zeros(members, 1, hidden))
        self.second, self.offset = drawn(hidden, 1), nn.Parameter(torch.zeros(members, 1, 1))
        self.members = members

    def forward(self, read: Tensor) -> Tensor:
        """Scores `[M, N]` of what all read `[N, D]`, or each its own `[M, N, D]`."""
        found: Tensor = (read @ self.first + self.bias).relu() @ self.second + self.offset
        return found[..., 0]


Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From scores of chosen and rejected answers `[M, B]` and the places of the pairs `[M, B]`, losses `[M, B]`."""


def fit(models: Models, pairs: tuple[Tensor, Tensor], loss: Loss, seed: int, steps: int = 200, batch: int = 64) -> None:
    """Teach models with pairs, in place; each draws batches of its own.

    Args:
        models: which.
        pairs: what is read of chosen and rejected answers `[P, D]`.
        loss: of a batch.
        seed: of the batches.
        steps: of gradient.
        batch: pairs of each.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(models.parameters(), 5e-3)
    for _ in range(steps):
        rows = torch.randint(len(pairs[0]), (models.members, batch), generator=generator)
        losses = loss(models(pairs[0][rows]), models(pairs[1][rows]), rows)
        optimiser.zero_grad()
        losses.mean(1).sum().backward()
        optimiser.step()


@torch.no_grad()
def apart(models: Models, pairs: Pairs) -> Floats:
    """Score of the first answer less that of the second, by each model `[M, P]`."""
    one, other = pairs.inputs(np.ones(len(pairs.gap), np.bool_))
    found: Floats = (models(one) - models(other)).double().numpy()
    return found


def accuracy(models: Models, pairs: Pairs) -> float:
    """Share of pairs that the mean of the models puts in their true order."""
    return float((np.sign(apart(models, pairs).mean(0)) == np.sign(pairs.gap)).mean())
