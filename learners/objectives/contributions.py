"""What each step has contributed to the end, learnt from ends alone.

SPA-RL: Stepwise Progress Attribution. An estimator gives a number to each step, from what is known up to it, and learns
that they sum to the final return; the numbers are then paid as rewards of the steps.
"""

from __future__ import annotations

from torch import Tensor


def return_decomposition(contributions: Tensor, mask: Tensor, returns: Tensor) -> Tensor:
    """(Σ_t c_t − R)², `[B]`: 0 where the contributions sum to the return.

    Args:
        contributions: c, `[B, T]`; what is not in the mask is not looked at.
        mask: which steps there are `[B, T]`, bool.
        returns: R, `[B]`.

    Raises:
        ValueError: shapes that do not fit.
    """
    if contributions.shape != mask.shape or returns.shape != contributions.shape[:1]:
        raise ValueError(
            f"got contributions {tuple(contributions.shape)}, mask {tuple(mask.shape)} and returns "
            f"{tuple(returns.shape)}; expected [B, T], [B, T] and [B]"
        )
    total = contributions.masked_fill(~mask, 0.0).sum(-1)
    return (total - returns) ** 2
