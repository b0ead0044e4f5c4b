"""A reward model that tells policies apart: how likely a trajectory is of the policy that wrote a reference.

    pre-training    −log σ(r(x, a₁, a₂) − r(x, a₁, b₁))      a₁, a₂ of one policy, b₁ of another: no labels
    fine-tuning     −log σ(r(x, y*, y⁺) − r(x, y*, y⁻))      y* ranked best by people, y⁺ above y⁻
    reward          r(x, demonstration, y)

Both losses are Bradley-Terry on triples: the functions here make them out of trajectories, and any model that reads a
prompt, a reference and a candidate can learn from them. `PolicyDiscriminator` is one that is trained in seconds.

Source: POLAR, Pre-Trained Policy Discriminators are General Reward Models (Dou, Liu et al. 2025). There a language
model reads prompt, reference and candidate as one text; that the small one reads the two apart, as averages over pairs
of neighbouring tokens, and compares those, is chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Triples(NamedTuple):
    """Indices of trajectories, `[P]` each: given the reference, the chosen one is to score above the rejected one."""

    reference: Tensor
    chosen: Tensor
    rejected: Tensor


def of_one_policy(policy: Tensor, prompt: Tensor, generator: torch.Generator) -> Triples:
    """For each trajectory, one of its own policy and one of another, drawn among those of the same prompt.

    Args:
        policy: number of the policy of each trajectory `[N]`.
        prompt: number of its prompt `[N]`.
        generator: draws.

    Raises:
        ValueError: no trajectory has both.
    """
    alike = prompt[:, None] == prompt[None, :]
    own = policy[:, None] == policy[None, :]
    same = alike & own & ~torch.eye(len(policy), dtype=torch.bool, device=policy.device)
    other = alike & ~own
    reference = (same.any(1) & other.any(1)).nonzero()[:, 0]
    if not len(reference):
        raise ValueError(
            f"got {len(policy)} trajectories, none with another of its policy and one of another policy on the same "
            "prompt; sample each prompt from two policies, and twice from one of them"
        )
    drawn = [torch.multinomial(among[reference].float(), 1, generator=generator)[:, 0] for among in (same, other)]
    return Triples(reference, *drawn)


def of_rankings(scores: Tensor, group: Tensor) -> Triples:
    """Every pair of a better and a worse trajectory of a group, with the best of the group as their reference.

    The best itself is in no pair, equals make none, and of several best ones the first is the reference.

    Args:
        scores: how good people found each trajectory `[N]`; NaN where it was not ranked, and it is in no triple.
        group: of each trajectory `[N]`, those of one prompt.
    """
    mine = group[:, None] == group[None, :]
    held = torch.where(scores.isnan(), -torch.inf, scores)
    best = torch.where(mine, held[None, :], -torch.inf).argmax(1)
    candidate = ~scores.isnan() & (best != torch.arange(len(scores), device=scores.device))
    pairs = mine & (scores[:, None] > scores[None, :]) & candidate[:, None] & candidate[None, :]
    better, worse = pairs.nonzero().unbind(1)
    return Triples(best[better], better, worse)


class PolicyDiscriminator(nn.Module):
    """r(x, reference, candidate) of short trajectories of tokens."""

    def __init__(self, vocabulary: int, hidden: int = 32, seed: int = 0) -> None:
        """Random weights that `seed` determines; torch's global generator is left as it was.

        Args:
            vocabulary: how many tokens there are.
            hidden: width of all layers.
            seed: of the weights.
        """
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embed = nn.Embedding(vocabulary, hidden)
            self.pair = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
            self.compare = nn.Sequential(nn.Linear(4 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def summary(self, prompts: Tensor, trajectories: Tensor) -> Tensor:
        """What stands beside what, on average, `[B, hidden]`; the first token stands beside the prompt's last."""
        real = (trajectories >= 0)[..., None]
        tokens = self.embed(torch.cat([prompts[:, -1:], trajectories], 1).clamp(min=0))
        found: Tensor = self.pair(torch.cat([tokens[:, :-1], tokens[:, 1:]], -1)) * real
        return found.sum(1) / real.sum(1).clamp(min=1)

    def forward(self, prompts: Tensor, references: Tensor, candidates: Tensor) -> Tensor:
        """Scores `[B]`.

        Args:
            prompts: tokens `[B, P]`.
            references: tokens `[B, T]`; behind the end of a trajectory, numbers below 0.
            candidates: tokens `[B, T']`; likewise.
        """
        shown, tried = self.summary(prompts, references), self.summary(prompts, candidates)
        asked = self.embed(prompts).mean(1)
        found: Tensor = self.compare(torch.cat([asked, tried, shown * tried, (shown - tried).abs()], -1))[:, 0]
        return found
