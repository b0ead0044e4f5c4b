"""Which answer is better, whether each is good, and how a good one is written: three losses of one pair.

    L = w_p · DPO + w_q · BCO + w_g · (−mean log π(chosen))
    BCO = −log σ(β h⁺ − δ) − log σ(−(β h⁻ − δ)),   h = log π − log π_ref of an answer, δ a running mean of β h

DPO looks at the difference alone and may make both answers unlikely; BCO asks that each be on its side of δ, and the
last term holds the good one where it is.

Source: Skywork R1V2 (Chris et al. 2025), whose preference stage is MPO (Wang et al. 2024, "Enhancing the Reasoning
Ability of Multimodal Large Language Models via Mixed Preference Optimization"); BCO is Jung et al. 2024. The weights
0.8, 0.2 and 1 are those of MPO as remembered, and so is how δ runs.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import logsigmoid

from learners.language.preferences import dpo


class MixedPreference(NamedTuple):
    """The three losses and their weighted sum, `[P]` each."""

    preference: Tensor
    quality: Tensor
    generation: Tensor
    total: Tensor


def bco(chosen: Tensor, rejected: Tensor, shift: float | Tensor, beta: float) -> Tensor:
    """−log σ(β h⁺ − δ) − log σ(−(β h⁻ − δ)), `[P]`.

    Args:
        chosen: h of the good answers, `[P]`.
        rejected: h of the bad ones, `[P]`.
        shift: δ; no gradient flows through it.
        beta: β.
    """
    delta = shift.detach() if isinstance(shift, Tensor) else shift
    return -logsigmoid(beta * chosen - delta) - logsigmoid(-(beta * rejected - delta))


def next_shift(shift: float, chosen: Tensor, rejected: Tensor, beta: float, rate: float = 0.1) -> float:
    """δ after a batch: a share `rate` of the way to the mean of β h over all its answers.

    Args:
        shift: δ before it.
        chosen: h of the good answers, `[P]`.
        rejected: of the bad ones, `[P]`.
        beta: β.
        rate: in (0, 1].

    Raises:
        ValueError: a rate out of its range, or no pair.
    """
    if not 0 < rate <= 1 or not chosen.numel():
        raise ValueError(f"got rate={rate} and {chosen.numel()} pairs; expected above 0, at most 1, and one at least")
    mean = beta * float((chosen.detach().mean() + rejected.detach().mean()) / 2)
    return (1 - rate) * shift + rate * mean


def mixed_preference(
    chosen: Tensor,
    rejected: Tensor,
    chosen_mean: Tensor,
    shift: float | Tensor = 0.0,
    beta: float = 0.1,
    weights: tuple[float, float, float] = (0.8, 0.2, 1.0),
) -> MixedPreference:
    """All three losses of each pair.

    Args:
        chosen: log π − log π_ref of the preferred answers, `[P]`.
        rejected: of the others, `[P]`.
        chosen_mean: log π of the preferred answers, mean over their tokens, `[P]`.
        shift: δ.
        beta: β, of DPO and of BCO.
        weights: w_p, w_q and w_g; (1, 0, 0) is DPO.

    Raises:
        ValueError: shapes that differ, or a weight below 0.
    """
    if not chosen.shape == rejected.shape == chosen_mean.shape or min(weights) < 0:
        raise ValueError(
            f"got shapes {tuple(chosen.shape)}, {tuple(rejected.shape)} and {tuple(chosen_mean.shape)}, weights "
            f"{weights}; expected three times [P], and at least 0"
        )
    losses = dpo(chosen - rejected, beta), bco(chosen, rejected, shift, beta), -chosen_mean
    return MixedPreference(*losses, weights[0] * losses[0] + weights[1] * losses[1] + weights[2] * losses[2])
