"""Cooper: pairs by which a reward model goes on learning while the policy learns from it.

Of each prompt's answers one is chosen that a rule has verified; rejected is that answer, made wrong by somebody else:

    L = Σ_i m_i · −log σ(r(x_i, y*_i, o⁺_i) − r(x_i, y*_i, o⁻_i)) / Σ_i m_i

m is 0 where nothing was verified, or where what should be wrong is not known to be. A rule misses right answers in
forms that it cannot read, but what it verifies is right, and no more is asked of it here.

A learner of reward models takes m as the fact `weights` (`learners.language.reward_model_learner`).

Source: Cooper, Co-Optimizing Policy and Reward Models in Reinforcement Learning for Large Language Models (2025); the
first verified answer is taken as in its released code.
"""

from __future__ import annotations

import torch
from torch import Tensor

from learners.language.reward_losses import bradley_terry


def first_verified(verified: Tensor) -> Tensor:
    """Number of the first verified answer of each prompt `[P]`; −1 where there is none.

    Args:
        verified: 1 where the rule says that an answer is right `[P, G]`; NaN where it cannot tell.

    Raises:
        ValueError: not `[P, G]` with at least one answer.
    """
    if verified.ndim != 2 or not verified.shape[1]:
        raise ValueError(f"got verdicts of shape {tuple(verified.shape)}; expected [P, G], G of at least 1")
    found = verified == 1
    return torch.where(found.any(1), found.long().argmax(1), -1)


def pair_weights(chosen: Tensor, verified: Tensor) -> Tensor:
    """The m of each pair `[P]`: 1 where an answer was chosen and the rule says that its corruption is wrong, else 0.

    Args:
        chosen: numbers of the chosen answers, −1 where there is none `[P]`.
        verified: what the rule says of the corrupted answers `[P]`: 0 where they are wrong; NaN where none was made.

    Raises:
        ValueError: shapes that differ.
    """
    if chosen.shape != verified.shape:
        raise ValueError(f"got shapes {tuple(chosen.shape)} and {tuple(verified.shape)}; expected [P] for both")
    return ((chosen >= 0) & (verified == 0)).float()


def verified_pair_loss(chosen: Tensor, rejected: Tensor, weights: Tensor) -> Tensor:
    """L over all pairs; exactly 0, and without a gradient, where none counts.

    An optimiser with momentum would move the model even then: leave its step out where all weights are 0.

    Args:
        chosen: rewards of the verified answers `[P]`; of a pair that does not count, whatever there is.
        rejected: of the corrupted ones `[P]`.
        weights: m `[P]`.

    Raises:
        ValueError: shapes that differ, or a weight below 0.
    """
    if not chosen.shape == rejected.shape == weights.shape or not bool((weights >= 0).all()):
        raise ValueError(
            f"got rewards {tuple(chosen.shape)} and {tuple(rejected.shape)} and weights {tuple(weights.shape)}; "
            "expected [P] three times, and no weight below 0"
        )
    apart = torch.where(weights > 0, chosen - rejected, 0.0)
    total = weights.sum()
    losses = weights * bradley_terry(apart, torch.zeros_like(apart))
    return losses.sum() / torch.where(total > 0, total, 1.0)
