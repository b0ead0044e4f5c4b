"""Learning to do what leads to wanted returns: supervised, with a contrast to what other returns would ask for.

    g_t = Σ_{k ≥ t} γ^{k−t} r_k                                             of each of K rewards
    L = − mean log π(a_t | g, s, a_<t) + c · InfoNCE(v_t(g), e(a_t), v_t(g'))

v_t(g) is the vector of a prediction: it shall be near the embedding e of the action that was taken, and far from the
vectors that other wanted returns g' give for the same history. Without the contrast, and with one reward, it is the
objective of Decision Transformer.

Source: DT4IER (Liu et al. 2024); temperature 0.07 as in its code, where the contrast stands beside
the loss.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from learners.losses import weighted_mean


def returns_to_go(rewards: Tensor, mask: Tensor, gamma: float = 1.0) -> Tensor:
    """What was still to come at each step, of each reward `[B, T, K]`.

    Args:
        rewards: `[B, T, K]`; NaN where one is not known: then so are those returns that need it.
        mask: which steps there are, bool `[B, T]`.
        gamma: γ.

    Raises:
        ValueError: shapes that do not fit.
    """
    if rewards.ndim != 3 or mask.shape != rewards.shape[:2]:
        raise ValueError(f"got rewards {tuple(rewards.shape)}, mask {tuple(mask.shape)}; expected [B, T, K], [B, T]")
    paid = torch.where(mask[..., None], rewards, 0.0)
    found, total = [], torch.zeros_like(paid[:, 0])
    for step in paid.flip(1).unbind(1):
        total = step + gamma * total
        found.append(total)
    return torch.stack(found[::-1], 1)


def contrast(vector: Tensor, positive: Tensor, negatives: Tensor, temperature: float = 0.07) -> Tensor:
    """InfoNCE of each step `[…]`, by cosine similarity.

    Args:
        vector: of the prediction `[…, H]`.
        positive: what it shall be near `[…, H]`.
        negatives: what it shall be far from `[M, …, H]`.
        temperature: of the similarities, above 0.

    Raises:
        ValueError: shapes that do not fit, or a temperature that is not above 0.
    """
    if vector.shape != positive.shape or negatives.shape[1:] != vector.shape or not temperature > 0:
        raise ValueError(
            f"got vectors {tuple(vector.shape)}, positives {tuple(positive.shape)}, negatives "
            f"{tuple(negatives.shape)}, temperature {temperature}; expected […, H], […, H], [M, …, H], and above 0"
        )
    near = cosine_similarity(vector, positive, -1)[None]
    far = cosine_similarity(vector[None], negatives, -1)
    return -(torch.cat([near, far]) / temperature).log_softmax(0)[0]


def conditioned_loss(
    logits: Tensor, actions: Tensor, mask: Tensor, contrasts: Tensor | None = None, coefficient: float = 0.1
) -> Tensor:
    """L, a scalar.

    Args:
        logits: of the actions `[B, T, A]`.
        actions: what was done `[B, T]`.
        mask: which steps count, bool `[B, T]`; none whose wanted returns are not known.
        contrasts: of each step `[B, T]`, from `contrast`; None: nothing but cloning.
        coefficient: c of the contrast, at least 0.

    Raises:
        ValueError: a coefficient below 0.
    """
    if coefficient < 0:
        raise ValueError(f"got a coefficient of {coefficient}; expected at least 0: it weighs the contrast")
    cloned = cross_entropy(logits.flatten(0, 1), actions.flatten(), reduction="none").view_as(actions)
    loss = weighted_mean(cloned, mask)
    return loss if contrasts is None else loss + coefficient * weighted_mean(contrasts, mask)
