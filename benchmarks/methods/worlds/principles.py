"""Answers with attributes, of which features are a noisy mixture, and principles that ask for more or less of some.

Each clause, more or less of one attribute, has a vector of its own that tells nothing of the other; a sentence is the
sum of its clauses. Whoever does not read the principle cannot know which answer is preferred.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ATTRIBUTES, FEATURES, WORDS = 8, 24, 24
"""Attributes of an answer, numbers of its features, and numbers of a clause."""
BLUR = 0.3
"""Standard deviation of the noise of each feature; that of what the attributes make of it is about 1."""


class World:
    """How answers are seen, and how principles are said."""

    def __init__(self, seed: int, attributes: int = ATTRIBUTES) -> None:
        """A mixture and vectors of clauses from `seed`."""
        self.random = np.random.default_rng(seed)
        self._mixing = self.random.normal(size=(attributes, FEATURES)) / np.sqrt(attributes)
        self._more, self._less = self.random.normal(size=(2, attributes, WORDS))

    def seen(self, attributes: Floats) -> Tensor:
        """Features `[..., FEATURES]` of answers with attributes `[..., K]`."""
        blur = BLUR * self.random.normal(size=(*attributes.shape[:-1], FEATURES))
        return torch.as_tensor(attributes @ self._mixing + blur, dtype=torch.float32)

    def clauses(self, signs: Ints) -> Tensor:
        """Vectors of clauses `[..., K, WORDS]`: 1 asks for more of an attribute, −1 for less, 0 for nothing (zeros)."""
        asked = np.asarray(signs)[..., None]
        return torch.as_tensor((asked > 0) * self._more + (asked < 0) * self._less, dtype=torch.float32)

    def sentence(self, signs: Ints) -> Tensor:
        """The same in one sentence `[..., 1, WORDS]`."""
        return self.clauses(signs).sum(-2, keepdim=True)


def held_out(signs: Ints) -> NDArray[np.bool_]:
    """Sets of principles `[N, K]`, about a fifth of all, that nothing is taught of `[N]`."""
    found: NDArray[np.bool_] = (signs + 1) @ 3 ** np.arange(signs.shape[1]) % 5 == 0
    return found


def taught(
    model: nn.Module,
    loss: Callable[[Tensor], Tensor],
    number: int,
    seed: int,
    steps: int = 300,
    batch: int = 128,
    rate: float = 3e-3,
) -> None:
    """Teach a model, in place, by Adam on batches that are drawn with replacement.

    Args:
        model: which.
        loss: of the examples in these places `[batch]`.
        number: of examples.
        seed: of the batches.
        steps: of gradient.
        batch: examples of each.
        rate: of Adam.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), rate)
    for _ in range(steps):
        rows = torch.randint(number, (batch,), generator=generator)
        optimiser.zero_grad()
        loss(rows).mean().backward()
        optimiser.step()


def in_order(scores: Tensor, gaps: ArrayLike) -> NDArray[np.bool_]:
    """Whether scores of pairs `[N, 2]` put the better answer first, by how much better the first one is `[N]`."""
    apart = (scores[:, 0] - scores[:, 1]).double().numpy()
    found: NDArray[np.bool_] = np.sign(apart) == np.sign(gaps)
    return found
