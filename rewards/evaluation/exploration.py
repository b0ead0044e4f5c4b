"""Whether whoever plays bandits explores: what mean regret does not tell, for it may hide a few that never recover.

    regret             Σ_t μ* − μ_{a_t}
    suffix failure     the best arm is never played from some step on: exploring was given up too early
    K · MinFrac        K times the share of the arm that is played least: 1 of who plays all arms alike
    greedy fraction    share of the steps that play an arm whose mean so far is the greatest

Sources: Can Large Language Models Explore In-Context? (Krishnamurthy et al. 2024), the last three; When Greedy Wins
(Chen et al. 2025), which reads them beside regret. That the first step counts for no greedy fraction is chosen here:
nothing has been seen yet.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.sources.bandits import TIE, arms_of, gaps, seen

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def cumulative_regret(means: ArrayLike, chosen: ArrayLike) -> Floats:
    """Regret up to each step `[B, T]`.

    Args:
        means: what each arm pays on average `[B, K]`.
        chosen: number of the arm of each step `[B, T]`.

    Raises:
        ValueError: as `gaps`.
    """
    found: Floats = gaps(means, chosen).cumsum(1)
    return found


def suffix_failures(means: ArrayLike, chosen: ArrayLike, start: int) -> Bools:
    """Whether no best arm was played from step `start` on `[B]`.

    Args:
        means: what each arm pays on average `[B, K]`.
        chosen: number of the arm of each step `[B, T]`.
        start: first step that is looked at, counted from 0; T / 2 is usual.

    Raises:
        ValueError: as `gaps`, or a start that leaves no step.
    """
    lost = gaps(means, chosen)
    if not 0 <= start < lost.shape[1]:
        raise ValueError(f"got start {start} of {lost.shape[1]} steps; expected one of them")
    return np.asarray((lost[:, start:] > 0).all(1))


def least_played(chosen: ArrayLike, arms: int) -> Floats:
    """K · MinFrac of each bandit `[B]`, between 0 and 1.

    Args:
        chosen: number of the arm of each step `[B, T]`, T ≥ 1.
        arms: K.

    Raises:
        ValueError: not `[B, T]`, or arms that are not there.
    """
    share = (arms_of(chosen, arms)[..., None] == np.arange(arms)).mean(1)
    found: Floats = arms * share.min(-1)
    return found


def greedy_fraction(chosen: ArrayLike, payoffs: ArrayLike, arms: int) -> Floats:
    """Share of the steps from the second on that play an arm with the greatest mean so far `[B]`.

    Args:
        chosen: number of the arm of each step `[B, T]`, T ≥ 2.
        payoffs: what it paid `[B, T]`.
        arms: K.

    Raises:
        ValueError: as `seen`.
    """
    known = seen(chosen, payoffs, arms).mean[:, 1:]
    best = np.nanmax(known, axis=-1)
    own = np.take_along_axis(known, arms_of(chosen, arms)[:, 1:, None], -1)[..., 0]
    found: Floats = (own >= best - TIE).mean(1)  # an arm without a mean is not greedy: NaN compares as False
    return found
