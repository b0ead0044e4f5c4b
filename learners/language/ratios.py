"""How far the policy has moved at each token: pi / mu of the token, of its sequence, or of something between.

| level            | log-ratio at token t of sequence y                          | source |
|------------------|-------------------------------------------------------------|--------|
| `token`          | log pi(y_t) - log mu(y_t)                                   | PPO (Schulman et al. 2017) |
| `sequence`       | mean over y of the above: the same number at all its tokens | GSPO (Zheng et al. 2025, eq. 7) |
| `sequence_token` | the value of `sequence`, the gradient of the token alone    | GSPO-token (same, eq. 14) |
| `product`        | sum over y: the importance weight of the whole answer       | RLOO (Ahmadian et al. 2024) |
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from learners.language import segments

Level = Literal["token", "sequence", "sequence_token", "product"]

# exp(20) is 5e8: far beyond every clip, and the products of such ratios stay finite in float32.
LOG_RATIO_BOUND = 20.0


def log_ratios(log_probs: Tensor, anchor: Tensor, weights: Tensor, sequence: Tensor, level: Level = "token") -> Tensor:
    """Log-ratio of each token at a level, `[N]`; 0 at tokens that do not count.

    Args:
        log_probs: log pi of each token, `[N]`.
        anchor: log mu of each token, what the ratio is measured from, `[N]`; no gradient flows through it.
        weights: a token of weight 0 does not count, `[N]`.
        sequence: which sequence each token belongs to, `[N]`.
        level: see above.
    """
    counts = (weights > 0).to(log_probs.dtype)
    apart = torch.where(weights > 0, log_probs - anchor.detach(), 0.0)
    if level == "sequence":
        apart = segments.means(apart, counts, sequence)
    elif level == "sequence_token":
        apart = segments.means(apart.detach(), counts, sequence) + (apart - apart.detach())
    elif level == "product":
        apart = segments.sums(apart, counts, sequence)
    return torch.where(weights > 0, apart, 0.0).clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)
