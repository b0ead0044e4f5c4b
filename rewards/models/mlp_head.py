"""`MLPHead`: a reward of frozen features by a small network that pairs teach, and how much each feature counts in it.

    r(h) = w₂ · φ(W₁ h + b₁) + b₂        with one layer  r(h) = w · h + b

Features are what is known of an answer to its prompt: the last hidden state of a backbone, or a short list that experts
have fixed and a judge fills in, for which a few hundred pairs are enough. Pairs leave a constant open; with one layer
`bradley_terry` is logistic regression on differences of features.

Sources: BaseReward, A Strong Baseline for Multimodal Reward Model (2025), whose head has two layers and SiLU, neither
zero-centring nor a term for length, and whose ensemble is a plain mean; Leveraging Domain Knowledge for Efficient
Reward Modelling in RLHF (Nath et al. 2024), whose features are fixed by experts. That the hidden layer is as wide as
the features, and what a sensitivity is, is chosen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["silu", "tanh", "none"]
_ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "tanh": nn.Tanh, "none": nn.Identity}


class MLPHead(nn.Module):
    """One number from features, by one layer or two."""

    def __init__(
        self,
        features: int,
        hidden: int | None = None,
        layers: Literal[1, 2] = 2,
        activation: Activation = "silu",
        seed: int = 0,
    ) -> None:
        """Random weights that `seed` determines; torch's global generator is left as it was.

        Args:
            features: numbers of an answer, d.
            hidden: width of the first of two layers; None: d.
            layers: 2, or 1 for a linear head.
            activation: φ.
            seed: of the weights.

        Raises:
            ValueError: another number of layers, or an activation that is not known.
        """
        super().__init__()
        if layers not in (1, 2) or activation not in _ACTIVATIONS:
            raise ValueError(
                f"got {layers} layers and activation {activation!r}; expected 1 or 2, and one of {sorted(_ACTIVATIONS)}"
            )
        width = features if hidden is None else hidden
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if layers == 1:
                self.body = nn.Sequential(nn.Linear(features, 1))
            else:
                self.body = nn.Sequential(nn.Linear(features, width), _ACTIVATIONS[activation](), nn.Linear(width, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Rewards `[...]` of features `[..., d]`."""
        found: Tensor = self.body(features)
        return found[..., 0]


def ensembled(members: Sequence[nn.Module], features: Tensor) -> Tensor:
    """The mean reward of several heads `[...]`.

    Args:
        members: heads of the same features.
        features: `[..., d]`.

    Raises:
        ValueError: there are no members.
    """
    if not members:
        raise ValueError("got no members; expected one head or more")
    return torch.stack([member(features) for member in members]).mean(0)


def sensitivities(head: nn.Module, features: Tensor) -> Tensor:
    """By how much the reward changes with one standard deviation of each feature, on average, `[d]`.

    The mean gradient over the answers, times the deviation of the feature among them; of a linear head w_k times that.

    Args:
        head: from features to rewards.
        features: of answers, `[N, d]`, two or more.

    Raises:
        ValueError: fewer than two answers, or not a matrix.
    """
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"got features {tuple(features.shape)}; expected [N, d] of two answers or more")
    given = features.detach().clone().requires_grad_()
    (slopes,) = torch.autograd.grad(head(given).sum(), given)
    return slopes.mean(0) * features.detach().std(0)
