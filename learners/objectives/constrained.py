"""CGPO: samples that any judge turns down teach nothing good, whatever the reward model says.

Of the answers to a prompt, with a reward each and judges that say yes or no (`feasible`: all say yes):

| optimiser | what it learns from                                                                  |
|-----------|--------------------------------------------------------------------------------------|
| CRPG      | all, with the reward where feasible and 0 elsewhere, less the mean of the batch      |
| CODPO     | a pair: the best feasible answer over the worst infeasible one                       |
| CRRAFT    | the best feasible answer, by imitation, weighted by its reward                       |

CRPG is a view (`gate` and the preset `crpg` of `group_relative`); the choice of answers for the others is here. What
has strayed too far from the reference is left out of all three.

Source: The Perfect Blend, Redefining RLHF with Mixture of Judges (Xu et al. 2024).
"""

from __future__ import annotations

import torch
from torch import Tensor


def near_reference(log_ratio: Tensor, most: float) -> Tensor:
    """Which samples may be learnt from: log π − log π_ref of the whole answer at most `most`, bool, of that shape."""
    return log_ratio <= most


def best_feasible(rewards: Tensor, feasible: Tensor) -> Tensor:
    """Number of each prompt's best feasible answer `[P]`; −1 where none is: then the prompt is skipped.

    Args:
        rewards: `[P, G]`.
        feasible: whether all judges accept, bool `[P, G]`.

    Raises:
        ValueError: shapes that differ.
    """
    return _chosen(rewards, feasible, best=True)


def constrained_pairs(rewards: Tensor, feasible: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of the chosen and the rejected answer of each prompt `[P]`, both −1 where either is not there.

    The chosen one has the highest reward of those that all judges accept, the rejected one the lowest of the others.

    Args:
        rewards: `[P, G]`.
        feasible: bool `[P, G]`.

    Raises:
        ValueError: shapes that differ.
    """
    chosen, rejected = _chosen(rewards, feasible, best=True), _chosen(rewards, ~feasible, best=False)
    both = (chosen >= 0) & (rejected >= 0)
    return torch.where(both, chosen, -1), torch.where(both, rejected, -1)


def _chosen(rewards: Tensor, among: Tensor, best: bool) -> Tensor:
    if rewards.shape != among.shape or rewards.ndim != 2:
        raise ValueError(
            f"got rewards of shape {tuple(rewards.shape)} and verdicts of {tuple(among.shape)}; expected [P, G]"
        )
    worst = -torch.inf if best else torch.inf
    held = torch.where(among, rewards, worst)
    place = held.argmax(1) if best else held.argmin(1)
    return torch.where(among.any(1), place, -1)
