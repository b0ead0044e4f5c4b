"""RA-BC: behaviour cloning of those steps after which a task had come further.

    r_i = y(t + Δ) − y(t)
    w_i = 1                                   where r_i > κ
        = clip((r_i − (μ − 2σ)) / 4σ, 0, 1)   where 0 ≤ r_i ≤ κ
        = 0                                   where r_i < 0
    L   = Σ w_i ℓ_i / Σ w_i

y is progress, of a reward model; Δ the length of a chunk of actions; ℓ any loss of imitation.

Source: SARM, Stage-Aware Reward Modeling for Long Horizon Robot Manipulation (reward-aligned behaviour cloning). κ is
0.01; at the end of a demonstration the last frame stands for those that are no more, as in LeRobot's code.
"""

from __future__ import annotations

import torch
from torch import Tensor

from learners.losses import weighted_mean


def progress_ahead(progress: Tensor, steps: int) -> Tensor:
    """How much further each frame is Δ frames later `[..., T]`; beyond the end, the last frame counts.

    Args:
        progress: y of a demonstration's frames `[..., T]`.
        steps: Δ, at least 1.

    Raises:
        ValueError: Δ below 1.
    """
    if steps < 1:
        raise ValueError(f"got steps={steps}; expected to look at least one frame ahead")
    length = progress.shape[-1]
    later = (torch.arange(length, device=progress.device) + steps).clamp(max=length - 1)
    return progress[..., later] - progress


def reward_aligned_weights(
    gained: Tensor, kappa: float = 0.01, mean: float | None = None, deviation: float | None = None
) -> Tensor:
    """Weights of samples, 0 to 1 `[N]`; NULL (NaN) stays so.

    Args:
        gained: r `[N]`, NaN where NULL.
        kappa: κ, above which a sample counts fully.
        mean: μ of the whole data; None: of these samples.
        deviation: σ of the whole data; None: of these samples.

    Raises:
        ValueError: κ below 0.
    """
    if kappa < 0:
        raise ValueError(f"got kappa={kappa}; expected at least 0")
    known = gained[~gained.isnan()]
    mu = known.mean() if mean is None else mean
    sigma = known.std(correction=0) if deviation is None else deviation
    soft = ((gained - (mu - 2 * sigma)) / (4 * sigma + 1e-6)).clamp(0.0, 1.0)
    weights = torch.where(gained > kappa, 1.0, torch.where(gained >= 0, soft, 0.0))
    return torch.where(gained.isnan(), torch.nan, weights)


def batch_normalised(weights: Tensor) -> Tensor:
    """Weights whose mean over those that are known is 1 `[N]`; all 0 stay 0, NULL stays NULL."""
    middle = weights[~weights.isnan()].mean()
    return torch.where(middle > 0, weights / middle, weights)


def reward_aligned_loss(losses: Tensor, weights: Tensor) -> Tensor:
    """L, a scalar; a sample whose weight is NULL is in neither sum, and where nothing counts it is 0.

    Args:
        losses: of imitation `[N]`.
        weights: w `[N]`; no gradient flows through them.

    Raises:
        ValueError: shapes that differ.
    """
    if losses.shape != weights.shape:
        raise ValueError(f"got losses {tuple(losses.shape)} and weights {tuple(weights.shape)}; expected the same")
    return weighted_mean(losses, weights.detach().nan_to_num(0.0))
