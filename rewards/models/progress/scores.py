"""Scores of progress from 1 to 5 for whole trajectories, and negatives made of successes, with a score that fits them.

Data are full of successes, and a reward model that has seen nothing else scores all alike. Two kinds of negatives cost
no failure: a successful trajectory that is cut off early, and one beside an instruction that it does not fulfil. Both
are scored by the share s of what was asked that is done:

    score = 1 + ⌊4 s⌋      1: nothing; 5: all of it, and only that

Source: RoboReward: General-Purpose Vision-Language Reward Models for Robotics, where language models propose the
instructions and check the scores. That the score is that function of a share, and that of the instructions for one
trajectory each score is as likely, is chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
HIGHEST = 5


class Relabelled(NamedTuple):
    """An instruction for each trajectory, and the score of the trajectory for it, `[N]` each."""

    instruction: Ints
    score: Ints


def score_of(share: ArrayLike) -> Ints:
    """1 to 5, of the share that is done, or of the fraction at which a success was cut off `[...]`; 5 at 1 alone.

    Raises:
        ValueError: shares beyond 0 and 1.
    """
    done = np.asarray(share, np.float64)
    if not ((done >= 0) & (done <= 1)).all():
        raise ValueError("got shares that are not between 0 and 1; expected what is done of what was asked")
    found: Ints = 1 + np.floor((HIGHEST - 1) * done + 1e-9).astype(np.int64)
    return np.where(done < 1, np.minimum(found, HIGHEST - 1), HIGHEST)


def clipped(lengths: ArrayLike, fractions: ArrayLike) -> Ints:
    """Steps that are kept of trajectories cut off at a fraction, rounded; 1 keeps all `[N]`.

    Args:
        lengths: of successful trajectories `[N]`.
        fractions: 0 to 1 `[N]`; their scores are `score_of` of these.

    Raises:
        ValueError: fractions beyond 0 and 1.
    """
    steps, share = np.asarray(lengths), np.asarray(fractions, np.float64)
    if not ((share >= 0) & (share <= 1)).all():
        raise ValueError("got fractions that are not between 0 and 1; expected where a trajectory is cut off")
    found: Ints = np.rint(share * steps).astype(np.int64)
    return found


def relabelled(overlap: ArrayLike, random: np.random.Generator) -> Relabelled:
    """For each trajectory an instruction that it does not fulfil; each score that there is is as likely.

    Args:
        overlap: share of each instruction that each trajectory does, by whatever checks it `[N, I]`; NaN where that is
            not known, and such an instruction is not taken.
        random: draws.

    Raises:
        ValueError: shares beyond 0 and 1, or a trajectory that fulfils every instruction.
    """
    share = np.asarray(overlap, np.float64)
    if share.ndim != 2:
        raise ValueError(f"got overlaps {share.shape}; expected [N, I]")
    known = ~np.isnan(share)
    score = np.where(known, score_of(np.where(known, share, 0.0)), HIGHEST)
    alike = np.zeros(score.shape)
    for value in range(1, HIGHEST):
        own = score == value
        alike = np.where(own, own.sum(1, keepdims=True), alike)
    if not (alike > 0).any(1).all():
        row = int(np.flatnonzero(~(alike > 0).any(1))[0])
        raise ValueError(f"got no instruction that trajectory {row} fails; expected one at least: offer others")
    # The largest of log-weights with Gumbel noise is drawn with chances in proportion to the weights.
    weight = np.where(alike > 0, -np.log(np.maximum(alike, 1.0)), -np.inf)
    picked = (weight + random.gumbel(size=weight.shape)).argmax(1)
    return Relabelled(picked, score[np.arange(len(score)), picked])


def expected_score(logits: Tensor) -> Tensor:
    """Mean of the score under its distribution, 1 to 5 `[...]`, of logits `[..., 5]`."""
    scores = torch.arange(1, HIGHEST + 1, dtype=logits.dtype, device=logits.device)
    return logits.softmax(-1) @ scores


def score_reward(score: ArrayLike, success_only: bool = False) -> Floats:
    """The reward of an episode `[...]`: a fifth of its score, or 1 for a score of 5 and else 0.

    Args:
        score: 1 to 5 `[...]`; NaN where NULL, and it stays so.
        success_only: whether only a 5 is paid.
    """
    told = np.asarray(score, np.float64)
    found: Floats = np.where(np.isnan(told), np.nan, told == HIGHEST) if success_only else told / HIGHEST
    return found
