"""What a flow-matching policy is trained with: matching of data, a clipped policy gradient, and preferences.

Sources: Flow Matching for Generative Modeling (Lipman et al. 2023), straight paths as in Rectified Flow; Flow-GRPO and
DanceGRPO; Diffusion-DPO (Wallace et al. 2024), as NORA-1.5 has it for flows.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from learners.flows.sampler import Path


def noised(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """x_σ = (1 − σ) x₀ + σ ε, of the shape of `clean` `[N, …]`; σ is `[N]`."""
    shaped = sigma.reshape(-1, *[1] * (clean.ndim - 1))
    return (1 - shaped) * clean + shaped * noise


def matching_losses(velocity: Tensor, clean: Tensor, noise: Tensor) -> Tensor:
    """‖v − (ε − x₀)‖² of each sample `[N]`, summed over its numbers.

    Args:
        velocity: of the field at `noised(clean, noise, sigma)` `[N, …]`.
        clean: x₀, the data.
        noise: ε.

    Raises:
        ValueError: shapes that differ.
    """
    if not velocity.shape == clean.shape == noise.shape:
        raise ValueError(
            f"got shapes {tuple(velocity.shape)}, {tuple(clean.shape)}, {tuple(noise.shape)}; expected the same"
        )
    return (velocity - (noise - clean)).flatten(1).square().sum(1)


def clipped_losses(log_probs: Tensor, path: Path, advantage: Tensor, clip: float = 0.2) -> Tensor:
    """−min(ρ A, clip(ρ) A) of each noisy step `[N, W]`, ρ the ratio of its density now to when it was sampled.

    Only what is in the window is learnt from: with a window of all steps it is Flow-GRPO, with a part Fast-GRPO.

    Args:
        log_probs: `path_log_probs` of the field that is trained `[N, W]`.
        path: as it was sampled.
        advantage: of each sample `[N, 1]`, or of each noisy step `[N, W]`.
        clip: how far the ratio may leave 1.

    Raises:
        ValueError: advantages that do not fit.
    """
    if advantage.ndim != 2 or advantage.shape[1] not in (1, log_probs.shape[1]) or len(advantage) != len(log_probs):
        raise ValueError(
            f"got advantages {tuple(advantage.shape)} for log-probabilities {tuple(log_probs.shape)}; "
            "expected [N, 1] or [N, W]"
        )
    ratio = (log_probs - path.log_probs).clamp(-20, 20).exp()
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def flow_dpo(chosen: Tensor, rejected: Tensor, beta: float) -> Tensor:
    """DPO for a policy whose log-probability is not known: matching losses stand for it, `[P]`.

        −log σ(−β [(L_θ − L_ref)(chosen) − (L_θ − L_ref)(rejected)])

    Both losses of a sample must be taken at the same noise and σ. While the policy is the reference it is log 2.

    Args:
        chosen: L_θ and L_ref of the preferred samples `[2, P]`, the first with gradient.
        rejected: of the others `[2, P]`.
        beta: price of leaving the reference, above 0.

    Raises:
        ValueError: shapes that differ, or β that is not positive.
    """
    if beta <= 0 or chosen.shape != rejected.shape or chosen.ndim != 2 or len(chosen) != 2:
        raise ValueError(
            f"got shapes {tuple(chosen.shape)} and {tuple(rejected.shape)} and beta={beta}; "
            "expected [2, P] twice, and beta > 0"
        )
    return -logsigmoid(-beta * ((chosen[0] - chosen[1]) - (rejected[0] - rejected[1])))
