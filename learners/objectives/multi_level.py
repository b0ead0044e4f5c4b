"""MAPL: preferences between prompts, and between pairs, from the pairs that there are.

For one answer, a prompt whose conditions it meets is preferred to one whose conditions it violates. For one pair, a
prompt to which conditions were added that only the chosen answer meets must set the two further apart:

    L = L_BT + a · −log σ(r(x⁺, y) − r(x⁻, y)) + b · −log σ([r(x'', c) − r(x'', r)] − [r(x, c) − r(x, r)])

r is a reward model's score, or β log π/π_ref, which makes the first term DPO.

Source: MAPL, Multi-Level Aware Preference Learning (Sun et al. 2025); that the three are simply added is chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from learners.language.reward_losses import bradley_terry


class MultiLevel(NamedTuple):
    """The three losses, `[P]` each, and their weighted sum."""

    pair: Tensor
    intra: Tensor
    inter: Tensor
    total: Tensor


def multi_level(
    pair: tuple[Tensor, Tensor],
    prompts: tuple[Tensor, Tensor],
    harder: tuple[Tensor, Tensor],
    intra: float = 1.0,
    inter: float = 1.0,
) -> MultiLevel:
    """Losses of a pair, of two prompts for one answer, and of the pair under a harder prompt.

    Args:
        pair: r(x, chosen) and r(x, rejected), `[P]`.
        prompts: r(x⁺, y) and r(x⁻, y), `[P]`.
        harder: r(x'', chosen) and r(x'', rejected), `[P]`.
        intra: a; 0 leaves the second term out.
        inter: b; 0 leaves the third out.

    Raises:
        ValueError: a negative weight.
    """
    if intra < 0 or inter < 0:
        raise ValueError(f"got weights intra={intra} and inter={inter}; expected at least 0")
    losses = (
        bradley_terry(*pair),
        bradley_terry(*prompts),
        bradley_terry(harder[0] - harder[1], pair[0] - pair[1]),
    )
    return MultiLevel(*losses, losses[0] + intra * losses[1] + inter * losses[2])
