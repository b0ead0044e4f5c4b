"""A filter of imagined transitions: of what a world model might foretell, what is most like the world goes on.

    m ~ softmax_m(r(s, a, s'_m) / τ)        the rollout ends where r of the one that was drawn is below r_min

r says how true a transition is; the candidates come from the members of an ensemble, or are drawn from it several times
over. It goes before whatever a model-based method does with its rollouts.

Source: Reward-Consistent Dynamics Models are Strongly Generalizable for Offline Reinforcement Learning (MOREC: Luo et
al. 2024); τ = 0.1 and r_min = 0.6 there, for its dynamics reward.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Filtered(NamedTuple):
    """Number of the candidate that was drawn, int64, and whether the rollout ends there, bool; `[B]` each."""

    candidate: Tensor
    stop: Tensor


def filtered(rewards: Tensor, generator: torch.Generator, temperature: float = 0.1, least: float = 0.6) -> Filtered:
    """Draw one candidate of each transition.

    A candidate without a reward (NaN) is never drawn; where none has one, the first goes on and the rollout ends.

    Args:
        rewards: r of M candidates of each transition `[M, B]`.
        generator: draws.
        temperature: τ, at least 0; 0 takes the best, the first of equals.
        least: r_min; −∞ ends no rollout.

    Raises:
        ValueError: no candidate, or a temperature below 0.
    """
    if rewards.ndim != 2 or not len(rewards) or not temperature >= 0:
        raise ValueError(
            f"got rewards of shape {tuple(rewards.shape)} and temperature={temperature}; expected [M, B] of one "
            "candidate at least, and at least 0"
        )
    known = ~rewards.isnan()
    worth = torch.where(known, rewards, -torch.inf)
    some = known.any(0)
    if temperature:
        chances = torch.where(some, worth / temperature, 0.0).softmax(0)
        index = torch.multinomial(chances.T, 1, generator=generator)[:, 0]
    else:
        index = worth.argmax(0)
    index = torch.where(some, index, 0)
    drawn = worth.gather(0, index[None])[0]
    return Filtered(index, ~some | (drawn < least))
