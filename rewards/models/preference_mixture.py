"""Preferences of a population: a mixture of Bradley-Terry models, weighted by what was asked.

    P(y⁺ ≻ y⁻ | x) = Σ_k π_k(x) σ(r_k(x, y⁺) − r_k(x, y⁻))      π(x) = softmax(router(x))

It is learnt by maximum likelihood from plain pairs: nobody says who preferred what. One Bradley-Terry model of people
who disagree can only average them. Which heads a new person is like, `hedged` finds from a few pairs of theirs.

Source: MiCRo, Mixture Modeling and Context-aware Routing for Personalized Preference Learning (Shen, Yao et al. 2025).
As in the released code heads are linear, and the regulariser is the entropy of the weights of each prompt.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid


def mixture_loss(log_weights: Tensor, gaps: Tensor, entropy: float = 0.0) -> Tensor:
    """−log Σ_k π_k σ(gap_k) − entropy · H(π), `[...]`.

    Args:
        log_weights: log π(x) of each pair's prompt `[..., K]`.
        gaps: r_k(x, y⁺) − r_k(x, y⁻) of each pair `[..., K]`.
        entropy: reward of weights that are spread out, so that no head is left without pairs to learn from.
    """
    loss = -(log_weights + logsigmoid(gaps)).logsumexp(-1)
    return loss + entropy * (log_weights.exp() * log_weights).sum(-1) if entropy else loss


def hedged(log_weights: Tensor, gaps: Tensor, eta: float = 1.0) -> Tensor:
    """The log-weights of one person's next prompts, after some pairs of theirs (Hedge), `[..., K]`.

        w_k(x) ∝ π_k(x) exp(−η Σ_n −log σ(gap_nk))

    The weights that lose least on those pairs at a price of KL(w ‖ π) / η. With η = 1 it is Bayes' rule for a person
    who is like one of the heads. The order of the pairs does not matter, and pairs may come one by one.

    Args:
        log_weights: log π(x) of prompts `[..., K]`.
        gaps: r_k(y⁺) − r_k(y⁻) of the person's pairs `[N, K]`; N may be 0.
        eta: η; 0 leaves the weights as they are.

    Raises:
        ValueError: a negative η, or gaps that are no matrix with one column a head.
    """
    if eta < 0 or gaps.ndim != 2 or gaps.shape[1] != log_weights.shape[-1]:
        raise ValueError(
            f"got eta={eta}, gaps {tuple(gaps.shape)} and log-weights {tuple(log_weights.shape)}; expected at least 0, "
            "[N, K] and [..., K]"
        )
    return (log_weights + eta * logsigmoid(gaps).sum(0)).log_softmax(-1)


class Mixed(NamedTuple):
    """What each head thinks, and how much it counts.

    Attributes:
        rewards: r_k(x, y) `[..., K]`.
        log_weights: log π_k(x) `[..., K]`.
    """

    rewards: Tensor
    log_weights: Tensor

    @property
    def score(self) -> Tensor:
        """Σ_k π_k(x) r_k(x, y), `[...]`."""
        return (self.log_weights.exp() * self.rewards).sum(-1)


class PreferenceMixture(nn.Module):
    """Linear rewards of K heads, and a router that reads the prompt."""

    def __init__(self, answer: int, prompt: int, heads: int = 10, hidden: int = 32, seed: int = 0) -> None:
        """Random weights that `seed` determines; torch's global generator is left as it was.

        Args:
            answer: numbers of an answer's features.
            prompt: numbers of a prompt's features.
            heads: K; with one it is Bradley-Terry.
            hidden: width of the router.
            seed: of the weights.
        """
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.heads = nn.Linear(answer, heads, bias=False)
            self.router = nn.Sequential(nn.Linear(prompt, hidden), nn.ReLU(), nn.Linear(hidden, heads))

    def forward(self, prompts: Tensor, answers: Tensor) -> Mixed:
        """Rewards of all heads, and their weights.

        Args:
            prompts: features `[..., p]`.
            answers: features of answers to them `[..., d]`.
        """
        return Mixed(self.heads(answers), self.router(prompts).log_softmax(-1))
