"""Behaviour spaces: where policies are apart if they do something else. Made by hand, or learnt from what they saw.

A learnt space is the bottleneck of an autoencoder of observations, trained on the way; how badly it rebuilds an
observation is the surprise of it.

Source: TAXONS (Paolo et al. 2020) and STAX (Paolo et al. 2024), with convolutions for images; layers here are dense.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Floats = NDArray[np.float64]


class BehaviourSpace(Protocol):
    """What a search asks of the space in which novelty is measured."""

    def describe(self, observations: Floats) -> Floats:
        """Descriptors `[N, D]` of observations `[N, O]`."""
        ...

    def surprise(self, observations: Floats) -> Floats:
        """How unfamiliar observations are `[N]`; 0 where nothing is learnt."""
        ...

    def learn(self, observations: Floats) -> None:
        """Become familiar with observations `[N, O]`."""
        ...


class GivenSpace:
    """A space made by hand: descriptors are a function of what was observed, and nothing surprises."""

    def __init__(self, describe: Callable[[Floats], Floats]) -> None:
        """Of observations `[N, O]` to descriptors `[N, D]`."""
        self._describe = describe

    def describe(self, observations: Floats) -> Floats:
        """Descriptors `[N, D]`."""
        return self._describe(observations)

    def surprise(self, observations: Floats) -> Floats:
        """Zeros `[N]`."""
        return np.zeros(len(observations))

    def learn(self, observations: Floats) -> None:
        """Nothing to do."""


class LearntSpace:
    """The bottleneck of an autoencoder.

    Args:
        observed: numbers in an observation, O.
        size: of the bottleneck, D.
        hidden: width of its two other layers.
        epochs: over the observations, whenever there is something to learn.
        batch: observations of a gradient step.
        learning_rate: of Adam.
        seed: of the first weights, and of the order.
    """

    def __init__(
        self,
        observed: int,
        size: int = 10,
        hidden: int = 32,
        epochs: int = 10,
        batch: int = 64,
        learning_rate: float = 3e-3,
        seed: int = 0,
    ) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._encoder = nn.Sequential(nn.Linear(observed, hidden), nn.SELU(), nn.Linear(hidden, size))
            self._decoder = nn.Sequential(nn.Linear(size, hidden), nn.SELU(), nn.Linear(hidden, observed))
        self._optimiser = torch.optim.Adam([*self._encoder.parameters(), *self._decoder.parameters()], learning_rate)
        self._order = torch.Generator().manual_seed(seed)
        self._epochs, self._batch = epochs, batch

    def describe(self, observations: Floats) -> Floats:
        """Descriptors `[N, D]`, in the space as it is now."""
        with torch.no_grad():
            return np.asarray(self._encoder(_tensor(observations)).double().numpy())

    def surprise(self, observations: Floats) -> Floats:
        """Mean squared error of rebuilding each `[N]`."""
        with torch.no_grad():
            return np.asarray(self._error(_tensor(observations)).double().numpy())

    def learn(self, observations: Floats) -> None:
        """Some epochs of gradient descent on the reconstruction error."""
        data = _tensor(observations)
        for _ in range(self._epochs):
            for chosen in torch.randperm(len(data), generator=self._order).split(self._batch):
                self._optimiser.zero_grad(set_to_none=True)
                self._error(data[chosen]).mean().backward()
                self._optimiser.step()

    def _error(self, data: Tensor) -> Tensor:
        rebuilt: Tensor = self._decoder(self._encoder(data))
        return (rebuilt - data).square().mean(-1)


def _tensor(observations: Floats) -> Tensor:
    return torch.as_tensor(observations, dtype=torch.float32)
