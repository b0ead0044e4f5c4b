"""The policy cliff: how far the best policy moves when the reward moves a little.

Where the best action is alone, by a gap in Q*, the best policy stays as it is until rewards have moved by
gap (1 − γ) / 2. Where two are as good, any change of the reward, however small, may turn the policy round. With an
entropy bonus the policy is soft, and moves no faster than the reward:

    π_β(a|s) ∝ exp(Q_β(s, a) / β)      max_s TV(π_β[R], π_β[R']) ≤ ‖R − R'‖∞ / (2 β (1 − γ))

Several rewards with weights, which may depend on the state, act as one, R_eff(s, a) = Σ_k w_k(s) R_k(s, a): the cliffs
of a mixture are where that ties.

Source: Xu 2025, "The policy cliff". The constant is worked out here: Q_β is 1/(1−γ)-Lipschitz in the reward, and
softmax is ½-Lipschitz from the greatest difference to total variation. How the reward is moved is chosen here: each
entry by an independent draw from [−ε, ε]. For answers to a prompt, the world is one with γ = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.comparison.tabular import Floats, TabularMDP

SWEEPS = 200  # of soft policy iteration, which doubles its digits with each once it is near
TOLERANCE = 1e-9


def degeneracy_gap(action_values: ArrayLike, allowed: NDArray[np.bool_] | None = None) -> Floats:
    """By how much the best action of each state is above the next `[S]`: 0 in a tie, infinite where there is but one.

    Args:
        action_values: Q* `[S, A]`.
        allowed: which actions there are `[S, A]`; None: all of them.
    """
    values = np.asarray(action_values, np.float64)
    if values.shape[1] == 1:
        return np.full(len(values), np.inf)
    ordered = np.sort(values if allowed is None else np.where(allowed, values, -np.inf), axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2])


def soft_policy(world: TabularMDP, expected: Floats, beta: float) -> Floats:
    """The policy `[S, A]` that is best by return and β times its discounted entropy, by soft policy iteration.

    Args:
        world: whose transitions count.
        expected: reward `[S, A]`.
        beta: temperature, above 0.

    Raises:
        ValueError: the temperature is not above 0.
        RuntimeError: the policy still moves after many sweeps.
    """
    if not beta > 0:
        raise ValueError(f"got temperature {beta}; expected one above 0: `best_policy` is what is left without")
    policy = world.uniform()
    for _ in range(SWEEPS):
        surprise = -np.log(policy, out=np.zeros_like(policy), where=policy > 0)
        worth = world.action_values(world.values(policy, expected + beta * surprise), expected)
        logits = np.where(world.mask, worth, -np.inf) / beta
        new = np.exp(logits - logits.max(1, keepdims=True))
        new /= new.sum(1, keepdims=True)
        moved, policy = float(np.abs(new - policy).max()), new
        if moved < TOLERANCE:
            return np.asarray(policy)
    raise RuntimeError(f"the soft policy still moves by {moved} after {SWEEPS} sweeps; expected less than {TOLERANCE}")


def soft_bound(size: float, beta: float, gamma: float) -> float:
    """The most that a soft policy moves in any state, in total variation, for rewards that move by no more than `size`.

    Args:
        size: ‖R − R'‖∞.
        beta: temperature.
        gamma: discount.
    """
    return min(1.0, size / (2 * beta * (1 - gamma)))


def safe_size(gap: float, gamma: float) -> float:
    """How far all rewards may move before a best policy that is ahead by `gap` in every state can change."""
    return gap * (1 - gamma) / 2


def effective_reward(rewards: ArrayLike, weights: ArrayLike) -> Floats:
    """R_eff `[S, A]` of several rewards.

    Args:
        rewards: `[K, S, A]`.
        weights: `[K]`, or of each state `[K, S]`.

    Raises:
        ValueError: shapes do not fit.
    """
    of_rewards, of_weights = np.asarray(rewards, np.float64), np.asarray(weights, np.float64)
    if of_rewards.ndim != 3 or of_weights.shape not in (of_rewards.shape[:1], of_rewards.shape[:2]):
        got = f"got rewards {of_rewards.shape} and weights {of_weights.shape}"
        raise ValueError(f"{got}; expected [K, S, A], and one weight a reward [K], or one a state of each [K, S]")
    each = of_weights if of_weights.ndim == 2 else np.repeat(of_weights[:, None], of_rewards.shape[1], axis=1)
    return np.asarray(np.einsum("ks,ksa->sa", each, of_rewards))


@dataclass(frozen=True)
class Stability:
    """What a probe found.

    Attributes:
        gap: between the best action and the next, by state `[S]`.
        moved: greatest total variation over the draws, by size and state `[E, S]`.
    """

    gap: Floats
    moved: Floats


def policy_stability(
    world: TabularMDP,
    expected: Floats,
    sizes: Sequence[float],
    beta: float | None = None,
    draws: int = 32,
    seed: int = 0,
) -> Stability:
    """Move a reward a little, many times, and see how far its policy moves.

    Args:
        world: whose transitions count.
        expected: reward `[S, A]`.
        sizes: ε, `[E]`.
        beta: temperature of the soft policy; None: the best policy, ties to whatever policy iteration met first.
        draws: directions that are tried, the same for all sizes.
        seed: of the directions.
    """
    policy_of: Callable[[Floats], Floats] = (
        world.best_policy if beta is None else lambda reward: soft_policy(world, reward, beta)
    )
    before = policy_of(expected)
    directions = np.random.default_rng(seed).uniform(-1, 1, (draws, *expected.shape))
    moved = [
        np.max([np.abs(policy_of(expected + size * each) - before).sum(1) / 2 for each in directions], axis=0)
        for size in sizes
    ]
    return Stability(degeneracy_gap(world.best_action_values(expected), world.mask), np.asarray(moved))
