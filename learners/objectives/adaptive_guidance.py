"""AMPO: teachers are asked only where the policy fails altogether, and those it understands best are heard.

Where all answers of a group are wrong, some of them give way to verified answers of teachers, chosen by comprehension:
the policy's own chance of the right answer after it has read the teacher's reasoning. Advantages are taken over the
mixed group; the teachers' tokens are learnt from through f(π) = π / (π + 0.1), without a clip, so that what the policy
finds unlikely moves it most.

Source: AMPO, More Than One Teacher (Yuan et al. 2025); 2 of 4 as in its released script. f is that of LUFFY. So is
the loss of a mixed group in RGR-GRPO (`rubric_guidance`), where a refinement of the policy's own stands for a teacher,
and in HeRL (`hindsight`), where f is of the ratio to the policy that read its failure.
"""

from __future__ import annotations

import torch
from torch import Tensor

from learners.language.clipping import Clip

FAR = 20.0
"""Nats above which a ratio to whoever wrote is cut off, as in HeRL's released code; f is 1 there."""


def comprehension(log_probs: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens of the right answer of π(y*_j | x, the teacher's thought), between 0 and 1, `[...]`.

    Args:
        log_probs: of the tokens of the right answer, after the teacher's reasoning `[..., T]`.
        mask: which tokens are of the answer `[..., T]`; 0 where there is none, and what stands there changes nothing.
    """
    weights = mask.to(log_probs.dtype)
    log_probs = torch.where(mask.bool(), log_probs, 0.0)
    return (log_probs.exp().clamp(0, 1) * weights).sum(-1) / weights.sum(-1).clamp(min=1)


def injected(right: Tensor, taught: Tensor, understood: Tensor, most: int) -> Tensor:
    """Which members of each group give way to a teacher's answer, `[P, G]`: its number, or −1.

    Only groups without any right answer are helped; there the last members give way, to the teachers' right answers
    that are understood best.

    Args:
        right: whether the policy's answers are right, bool `[P, G]`.
        taught: whether the teachers' are, bool `[P, K]`.
        understood: comprehension of each teacher's answer `[P, K]`.
        most: how many are taken at most; 0: GRPO.

    Raises:
        ValueError: shapes that do not fit, or `most` outside of the group.
    """
    members = right.shape[1]
    if taught.shape != understood.shape or len(taught) != len(right) or not 0 <= most <= members:
        raise ValueError(
            f"got right of shape {tuple(right.shape)}, taught of {tuple(taught.shape)}, understood of "
            f"{tuple(understood.shape)} and most={most}; expected [P, G], [P, K] twice, and most of 0 to G"
        )
    found = torch.full(right.shape, -1, dtype=torch.long)
    order = torch.where(taught, understood, -torch.inf).argsort(dim=1, descending=True, stable=True)
    for prompt in torch.nonzero(~right.any(1) & taught.any(1)).flatten().tolist():
        number = min(most, int(taught[prompt].sum()))
        if number:
            found[prompt, members - number :] = order[prompt, :number]
    return found


def shaped_probability(log_probs: Tensor, floor: float = 0.1) -> Tensor:
    """f(π) = π / (π + floor), whose slope floor / (π + floor)² is largest where π is 0; of the same shape.

    Raises:
        ValueError: a floor that is not positive.
    """
    if floor <= 0:
        raise ValueError(f"got floor={floor}; expected it above 0")
    probability = log_probs.exp()
    return probability / (probability + floor)


def mixed_policy_losses(
    log_probs: Tensor,
    old: Tensor,
    advantages: Tensor,
    foreign: Tensor,
    bound: Clip | None = None,
    floor: float = 0.1,
    by_ratio: bool = False,
) -> Tensor:
    """Losses of tokens `[B, T]`: −min(r A, clip(r) A) of the policy's own, −f(π) A of those of others.

    Args:
        log_probs: of the tokens now `[B, T]`.
        old: of those of the policy's own, when it wrote them `[B, T]`; of others whatever there is, or with `by_ratio`
            what they were to whoever wrote them.
        advantages: `[B]`, over the mixed group.
        foreign: which answers were not written by the policy from this prompt, bool `[B]`.
        bound: of the ratio; None: PPO's, of 0.2.
        floor: of f.
        by_ratio: whether f is of the ratio to whoever wrote, not of π itself.

    Raises:
        ValueError: shapes that do not fit, or a floor that is not positive.
    """
    if old.shape != log_probs.shape or not advantages.shape == foreign.shape == log_probs.shape[:1]:
        raise ValueError(
            f"got log-probabilities of shapes {tuple(log_probs.shape)} and {tuple(old.shape)}, advantages of "
            f"{tuple(advantages.shape)} and foreign of {tuple(foreign.shape)}; expected [B, T] twice and [B] twice"
        )
    others, gain = foreign[:, None], advantages[:, None]
    ratio = torch.where(others, 0.0, log_probs - old).exp()
    own = (bound or Clip()).surrogate(ratio, gain, log_probs).loss
    theirs = torch.where(others, log_probs - old, 0.0).clamp(max=FAR) if by_ratio else log_probs
    return torch.where(others, -shaped_probability(theirs, floor) * gain, own)
