"""Staying able to do what the first policy could: f-divergences over its own answers, where it was always right.

Prompts are divided once. Those that the first policy always solves are no longer rewarded: there the policy is held to
answers that were stored from the first, by E_{y ~ π_ref}[f(u)], u = π / π_ref of a token. The others are learnt by
policy gradient without a KL. Forward KL, Jensen-Shannon and α-divergences grow where π forgets what π_ref does, so
modes are kept; the reverse KL does not mind.

| kind      | f(u)                                          |
|-----------|-----------------------------------------------|
| `forward` | −log u                                        |
| `js`      | u log u − (u + 1) log((u + 1) / 2)            |
| `alpha`   | (u^{1−a} − (1 − a) u − a) / (a (a − 1))       |
| `reverse` | u log u                                       |

Source: DPH-RL, The Choice of Divergence in RLVR; η of 0.01 to 0.05 for the forward KL, and of 0.05 to 0.2 for `js`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from learners.language.ratios import LOG_RATIO_BOUND

Generator = Literal["forward", "js", "alpha", "reverse"]
_LOG_2 = 0.6931471805599453


def generator(log_ratio: Tensor, kind: Generator, a: float = 0.5) -> Tensor:
    """f(u) of each token that π_ref wrote, of the shape of `log_ratio`; f(1) = 0.

    Args:
        log_ratio: log u = log π − log π_ref; limited to ±20, past which there is no gradient.
        kind: which f.
        a: of the α-divergence, between 0 and 1.

    Raises:
        ValueError: an α-divergence with a outside (0, 1).
    """
    d = log_ratio.clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)
    u = d.exp()
    if kind == "forward":
        return -d
    if kind == "reverse":
        return u * d
    if kind == "js":
        return u * d - (u + 1) * (softplus(d) - _LOG_2)
    if not 0 < a < 1:
        raise ValueError(f"got a={a}; expected a number between 0 and 1: the ends are the two KLs")
    return (((1 - a) * d).exp() - (1 - a) * u - a) / (a * (a - 1))


def mass_covering(
    log_probs: Tensor, stored: Tensor, mask: Tensor, kind: Generator = "js", eta: float = 0.1, a: float = 0.5
) -> Tensor:
    """η times the mean of f over the tokens of stored answers, a scalar to be added to the loss of the other prompts.

    Args:
        log_probs: log π of the stored tokens, with gradient, `[B, T]`.
        stored: log π_ref of them, from when they were sampled, `[B, T]`.
        mask: which tokens there are, bool, `[B, T]`.
        kind: which f.
        eta: η; 0: policy gradient alone.
        a: of the α-divergence.
    """
    found = generator(torch.where(mask, log_probs - stored.detach(), 0.0), kind, a)
    return eta * found.masked_fill(~mask, 0.0).sum() / mask.sum().clamp(min=1)


def mastered(solved: Tensor) -> Tensor:
    """Which prompts the first policy always solves, bool `[prompts]`.

    Args:
        solved: of each of k samples of each prompt, whether it is right, bool `[prompts, k]`.
    """
    return solved.all(-1)
