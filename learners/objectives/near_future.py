"""Learning from a later checkpoint of the same run: stronger than the policy, and closer than any teacher.

A run is taken some updates ahead and rolled back. In the groups of a prompt, some of the policy's own answers give way
to right ones of the checkpoint; the loss is the usual one (`learners.language.policy_loss`), its ratio measured from
whoever wrote the answer. What a checkpoint is worth is S = Q / V, quality over the price of distance.

Source: NPO, Near-Future Policy Optimization. What Q and V are, and when to intervene, is chosen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Signal(NamedTuple):
    """What a guide is worth.

    Attributes:
        quality: Q, share of prompts that the guide solves and the policy does not.
        variance: V, second moment of the importance ratio π / π_guide over the guide's answers; at least 1.
        value: S = Q / V.
    """

    quality: float
    variance: float
    value: float


def learning_signal(guide_solves: Tensor, own_solves: Tensor, log_ratio: Tensor, bound: float = 5.0) -> Signal:
    """S of one checkpoint.

    Args:
        guide_solves: of each prompt, whether some answer of the guide is right, bool `[prompts]`.
        own_solves: whether some answer of the policy is, bool `[prompts]`.
        log_ratio: log π − log π_guide of the guide's answers, summed over tokens, `[B]`.
        bound: log-ratios are limited to ± this: V is then finite, and at most exp(2 · bound).
    """
    quality = float((guide_solves & ~own_solves).float().mean())
    squared = (2 * log_ratio.clamp(-bound, bound)).exp().mean()
    variance = max(1.0, float(squared))
    return Signal(quality, variance, quality / variance)


def best_guide(signals: Sequence[Signal]) -> int | None:
    """Number of the checkpoint with the largest S; None where none solves anything new."""
    if not signals or max(signal.value for signal in signals) <= 0:
        return None
    return max(range(len(signals)), key=lambda k: signals[k].value)


def stalled(rewards: Sequence[float], window: int, slope: float) -> bool:
    """Whether the reward of the last `window` updates has risen by less than `slope` an update (least squares).

    Raises:
        ValueError: a window of fewer than two updates.
    """
    if window < 2:
        raise ValueError(f"got a window of {window} updates; expected at least 2")
    if len(rewards) < window:
        return False
    y = torch.tensor(rewards[-window:], dtype=torch.float64)
    x = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    return float((x * y).sum() / x.square().sum()) < slope


def replaced(own: Tensor, guide: Tensor, most: int) -> Tensor:
    """Which members of each group give way to an answer of the guide, `[groups, members]`: its number, or −1.

    The guide's right answers, in their order, take the places of the group's wrong ones, from the last. A group that is
    right throughout needs no guide.

    Args:
        own: whether the policy's answers are right, bool `[groups, members]`.
        guide: whether the guide's are, bool `[groups, k]`.
        most: members that may be replaced, at least 0; 0: on-policy GRPO.

    Raises:
        ValueError: `most` outside the group.
    """
    members = own.shape[1]
    if not 0 <= most <= members:
        raise ValueError(f"got most={most} in groups of {members}; expected between 0 and that")
    number = torch.minimum((~own).sum(1), guide.sum(1)).clamp(max=most)
    places = own.long().flip(1).argsort(dim=1, stable=True)  # wrong answers first, from the last
    answers = (~guide).long().argsort(dim=1, stable=True)  # right answers first
    found = torch.full_like(own, -1, dtype=torch.long)
    width = min(members, guide.shape[1])
    chosen = torch.arange(width) < number[:, None]
    rows = torch.arange(len(own))[:, None].expand(-1, width)[chosen]
    found[rows, (members - 1 - places[:, :width])[chosen]] = answers[:, :width][chosen]
    return found
