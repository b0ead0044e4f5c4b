"""BYOL-Hindsight: curiosity that is not caught by noise, because what cannot be foretold is told in hindsight.

    z = g(b_t, a_t, φ_{t+1}, ε)                                  what came by chance, and nothing else
    reconstruction   ‖φ_{t+1} − f(b_t, a_t, z)‖²                 both of unit length
    invariance       c(b_t, a_t, z) − log mean_k exp c(b_k, a_k, z)
    reward           reconstruction + λ invariance

The invariance is what z tells of the situation it came from, in nats, by a critic c that is taught to find it out while
g is taught to hide it. What is deterministic is told by the situation, so z may not tell it, and f has to learn it:
there the reward is as of BYOL-Explore. Noise z may tell, and the reward of noise goes away. Without z, all of it is
BYOL-Explore for one step.

Source: Curiosity in Hindsight (Jarrett, Tallec, Altché, Mesnard, Munos and Valko 2023), and BYOL-Explore (Guo et al.
2022) for the target, which follows the encoder slowly, and for `prioritised`. Here the belief b is the encoded
observation; whoever acts with a memory hands in what it holds as the observation.
"""

from __future__ import annotations

import math
from copy import deepcopy
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Surprise(NamedTuple):
    """What a transition is surprising by, `[B]` each."""

    reconstruction: Tensor
    invariance: Tensor

    def reward(self, weight: float) -> Tensor:
        """Reconstruction + λ invariance `[B]`."""
        return self.reconstruction + weight * self.invariance


def invariance(scores: Tensor) -> Tensor:
    """What each latent tells of its own situation, in nats `[B]`, at most log B; 0 where all scores are the same.

    Args:
        scores: c of each situation (row) with each latent (column), `[B, B]`.

    Raises:
        ValueError: not a square.
    """
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1] or not len(scores):
        raise ValueError(f"got scores of shape {tuple(scores.shape)}; expected one situation for each latent, [B, B]")
    return scores.diagonal() - scores.logsumexp(0) + math.log(len(scores))


def prioritised(surprise: Tensor, mean: float, deviation: float) -> Tensor:
    """max(0, (r − μ) / σ): what is more surprising than usual, in deviations, of any shape.

    Args:
        surprise: r.
        mean: μ of late.
        deviation: σ of late, above 0.

    Raises:
        ValueError: a deviation that is not above 0.
    """
    if not deviation > 0:
        raise ValueError(f"got deviation={deviation}; expected above 0: until something is surprising there is no unit")
    return ((surprise - mean) / deviation).clamp(min=0)


def perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """One hidden layer, from torch's generator."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class HindsightCuriosity(nn.Module):
    """Encoder, generator, reconstructor and critic, with their optimisers."""

    def __init__(
        self,
        size: int,
        actions: int,
        latent: int = 8,
        embedding: int = 32,
        hidden: int = 64,
        weight: float = 1.0,
        decay: float = 0.99,
        learning_rate: float = 1e-3,
        seed: int = 0,
    ) -> None:
        """Random weights that `seed` determines; torch's global generator is left as it was.

        Args:
            size: numbers of an observation.
            actions: how many there are.
            latent: numbers of z; 0: no hindsight, the prediction error of BYOL-Explore.
            embedding: numbers of φ.
            hidden: width of the networks.
            weight: λ.
            decay: of the target's way to the encoder; 1: a fixed random target.
            learning_rate: of Adam.
            seed: of weights and noise.

        Raises:
            ValueError: a latent or a weight below 0, or a decay outside of 0 to 1.
        """
        if latent < 0 or not weight >= 0 or not 0 <= decay <= 1:
            raise ValueError(
                f"got latent={latent}, weight={weight} and decay={decay}; expected at least 0, at least 0, and 0 to 1"
            )
        super().__init__()
        self.actions, self.latent, self.weight, self.decay = actions, latent, weight, decay
        situation = embedding + actions
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = perceptron(size, hidden, embedding)
            self.reconstructor = perceptron(situation + latent, hidden, embedding)
            self.generator = perceptron(situation + embedding + latent, hidden, latent) if latent else None
            self.of_situation = perceptron(situation, hidden, hidden)
            self.of_latent = perceptron(max(latent, 1), hidden, hidden)
        self.target = deepcopy(self.encoder).requires_grad_(False)
        told = [self.encoder, self.reconstructor, *([self.generator] if self.generator else [])]
        self._model = torch.optim.Adam(chain(*(module.parameters() for module in told)), learning_rate)
        found = chain(self.of_situation.parameters(), self.of_latent.parameters())
        self._critic = torch.optim.Adam(found, learning_rate)
        self._noise = torch.Generator().manual_seed(seed)

    def forward(self, observation: Tensor, action: Tensor, following: Tensor) -> Surprise:
        """How surprising transitions are, each beside the others.

        Args:
            observation: `[B, size]`.
            action: numbers of actions `[B]`.
            following: what was seen next `[B, size]`.

        Raises:
            ValueError: shapes that do not fit.
        """
        return self._seen(observation, action, following)[0]

    def _seen(self, observation: Tensor, action: Tensor, following: Tensor) -> tuple[Surprise, Tensor, Tensor]:
        """Surprise, situations and latents `[B, …]`."""
        if observation.ndim != 2 or observation.shape != following.shape or action.shape != observation.shape[:1]:
            raise ValueError(
                f"got observations {tuple(observation.shape)} and {tuple(following.shape)}, and actions "
                f"{tuple(action.shape)}; expected [B, size] twice, and [B]"
            )
        done = F.one_hot(action, self.actions).to(observation.dtype)
        situation = torch.cat([self.encoder(observation), done], -1)
        came = F.normalize(self.target(following), dim=-1)
        z = situation.new_zeros(len(situation), self.latent)
        if self.generator is not None:
            chance = torch.randn(z.shape, generator=self._noise, dtype=z.dtype).to(z.device)
            z = self.generator(torch.cat([situation, came, chance], -1))
        foretold = F.normalize(self.reconstructor(torch.cat([situation, z], -1)), dim=-1)
        error = (came - foretold).square().sum(-1)
        told = invariance(self._scores(situation, z)) if self.latent else torch.zeros_like(error)
        return Surprise(error, told), situation, z

    def _scores(self, situation: Tensor, z: Tensor) -> Tensor:
        """C of each situation with each latent `[B, B]`; the encoder is not taught to hide anything."""
        one, other = self.of_situation(situation.detach()), self.of_latent(z)
        found: Tensor = one @ other.T / one.shape[-1] ** 0.5
        return found

    def update(self, observation: Tensor, action: Tensor, following: Tensor) -> dict[str, float]:
        """One step of model, critic, and of the target to the encoder; takes transitions as `forward` does."""
        surprise, situation, z = self._seen(observation, action, following)
        self._model.zero_grad()
        surprise.reward(self.weight).mean().backward()  # before the critic moves
        self._model.step()
        if self.latent:
            self._critic.zero_grad()  # what it has of the model's loss is not its own
            (-invariance(self._scores(situation, z.detach())).mean()).backward()
            self._critic.step()
        with torch.no_grad():
            for slow, fast in zip(self.target.parameters(), self.encoder.parameters(), strict=True):
                slow.lerp_(fast, 1 - self.decay)
        return {name: float(value.detach().mean()) for name, value in surprise._asdict().items()}

    @torch.no_grad()
    def rewards(self, observation: Tensor, action: Tensor, following: Tensor) -> Tensor:
        """Reconstruction + λ invariance `[B]`; takes transitions as `forward` does, and changes no weight."""
        return self(observation, action, following).reward(self.weight)  # type: ignore[no-any-return]
