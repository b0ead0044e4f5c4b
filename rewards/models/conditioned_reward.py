"""`ConditionedReward`: a reward that reads what an answer is to be judged by: principles in words, or facts.

    r(x, y, C) = u(x, y) + Σ_{c ∈ C} ⟨A(x, y), B(c)⟩ / √k

u is the reward of an answer alone. Without conditions nothing else is left; their order does not matter, and B(0) = 0,
so that places may be filled up with zeros. Edited when the model has been taught, conditions steer a policy with no new
preferences. Under one principle alone r is the log-odds that an answer fulfils it, taught by `entailment`; under a set
of principles, or of facts that the policy does not see, it is taught by `bradley_terry`.

Sources: SALMON, Self-Alignment with Principle-Following Reward Models (Sun et al. 2023); RLBFF, Binary Flexible
Feedback (Wang et al. 2025); Fact-RLHF, Aligning Large Multimodal Models with Factually Augmented RLHF (Sun et al.
2023). There one language model reads it all as text; the product of two towers over frozen features is chosen here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rewards.models.mlp_head import MLPHead


class ConditionedReward(nn.Module):
    """A reward of answers, and how well each answer goes with each condition."""

    def __init__(self, answer: int, condition: int, width: int = 32, hidden: int = 64, seed: int = 0) -> None:
        """Random weights that `seed` determines; torch's global generator is left as it was.

        Args:
            answer: numbers of an answer's features, those of its prompt among them, d.
            condition: numbers of a condition's embedding, e.
            width: k, of the space in which both are compared.
            hidden: width of the hidden layers.
            seed: of the weights.

        Raises:
            ValueError: a size below 1.
        """
        super().__init__()
        if min(answer, condition, width, hidden) < 1:
            raise ValueError(f"got sizes {answer}, {condition}, {width} and {hidden}; expected each to be at least 1")
        self.width = width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.answer = nn.Sequential(nn.Linear(answer, hidden), nn.SiLU(), nn.Linear(hidden, width))
            self.condition = nn.Sequential(
                nn.Linear(condition, hidden, bias=False), nn.SiLU(), nn.Linear(hidden, width, bias=False)
            )
            self.plain = MLPHead(answer, hidden, seed=int(torch.randint(2**31, ())))

    def forward(self, answers: Tensor, conditions: Tensor) -> Tensor:
        """Rewards under all conditions together, `[...]`.

        Args:
            answers: features `[..., d]`.
            conditions: embeddings `[..., K, e]`; zeros where there is none.
        """
        alone: Tensor = self.plain(answers)
        return alone + self._matches(answers, conditions).sum(-1)

    def each(self, answers: Tensor, conditions: Tensor) -> Tensor:
        """Rewards under each condition alone, `[..., K]`: log P(yes) − log P(no), where it was taught as that.

        Args:
            answers: features `[..., d]`.
            conditions: embeddings `[..., K, e]`.
        """
        alone: Tensor = self.plain(answers)
        return alone[..., None] + self._matches(answers, conditions)

    def _matches(self, answers: Tensor, conditions: Tensor) -> Tensor:
        products: Tensor = self.condition(conditions) @ self.answer(answers)[..., None]
        return products[..., 0] / math.sqrt(self.width)
