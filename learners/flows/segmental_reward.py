"""A reward of single frames for whole videos: one frame of each stretch of it, those near the middle counting most.

    R = Σ_i f_i r(x_{m_i})        f_i = exp(−λ |m_i − N/2|)

m_i is a frame of stretch i, drawn anew each time. With λ = 0 frames count alike, and all are drawn to the same optimum;
above it the middle is rewarded and the others follow as the generator has them.

Source: InstructVideo (Segmental Video Reward, Temporally Attenuated Reward). λ = 1 and four stretches are defaults
chosen here.
"""

from __future__ import annotations

import torch
from torch import Tensor


def drawn_frames(frames: int, stretches: int, generator: torch.Generator | None = None) -> Tensor:
    """Numbers of frames from 0, one of each stretch `[S]`; stretches are as equal as they can be.

    Args:
        frames: N.
        stretches: S.
        generator: None: torch's own.

    Raises:
        ValueError: more stretches than frames, or none.
    """
    if not 1 <= stretches <= frames:
        raise ValueError(f"got {stretches} stretches of {frames} frames; expected from 1 to {frames}")
    bounds = torch.arange(stretches + 1) * frames // stretches
    share = torch.rand(stretches, generator=generator)
    return bounds[:-1] + (share * bounds.diff()).long()


def attenuated_reward(rewards: Tensor, index: Tensor, frames: int, rate: float = 1.0) -> Tensor:
    """R of each video `[B]`.

    Args:
        rewards: r of the frames that were drawn `[B, S]`.
        index: their numbers, from 0 `[S]`.
        frames: N.
        rate: λ; 0: the plain sum.

    Raises:
        ValueError: shapes that do not fit, or a negative rate.
    """
    if rewards.ndim != 2 or rewards.shape[1:] != index.shape or rate < 0:
        raise ValueError(
            f"got rewards {tuple(rewards.shape)}, frames {tuple(index.shape)} and rate={rate}; "
            "expected [B, S], [S] and at least 0"
        )
    return rewards @ torch.exp(-rate * (index - frames / 2).abs()).to(rewards)
