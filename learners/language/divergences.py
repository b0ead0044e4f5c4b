"""How far one policy is from another: estimates from the sampled tokens, and exactly from the logits.

With log-ratio d = log pi(y) - log pi_ref(y) of a token that was sampled from pi (Schulman 2020, "Approximating KL
divergence"):

    k1 = d                  unbiased, may be negative
    k2 = d^2 / 2            biased, never negative; its gradient is that of the reverse KL
    k3 = exp(-d) - 1 + d    unbiased, never negative

`reverse` KL(pi || ref), `forward` KL(ref || pi) and `js` are sums over the whole vocabulary.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from learners.language.ratios import LOG_RATIO_BOUND

Estimator = Literal["k1", "k2", "k3"]
Exact = Literal["forward", "reverse", "js"]


def estimate(log_probs: Tensor, reference: Tensor, estimator: Estimator) -> Tensor:
    """An estimate of KL(pi || ref) from each sampled token, of the shape of `log_probs`.

    Args:
        log_probs: log pi of the token.
        reference: log pi_ref of the token.
        estimator: see above.
    """
    apart = (log_probs - reference).clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)
    if estimator == "k1":
        return apart
    if estimator == "k2":
        return apart.square() / 2
    return torch.expm1(-apart) + apart


def exact(logits: Tensor, reference: Tensor, divergence: Exact) -> Tensor:
    """The divergence of two distributions over the vocabulary, `[n]`.

    Args:
        logits: of pi, `[n, V]`.
        reference: of pi_ref, `[n, V]`.
        divergence: see above; `js` is Jensen-Shannon, at most log 2.
    """
    ours, theirs = logits.log_softmax(-1), reference.log_softmax(-1)
    if divergence == "reverse":
        return _kl(ours, theirs)
    if divergence == "forward":
        return _kl(theirs, ours)
    middle = torch.logaddexp(ours, theirs) - math.log(2)
    return (_kl(ours, middle) + _kl(theirs, middle)) / 2


def _kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) of log-probabilities; what p never does counts 0, also where q never does it either."""
    return (p.exp() * torch.where(p > -torch.inf, p - q, 0.0)).sum(-1)
