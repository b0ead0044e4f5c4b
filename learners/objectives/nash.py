"""DNO: towards the policy that no other is preferred to, by regression on pairs of its own answers.

Preferences need not come from a reward: they may go round in a circle. The reward of an answer is how often it is
preferred to those of the policy itself, r_t(y) = E_{y' ~ π_t}[P(y ≻ y')], and the next policy is fitted to it:

    L = −σ(r₁ − r₂) log σ(β d) − σ(r₂ − r₁) log σ(−β d),  d = log π/π_t (y₁) − log π/π_t (y₂)

With labels that are certain, 1 and 0, this is DPO with the last policy as its reference (DNO-Prct).

Source: DNO, Direct Nash Optimization (Rosset et al. 2024).
"""

from __future__ import annotations

import torch
from torch import Tensor

from learners.language.preferences import dpo


def win_rates(preferred: Tensor) -> Tensor:
    """r_t of each of k answers to a prompt, `[prompts, k]`: its mean win rate against the others.

    Args:
        preferred: P(y_i ≻ y_j), NaN where nobody judged, `[prompts, k, k]`; the diagonal is not looked at.

    Returns:
        NaN for an answer that was compared with none.
    """
    known = preferred.isfinite() & ~torch.eye(preferred.shape[-1], dtype=torch.bool, device=preferred.device)
    total, count = torch.where(known, preferred, 0.0).sum(-1), known.sum(-1)
    return torch.where(count > 0, total / count.clamp(min=1), torch.nan)


def soft_labels(first: Tensor, second: Tensor) -> Tensor:
    """σ(r₁ − r₂), how certain it is that the first answer is the better one."""
    return torch.sigmoid(first - second)


def nash_regression(margin: Tensor, label: Tensor, beta: float) -> Tensor:
    """Cross-entropy between the label and σ(β d), `[P]`.

    Args:
        margin: d, `[P]`.
        label: chance that the first answer is the better one, in [0, 1], `[P]`; no gradient flows through it.
        beta: price of leaving the last policy.

    Raises:
        ValueError: a label that is not a probability.
    """
    if not bool(((label >= 0) & (label <= 1)).all()):
        raise ValueError("got a label outside [0, 1]; expected probabilities: leave out pairs that nobody judged")
    chance = label.detach()
    return chance * dpo(margin, beta) + (1 - chance) * dpo(-margin, beta)


def clear_pairs(rates: Tensor, least: float) -> tuple[Tensor, Tensor, Tensor]:
    """All pairs of a prompt whose win rates differ by at least `least`: prompt, winner and loser, `[P]` each.

    A teacher's answer may stand among them; NaN is in no pair.

    Raises:
        ValueError: a margin that is not positive: then equals would be told apart.
    """
    if not least > 0:
        raise ValueError(f"got least={least}; expected a positive margin")
    prompt, winner, loser = (rates[:, :, None] - rates[:, None, :] >= least).nonzero(as_tuple=True)
    return prompt, winner, loser
