"""What routers of experts learn beside the task: to use all experts, and to tell tasks apart.

    balance   CV²(Σ_i w_i) + CV²(Σ_i load_i)                 CV² = variance / mean², over the experts
    contrast  −log softmax_j(q_i W k_j)[i]                   InfoNCE: q_i and k_i are of one task, k_j of others

w are the weights that experts are given, load the chance that they are heard. q are the softmax of gate logits of one
history, and k of another one by a router that follows slowly; the loss is a bound of what routing tells of the task,
I(task; routing) ≥ log N − contrast.

Sources: Outrageously Large Neural Networks (Shazeer et al. 2017); T2MIR, Mixture-of-Experts Meets In-Context
Reinforcement Learning (Wu et al. 2025), where the balance weighs 0.1, the contrast 0.01, and the key router moves by
0.005 a step (`learners.weights`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def squared_variation(values: Tensor) -> Tensor:
    """CV² of values `[E]` that are not negative; 0 of one value, and where all are 0.

    Raises:
        ValueError: another shape.
    """
    if values.ndim != 1 or not len(values):
        raise ValueError(f"got values of shape {tuple(values.shape)}; expected one of each expert, [E]")
    if len(values) == 1:
        return torch.zeros_like(values[0])
    found: Tensor = values.var() / values.mean().square().clamp_min(1e-10)
    return found


def balance(weights: Tensor, load: Tensor, mask: Tensor | None = None) -> Tensor:
    """How unevenly experts are used, over all inputs; 0 where all are used alike.

    Args:
        weights: of each expert `[…, E]`.
        load: chance that it is heard `[…, E]`.
        mask: which inputs count, bool `[…]`; None: all.

    Raises:
        ValueError: shapes that do not fit.
    """
    if weights.shape != load.shape or (mask is not None and mask.shape != weights.shape[:-1]):
        raise ValueError(
            f"got weights {tuple(weights.shape)}, load {tuple(load.shape)} and mask "
            f"{None if mask is None else tuple(mask.shape)}; expected […, E], […, E] and […]"
        )
    counted = torch.ones_like(weights[..., :1]) if mask is None else mask[..., None].to(weights.dtype)
    used = ((values * counted).flatten(0, -2).sum(0) for values in (weights, load))
    importance, heard = map(squared_variation, used)
    return importance + heard


def task_contrast(queries: Tensor, keys: Tensor, similarity: Tensor) -> Tensor:
    """Mean InfoNCE of routings of one task each.

    Args:
        queries: of a history of each of N tasks, softmax of the gate's logits, or these themselves `[N, E]`.
        keys: of another history, in the same order `[N, E]`; detached here, as their router only follows.
        similarity: W, learnt `[E, E]`.

    Raises:
        ValueError: shapes that do not fit, or a single task: there is nothing to be told apart.
    """
    experts = queries.shape[-1]
    if queries.ndim != 2 or keys.shape != queries.shape or similarity.shape != (experts, experts) or len(queries) < 2:
        raise ValueError(
            f"got queries {tuple(queries.shape)}, keys {tuple(keys.shape)} and W {tuple(similarity.shape)}; "
            "expected [N, E] of at least two tasks, [N, E] and [E, E]"
        )
    alike = queries @ similarity @ keys.detach().T
    return cross_entropy(alike, torch.arange(len(queries), device=queries.device))
