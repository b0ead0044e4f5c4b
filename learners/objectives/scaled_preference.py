"""DPO that trusts a pair the more, the further a reward model finds its answers apart.

    β(δ) = β₀ (1 + w (1 − exp(−k δ))), δ = r(chosen) − r(rejected)

Source: MM-RLHF (dynamic reward scaling); w = k = 1/2 and β₀ = 0.1 are as remembered.
"""

from __future__ import annotations

from torch import Tensor

from learners.language.preferences import dpo


def confidence_beta(margins: Tensor, beta: float = 0.1, weight: float = 0.5, rate: float = 0.5) -> Tensor:
    """β of each pair `[P]`: β₀ at δ = 0, rising to β₀ (1 + w).

    A pair that the reward model finds the other way round counts as one without a margin: the exponential would turn
    its β negative, and with it the label.

    Args:
        margins: δ, `[P]`; no gradient flows through them.
        beta: β₀.
        weight: w, at least 0.
        rate: k, at least 0.

    Raises:
        ValueError: w or k below 0, or β₀ that is not positive.
    """
    if beta <= 0 or weight < 0 or rate < 0:
        raise ValueError(f"got beta={beta}, weight={weight}, rate={rate}; expected beta > 0 and the others at least 0")
    return beta * (1 - weight * (-rate * margins.detach().clamp(min=0)).expm1())


def scaled_dpo(
    margin: Tensor, reward_margins: Tensor, beta: float = 0.1, weight: float = 0.5, rate: float = 0.5
) -> Tensor:
    """−log σ(β(δ) h), `[P]`.

    Args:
        margin: h of each pair, log-ratio of the chosen answer less that of the rejected one, `[P]`.
        reward_margins: δ, `[P]`.
        beta: β₀.
        weight: w; 0: DPO.
        rate: k.
    """
    return dpo(confidence_beta(reward_margins, beta, weight, rate) * margin, 1.0)
