"""Losses of preference learning, from the log-probabilities of whole answers.

With h = (log pi(c) - log pi_ref(c)) - (log pi(r) - log pi_ref(r)), c the chosen answer and r the rejected one:

| name    | loss                                                        | source |
|---------|-------------------------------------------------------------|--------|
| `dpo`   | -log sigmoid(beta h)                                        | DPO (Rafailov et al. 2023, equation 7) |
| `hinge` | max(0, 1 - beta h)                                          | SLiC (Zhao et al. 2023) in DPO's form |
| `ipo`   | (h per token - 1 / (2 beta))^2                              | IPO (Azar et al. 2023, equation 17) |
| `simpo` | -log sigmoid(beta (mean c - mean r) - gamma)                | SimPO (Meng et al. 2024, equation 6) |
| `cpo`   | -log sigmoid(beta (sum c - sum r)) - mean c                 | CPO (Xu et al. 2024, equation 5) |
| `orpo`  | -beta log sigmoid(log odds(c) - log odds(r)) - mean c       | ORPO (Hong et al. 2024, equation 6) |
| `kto`   | w (1 - sigmoid(± beta (log pi - log pi_ref - z)))           | KTO (Ethayarajh et al. 2024, equation 7) |

SimPO, CPO and ORPO know no reference: sums and means are of log pi over the tokens of an answer. KTO knows single
answers. IPO is averaged per token, as its authors do in practice: otherwise its target would depend on length.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def dpo(margin: Tensor, beta: float, label_smoothing: float = 0.0) -> Tensor:
    """-log sigmoid(beta h), `[P]`.

    Args:
        margin: h of each pair, `[P]`.
        beta: price of leaving the reference.
        label_smoothing: the chance that a label is wrong (cDPO: Mitchell 2023).
    """
    scaled = beta * margin
    return -(1 - label_smoothing) * logsigmoid(scaled) - label_smoothing * logsigmoid(-scaled)


def hinge(margin: Tensor, beta: float) -> Tensor:
    """max(0, 1 - beta h), `[P]`."""
    return torch.relu(1 - beta * margin)


def ipo(margin_per_token: Tensor, beta: float) -> Tensor:
    """(h - 1 / (2 beta))^2, `[P]`.

    Args:
        margin_per_token: h of log-ratios that are means over the tokens of each answer, `[P]`.
        beta: tau of the paper.
    """
    return (margin_per_token - 1 / (2 * beta)).square()


def simpo(chosen_mean: Tensor, rejected_mean: Tensor, beta: float, gamma: float) -> Tensor:
    """-log sigmoid(beta (c - r) - gamma), `[P]`.

    Args:
        chosen_mean: mean log-probability of the chosen answers' tokens, `[P]`.
        rejected_mean: of the rejected ones, `[P]`.
        beta: scale of the reward.
        gamma: margin that the reward should win by.
    """
    return -logsigmoid(beta * (chosen_mean - rejected_mean) - gamma)


def odds_ratio(chosen_mean: Tensor, rejected_mean: Tensor) -> Tensor:
    """-log sigmoid(log odds(c) - log odds(r)), odds(p) = p / (1 - p), `[P]` (ORPO, equation 7).

    Args:
        chosen_mean: mean log-probability of the chosen answers' tokens, below 0, `[P]`.
        rejected_mean: of the rejected ones, `[P]`.
    """

    def log_odds(log_p: Tensor) -> Tensor:
        # log(1 - p) loses all digits as p nears 1; expm1 keeps them.
        return log_p - torch.log(-torch.expm1(log_p.clamp(max=-1e-7)))

    return -logsigmoid(log_odds(chosen_mean) - log_odds(rejected_mean))


def kto(
    log_ratio: Tensor,
    labels: Tensor,
    baseline: Tensor,
    beta: float,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> Tensor:
    """Loss of single answers that were liked or not, `[B]`.

    Args:
        log_ratio: log pi(y) - log pi_ref(y), `[B]`.
        labels: above 0 where the answer was liked, `[B]`.
        baseline: z, an estimate of KL(pi || ref); not negative; no gradient flows through it.
        beta: price of leaving the reference.
        desirable_weight: of liked answers.
        undesirable_weight: of the others.
    """
    gain = beta * (log_ratio - baseline.detach().clamp(min=0))
    liked = labels > 0
    value = torch.sigmoid(torch.where(liked, gain, -gain))
    return torch.where(liked, desirable_weight, undesirable_weight) * (1 - value)


def mismatched_order(count: int) -> list[int]:
    """For each of `count` prompts, whose answer to put behind it to estimate KTO's z: the next one's (section 4.1)."""
    return [(i + 1) % count for i in range(count)]
