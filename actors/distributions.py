"""Action distributions as functions of a parameter vector, one class for each kind of action space.

Shapes: B actions, P parameters. Each class says how many parameters it needs and how to sample, score and mode.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from envs.specs import ActionSpec, Box, Discrete, MultiDiscrete


class Distribution(Protocol):
    """A family of action distributions."""

    size: int

    def sample(self, parameters: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one action for each row of `parameters` [B, P]."""
        ...

    def mode(self, parameters: Tensor) -> Tensor:
        """The most likely action for each row of `parameters` [B, P]."""
        ...

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Log-probability (density for real actions) [B] of `action`."""
        ...

    def entropy(self, parameters: Tensor) -> Tensor:
        """Entropy [B] in nats."""
        ...


class Categorical:
    """One choice; parameters are unnormalised log-probabilities `[B, n]`."""

    def __init__(self, n: int) -> None:
        """`n` choices."""
        self.size = n

    def sample(self, parameters: Tensor, generator: torch.Generator) -> Tensor:
        """Draw by the Gumbel-max trick: argmax(logits + Gumbel noise) is an exact categorical sample."""
        noise = torch.empty_like(parameters).exponential_(generator=generator)
        return (parameters - noise.log()).argmax(-1)

    def mode(self, parameters: Tensor) -> Tensor:
        """The most likely choice [B]."""
        return parameters.argmax(-1)

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Log-probability [B]."""
        return parameters.log_softmax(-1).gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Entropy [B] in nats."""
        log_p = parameters.log_softmax(-1)
        return -(log_p.exp() * log_p).sum(-1)


class MultiCategorical:
    """Independent choices; parameters are the choices' logits side by side `[B, sum(nvec)]`, actions `[B, K]`."""

    def __init__(self, nvec: tuple[int, ...]) -> None:
        """`nvec[k]` options for the k-th choice."""
        self.parts = [Categorical(n) for n in nvec]
        self.nvec = list(nvec)
        self.size = sum(nvec)

    def sample(self, parameters: Tensor, generator: torch.Generator) -> Tensor:
        """Draw each choice independently, [B, K]."""
        split = parameters.split(self.nvec, -1)
        return torch.stack([part.sample(p, generator) for part, p in zip(self.parts, split, strict=True)], -1)

    def mode(self, parameters: Tensor) -> Tensor:
        """The most likely option of each choice, [B, K]."""
        return torch.stack([p.argmax(-1) for p in parameters.split(self.nvec, -1)], -1)

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Sum of the choices' log-probabilities [B]."""
        split = parameters.split(self.nvec, -1)
        terms = [d.log_prob(p, action[..., k]) for k, (d, p) in enumerate(zip(self.parts, split, strict=True))]
        return torch.stack(terms).sum(0)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Sum of the choices' entropies [B]."""
        split = parameters.split(self.nvec, -1)
        return torch.stack([d.entropy(p) for d, p in zip(self.parts, split, strict=True)]).sum(0)


class DiagonalGaussian:
    """A real vector; parameters are mean and log standard deviation side by side `[B, 2K]`."""

    def __init__(self, k: int) -> None:
        """`k` coordinates."""
        self.k = k
        self.size = 2 * k

    def _mean_and_log_std(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = parameters.split(self.k, -1)
        # Bounded so that a wild head can neither freeze exploration nor overflow the density.
        return mean, log_std.clamp(-5.0, 2.0)

    def sample(self, parameters: Tensor, generator: torch.Generator) -> Tensor:
        """Draw [B, K]."""
        mean, log_std = self._mean_and_log_std(parameters)
        noise = torch.empty_like(mean).normal_(generator=generator)
        return mean + log_std.exp() * noise

    def mode(self, parameters: Tensor) -> Tensor:
        """The mean [B, K]."""
        return self._mean_and_log_std(parameters)[0]

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Log-density [B]."""
        mean, log_std = self._mean_and_log_std(parameters)
        z = (action - mean) * (-log_std).exp()
        return (-0.5 * z.square() - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Differential entropy [B] in nats."""
        _, log_std = self._mean_and_log_std(parameters)
        return (log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)


def distribution_for(spec: ActionSpec) -> Distribution:
    """The distribution that fits an action space."""
    match spec:
        case Discrete(n):
            return Categorical(n)
        case MultiDiscrete(nvec):
            return MultiCategorical(nvec)
        case Box():
            return DiagonalGaussian(len(spec.low))
    raise TypeError(f"got an action space {spec!r}; expected Discrete, MultiDiscrete or Box")
