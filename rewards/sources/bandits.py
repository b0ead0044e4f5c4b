"""Rewards of whoever plays bandits: what an arm pays on average instead of what it happened to pay, or what UCB does.

| reward      | of a step is                             | knows                      |
|-------------|------------------------------------------|----------------------------|
| original    | the payoff                               | nothing                    |
| strategic   | 1 − (μ* − μ_a) / (μ* − min μ)            | the arms' means            |
| algorithmic | 1 where a is one of UCB's choices, or 0  | the history alone          |

The strategic reward has the noise of the payoffs taken out, and one scale in easy and hard bandits; the algorithmic one
makes reinforcement learning imitate an oracle. UCB chooses an arm that is greatest in

    mean_a + scale · sqrt(2 ln t / n_a)            t payoffs so far, n_a of them of this arm; endless where n_a = 0

Sources: When Greedy Wins: Emergent Exploitation Bias in Meta-Bandit LLM Training (Chen et al. 2025); that the strategic
reward is divided by the largest gap is chosen here. UCB1 (Auer et al. 2002) has scale 1; payoffs between 0 and 1 are
½-sub-Gaussian, for which ½ is enough.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
TIE = 1e-9
"""Indices that are nearer than this are equal."""


class Seen(NamedTuple):
    """What is known of each arm before each step, `[B, T, K]`."""

    times: Floats
    total: Floats

    @property
    def mean(self) -> Floats:
        """Mean payoff; NaN of an arm that was not played."""
        return np.where(self.times > 0, self.total / np.maximum(self.times, 1.0), np.nan)


def seen(chosen: ArrayLike, payoffs: ArrayLike, arms: int) -> Seen:
    """How often each arm was played before each step, and what it paid in all.

    Args:
        chosen: number of the arm of each step `[B, T]`.
        payoffs: what it paid `[B, T]`.
        arms: K.

    Raises:
        ValueError: shapes that differ, arms that are not there, or payoffs that are not finite.
    """
    played, paid = arms_of(chosen, arms), np.asarray(payoffs, np.float64)
    if paid.shape != played.shape or not np.isfinite(paid).all():
        raise ValueError(
            f"got payoffs of shape {paid.shape} for choices of {played.shape}; expected the same, all finite: "
            "leave out steps whose payoff is not known"
        )
    one = (played[..., None] == np.arange(arms)).astype(np.float64)
    two = one * paid[..., None]
    return Seen(one.cumsum(-2) - one, two.cumsum(-2) - two)


def arms_of(chosen: ArrayLike, arms: int) -> Ints:
    """Numbers of arms `[B, T]`.

    Raises:
        ValueError: not `[B, T]`, or arms that are not there.
    """
    played = np.asarray(chosen, np.int64)
    if played.ndim != 2 or (played.size and not 0 <= played.min() <= played.max() < arms):
        raise ValueError(f"got choices of shape {played.shape}; expected [B, T] of arms 0 to {arms - 1}")
    return played


def gaps(means: ArrayLike, chosen: ArrayLike) -> Floats:
    """μ* − μ_a of each step `[B, T]`: what was lost on average by not playing the best arm.

    Args:
        means: what each arm pays on average `[B, K]`.
        chosen: number of the arm of each step `[B, T]`.

    Raises:
        ValueError: shapes that do not fit, means that are not finite, or arms that are not there.
    """
    mu = np.asarray(means, np.float64)
    if mu.ndim != 2 or not mu.shape[1] or not np.isfinite(mu).all():
        raise ValueError(f"got means of shape {mu.shape}; expected finite [B, K]")
    played = arms_of(chosen, mu.shape[1])
    if len(played) != len(mu):
        raise ValueError(f"got means of {len(mu)} bandits and choices in {len(played)}; expected as many")
    found: Floats = mu.max(1, keepdims=True) - np.take_along_axis(mu, played, 1)
    return found


def strategic_reward(means: ArrayLike, chosen: ArrayLike) -> Floats:
    """1 for the best arm and 0 for the worst, `[B, T]`; 1 where all arms are equally good.

    Args:
        means: what each arm pays on average `[B, K]`.
        chosen: number of the arm of each step `[B, T]`.

    Raises:
        ValueError: as `gaps`.
    """
    lost, mu = gaps(means, chosen), np.asarray(means, np.float64)
    widest = mu.max(1, keepdims=True) - mu.min(1, keepdims=True)
    return 1.0 - lost / np.where(widest > 0, widest, 1.0)


def ucb_choices(count: Floats, total: Floats, scale: float = 0.5) -> Bools:
    """Which arms UCB may choose `[..., K]`: one, or several whose indices are equal.

    Args:
        count: how often each arm was played `[..., K]`.
        total: what it paid in all `[..., K]`.
        scale: of the bonus, at least 0; 0 is greedy once each arm was played.

    Raises:
        ValueError: a scale below 0.
    """
    if not scale >= 0:
        raise ValueError(f"got scale {scale}; expected at least 0")
    n = np.maximum(count, 1.0)
    bonus = scale * np.sqrt(2.0 * np.log(np.maximum(count.sum(-1, keepdims=True), 1.0)) / n)
    index = np.where(count > 0, total / n + bonus, np.inf)
    found: Bools = index >= index.max(-1, keepdims=True) - TIE
    return found


def algorithmic_reward(chosen: ArrayLike, payoffs: ArrayLike, arms: int, scale: float = 0.5) -> Floats:
    """1 where the arm is one that UCB may choose after what was seen so far, 0 elsewhere `[B, T]`.

    Args:
        chosen: number of the arm of each step `[B, T]`.
        payoffs: what it paid `[B, T]`.
        arms: K.
        scale: of UCB's bonus.

    Raises:
        ValueError: as `seen` and `ucb_choices`.
    """
    allowed = ucb_choices(*seen(chosen, payoffs, arms), scale)
    found: Floats = np.take_along_axis(allowed, arms_of(chosen, arms)[..., None], -1)[..., 0].astype(np.float64)
    return found
