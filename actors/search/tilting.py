"""Tokens tilted by what they promise: value augmented sampling, and the soft value that makes a tilt exact.

    π(a|s) = π_0(a|s) exp(Σ_i β_i Q_i(s, a)) / Z(s)         Q_i(s, a) = V_i(s a)

It is the policy that wins the most Σ β_i Q_i − KL(π || π_0), in closed form: no policy is trained, the weights β are
set where text is written, and the model need say no more than its logits. Values are asked for the likeliest tokens
alone and are centred there, so that a constant changes nothing and the other tokens stay what they were beside them.

With soft values in place of means, V(s) = (1/β) log E[exp(β r) | s], the tilt of each token makes up the tilt of the
whole text, π_0(y) exp(β r(y)) / Z.

Source: VAS, Value Augmented Sampling for Language Model Alignment and Personalization (Han et al. 2024): the 20
likeliest tokens, β about 1 to 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def augmented_logits(
    logits: Tensor, values: Callable[[Tensor], Tensor], strengths: Sequence[float], top: int = 20
) -> Tensor:
    """Logits of the tilted policy `[B, V]`.

    Args:
        logits: of the base model `[B, V]`.
        values: from candidate tokens `[B, k]` the value of each row's text with each of them, by each of R rewards,
            `[B, k, R]`.
        strengths: β of each reward, R of them; 0 for all leaves the logits as they are.
        top: how many of the likeliest tokens are asked about, k; the whole vocabulary where it has fewer.

    Raises:
        ValueError: no token to ask about, or values of another shape.
    """
    if top < 1:
        raise ValueError(f"got top={top}; expected at least 1 token to ask about")
    tokens = logits.topk(min(top, logits.shape[-1]), dim=-1).indices
    found = values(tokens)
    if found.shape != (*tokens.shape, len(strengths)):
        raise ValueError(
            f"got values of shape {tuple(found.shape)}; expected {(*tokens.shape, len(strengths))}: one for each "
            "candidate and each reward that has a strength"
        )
    tilt = found.to(logits) @ torch.as_tensor(strengths, dtype=logits.dtype, device=logits.device)
    return logits.scatter_add(-1, tokens, tilt - tilt.mean(-1, keepdim=True))


def soft_value(values: Tensor, strength: float, log_probs: Tensor | None = None) -> Tensor:
    """(1/β) log E[exp(β v)] over the last dimension, of the shape of the others; the mean where β is 0.

    Applied to the soft values of all next states it is their soft value one step before.

    Args:
        values: v: rewards of samples, or values of next states `[…, N]`.
        strength: β; below 0 it leans to the worst.
        log_probs: of each `[…, N]`; None: all alike.
    """
    if log_probs is None:
        log_probs = values.new_full(values.shape, -math.log(values.shape[-1]))
    if not strength:
        return (log_probs.exp() * values).sum(-1)
    found: Tensor = (log_probs + strength * values).logsumexp(-1) / strength
    return found
