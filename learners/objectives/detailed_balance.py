"""Sampling in proportion to exp(−E): flows that balance at each transition, with the energy known on the way.

The flow through a state is written as F(s) = exp(−E(s)) F̃(s). What is left to learn, F̃, is only what E does not say
yet, and every transition carries a reward of its own, E(s) − E(s'):

    residual_t = log F̃(s_t) + log P_F(s_{t+1} | s_t) − log F̃(s_{t+1}) − log P_B(s_t | s_{t+1}) + E(s_{t+1}) − E(s_t)

A trajectory that was cut can be learnt from too. Where E is 0 before the end this is ordinary detailed balance, and the
residuals of a whole trajectory sum to that of trajectory balance.

Source: FL-GFN, Better Training of GFlowNets with Local Credit and Incomplete Trajectories.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def residuals(
    log_flow: Tensor, forward: Tensor, backward: Tensor, energy: Tensor, mask: Tensor, ended: Tensor
) -> Tensor:
    """How far each transition is from balance, `[B, T]`; 0 where there is none.

    Args:
        log_flow: log F̃ of each state, `[B, T+1]`; of the last state of a trajectory that ended it is taken to be 0.
        forward: log P_F, `[B, T]`.
        backward: log P_B, `[B, T]`.
        energy: E of each state, `[B, T+1]`. Zero before the end: ordinary detailed balance.
        mask: which transitions there are, from the first without gaps, bool, `[B, T]`.
        ended: whether a trajectory came to its end, bool, `[B]`.

    Raises:
        ValueError: shapes that do not fit, or a mask with gaps.
    """
    states = (mask.shape[0], mask.shape[1] + 1)
    if not (log_flow.shape == energy.shape == states and forward.shape == backward.shape == mask.shape):
        raise ValueError(
            f"got flows {tuple(log_flow.shape)}, energies {tuple(energy.shape)}, log P_F {tuple(forward.shape)} and "
            f"log P_B {tuple(backward.shape)} for a mask {tuple(mask.shape)}; expected [B, T+1] twice, then [B, T]"
        )
    if (mask[:, 1:] & ~mask[:, :-1]).any():
        raise ValueError("got a mask with a gap; expected the transitions of a trajectory one behind another")
    last = torch.arange(states[1], device=mask.device) == mask.sum(-1, keepdim=True)
    flow = log_flow.masked_fill(last & ended[:, None], 0.0)
    found = flow[:, :-1] + forward - flow[:, 1:] - backward + energy[:, 1:] - energy[:, :-1]
    return torch.where(mask, found, 0.0)


def detailed_balance(residual: Tensor, mask: Tensor) -> Tensor:
    """Mean squared residual of the transitions, a scalar."""
    return residual.square().sum() / mask.sum().clamp(min=1)


def trajectory_balance(residual: Tensor) -> Tensor:
    """(Σ_t residual_t)² of each trajectory, `[B]`: the flows in between fall out of the sum."""
    return residual.sum(-1).square()


def subtrajectory_balance(residual: Tensor, mask: Tensor, decay: float = 0.9) -> Tensor:
    """Mean over all sub-trajectories of their squared sums of residuals, weighted by decay^length, `[B]`.

    Near 0 only single transitions count.

    Args:
        residual: `[B, T]`.
        mask: which transitions there are, bool, `[B, T]`.
        decay: λ of sub-trajectory balance (Madan et al. 2023), positive.

    Raises:
        ValueError: a decay that is not positive.
    """
    if not decay > 0:
        raise ValueError(f"got decay={decay}; expected a positive number")
    steps = mask.shape[1]
    sums = pad(residual.cumsum(-1), (1, 0))
    between = sums[:, None, :] - sums[:, :, None]  # [B, start, end]
    length = torch.arange(steps + 1, device=mask.device)[None, :] - torch.arange(steps + 1, device=mask.device)[:, None]
    real = (length > 0) & (torch.arange(steps + 1, device=mask.device) <= mask.sum(-1)[:, None])[:, None, :]
    weight = torch.where(real, decay ** (length - 1).clamp(min=0).to(residual.dtype), 0.0)
    total = weight.sum((-1, -2)).clamp(min=torch.finfo(residual.dtype).tiny)
    return (weight * between.square()).sum((-1, -2)) / total
