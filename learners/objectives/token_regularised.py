"""T-REG: preference learning whose implicit token rewards are drawn to token rewards that the model gave itself.

The reference model is asked for a better and for a worse answer; a token that the first request makes likelier than
the second is good:

    r_t = σ(log π_ref(y_t | better) − log π_ref(y_t | worse)) − 1/2        in (−1/2, 1/2)

DPO's own reward of a token is β log π/π_ref. The regulariser raises it where r_t > 0 and lowers it where r_t < 0.

Source: T-REG: Preference Optimization with Token-Level Reward Regularization. The regulariser's weight, σ(−β h) of the
pair, which is the slope of DPO's own loss and fades as that is learnt, is chosen here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from learners.language.preferences import dpo


def contrastive_rewards(better: Tensor, worse: Tensor) -> Tensor:
    """r_t, `[B, T]`; no gradient flows.

    Args:
        better: log-probabilities of the tokens when a better answer was asked for, `[B, T]`.
        worse: when a worse one was, `[B, T]`.
    """
    return torch.sigmoid((better - worse).detach()) - 0.5


def token_regularised_dpo(
    log_ratio: Tensor, token_rewards: Tensor, mask: Tensor, beta: float = 0.1, alpha: float = 0.25
) -> Tensor:
    """−log σ(β h) − α σ(−β h) Σ_t r_t β l_t over both answers, `[P]`; h = Σ_t l_t (chosen) − Σ_t l_t (rejected).

    Args:
        log_ratio: l_t = log π − log π_ref of each token, chosen answers first, `[2, P, T]`.
        token_rewards: r_t, `[2, P, T]`.
        mask: which tokens there are, bool, `[2, P, T]`.
        beta: price of leaving the reference.
        alpha: weight of the regulariser; 0: DPO.

    Raises:
        ValueError: shapes that do not fit, or α below 0.
    """
    if not log_ratio.shape == token_rewards.shape == mask.shape or len(log_ratio) != 2:
        raise ValueError(
            f"got log-ratios {tuple(log_ratio.shape)}, rewards {tuple(token_rewards.shape)} and mask "
            f"{tuple(mask.shape)}; expected [2, P, T] each, chosen answers first"
        )
    if alpha < 0:
        raise ValueError(f"got alpha={alpha}; expected at least 0: below, tokens are drawn away from their rewards")
    kept = log_ratio.masked_fill(~mask, 0.0)
    chosen, rejected = kept.sum(-1)
    margin = chosen - rejected
    gain = (token_rewards.masked_fill(~mask, 0.0) * beta * kept).sum(-1).sum(0)
    return dpo(margin, beta) - alpha * torch.sigmoid(-beta * margin).detach() * gain
