"""From logits to tokens: temperature, top-k and top-p, and draws that depend on nothing but a seed and a position.

Shapes: N rows, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def filtered_log_probs(
    logits: torch.Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> torch.Tensor:
    """Log-probabilities that are sampled from: temperature first, then top-k, then top-p, then normalised anew.

    Args:
        logits: `[N, V]`.
        temperature: 0 leaves the most likely token alone, with log-probability 0.
        top_k: keep the k most likely tokens, and those that tie with the last; 0: all.
        top_p: keep the fewest tokens, most likely first, whose mass reaches this.

    Returns:
        `[N, V]` in float32, -inf where a token was left out.
    """
    logits = logits.float()
    if temperature == 0:
        best = logits.argmax(-1, keepdim=True)
        return torch.full_like(logits, -torch.inf).scatter_(-1, best, 0.0)
    if temperature != 1:
        logits = logits / temperature
    if 0 < top_k < logits.shape[-1]:
        least = logits.topk(top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if top_p < 1:
        probs, order = logits.softmax(-1).sort(dim=-1, descending=True, stable=True)
        beyond = probs.cumsum(-1) - probs >= top_p  # what stands before a token has the mass already
        logits = logits.masked_fill(torch.zeros_like(beyond).scatter_(-1, order, beyond), -torch.inf)
    return logits.log_softmax(-1)


def draw(log_probs: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """One token a row by inverting the distribution function.

    Args:
        log_probs: `[N, V]`.
        uniforms: numbers of [0, 1), `[N]`.

    Returns:
        Token ids `[N]`; never one whose probability is 0.
    """
    # In float32 a sum over a large vocabulary would lose rare tokens; Apple GPUs know no float64.
    exact = torch.float32 if log_probs.device.type == "mps" else torch.float64
    total = log_probs.exp().cumsum(-1, dtype=exact)
    at = uniforms.to(exact)[:, None] * total[:, -1:]
    return torch.searchsorted(total, at, right=True)[:, 0].clamp_(max=log_probs.shape[-1] - 1)


def uniforms(seeds: Sequence[int], positions: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number of [0, 1) for each seed and position: the same whoever asks, and when.

    Args:
        seeds: N integers, of which the lowest 64 bits count.
        positions: `[N, K]`, from 0.

    Returns:
        `[N, K]`: the outputs of SplitMix64 (Steele et al. 2014), with 52 bits, so that a product with a sum of
        probabilities stays below that sum.
    """
    state = np.array([seed & 0xFFFFFFFFFFFFFFFF for seed in seeds], np.uint64)
    counter = positions.astype(np.uint64) + np.uint64(1)
    bits = _mix(_mix(state)[:, None] + counter * _GOLDEN)
    return np.asarray((bits >> np.uint64(12)).astype(np.float64) * 2.0**-52)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed
