"""Forward-backward representations: policies for rewards that are not known yet, from experience without any.

    F(s, a, z)ᵀ B(s⁺) ρ(s⁺) = how often s⁺ comes after s and a under π_z, discounted
    π_z(s) = argmax_a F(s, a, z)ᵀ z
    L = E_{t, s⁺}[(F_tᵀ B(s⁺) − γ F̄_{t+1}ᵀ B̄(s⁺))²] − 2 E_t[F_tᵀ B(s_{t+1})]
    z = E_ρ[r(s) B(s)] for a reward r;   E[B(s)] over the states of a behaviour that is to be imitated

With these z, π_z is best for r, or for being where the behaviour was: nothing is learnt when one of them is named.

Source: Learning One Representation to Optimize All Rewards (Touati and Ollivier 2021) for the loss; RL Zero: Zero-Shot
Language to Behaviors without any Supervision (Sikchi, Agarwal et al. 2025) for imitation of states that were imagined.
Means over all pairs of a batch are chosen here.
"""

from __future__ import annotations

import torch
from torch import Tensor


def forward_backward(forward: Tensor, backward: Tensor, ahead: Tensor, slow: Tensor, discount: float) -> Tensor:
    """L, a scalar; least where F and B give the discounted visits, up to a constant.

    Args:
        forward: F(s_t, a_t, z) of each transition, each with a z of its own `[N, d]`.
        backward: B(s_{t+1}) of each `[N, d]`; as s⁺ all of them are taken.
        ahead: F(s_{t+1}, π_z(s_{t+1}), z) by slow copies `[N, d]`; takes no gradient.
        slow: B(s_{t+1}) by slow copies `[N, d]`; takes no gradient.
        discount: γ, in [0, 1).

    Raises:
        ValueError: shapes that differ, or a discount outside of [0, 1).
    """
    shapes = {tuple(one.shape) for one in (forward, backward, ahead, slow)}
    if len(shapes) != 1 or forward.ndim != 2 or not 0 <= discount < 1:
        raise ValueError(f"got shapes {sorted(shapes)} and discount={discount}; expected [N, d] of all, and [0, 1)")
    visits = forward @ backward.T
    later = discount * ahead.detach() @ slow.detach().T
    return (visits - later).square().mean() - 2 * visits.diagonal().mean()


def orthonormality(backward: Tensor) -> Tensor:
    """‖E[B Bᵀ] − I‖², a scalar: keeps the numbers of B apart, and of one size.

    Args:
        backward: B of states as they come `[N, d]`.
    """
    shared = backward.T @ backward / len(backward)
    return (shared - torch.eye(len(shared), dtype=shared.dtype, device=shared.device)).square().sum()


def task_vector(backward: Tensor, rewards: Tensor | None = None) -> Tensor:
    """Z of a task, of length √d `[d]`.

    Args:
        backward: B of states `[N, d]`, in any order: of a behaviour to be imitated, or as they come.
        rewards: r of each state, where they are as they come `[N]`; None: they are to be imitated.

    Raises:
        ValueError: no state, shapes that do not fit, or states that add up to no direction.
    """
    if backward.ndim != 2 or not len(backward) or (rewards is not None and rewards.shape != backward.shape[:1]):
        raise ValueError(f"got states {tuple(backward.shape)}; expected [N, d] of one at least, and a reward of each")
    mean = (backward if rewards is None else rewards[:, None] * backward).mean(0)
    size = mean.norm()
    if not bool(size > 0):
        raise ValueError("got states or rewards that add up to nothing, or NaN; expected a direction: leave NULLs out")
    found: Tensor = mean * (backward.shape[1] ** 0.5 / size)
    return found
