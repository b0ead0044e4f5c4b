"""Chains of thought that make a reference answer likely: a policy gradient on the chain, the answer's own beside it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor


def reference_likelihood_loss(
    chain: Tensor, advantage: Tensor, answer: Tensor, form: Literal["log_prob", "prob"] = "log_prob"
) -> Tensor:
    """−mean[A · log π(c | p) + w · log p(a* | p, c)], w = 1, or p(a* | p, c) where the reward is the probability.

    It is the gradient of the expected reward: its second term is there because the reward itself depends on the policy.
    With an empty chain and `log_prob` it is the negative log-likelihood of supervised training.

    Source: "Likelihood-Based Reward Designs for General LLM Reasoning"; `prob` is VeriFree's.

    Args:
        chain: log π(c | p), summed over tokens `[B]`.
        advantage: of the rewards; no gradient flows through it `[B]`.
        answer: log p(a* | p, c), summed over tokens `[B]`.
        form: which reward the advantage is of.

    Raises:
        ValueError: shapes that differ.
    """
    if not chain.shape == advantage.shape == answer.shape:
        raise ValueError(
            f"got shapes {tuple(chain.shape)}, {tuple(advantage.shape)} and {tuple(answer.shape)}; expected the same"
        )
    weight = torch.ones_like(answer) if form == "log_prob" else answer.detach().exp()
    return -(advantage.detach() * chain + weight * answer).mean()
