"""Canonicalisation: from a reward to the one that stands for all that differ from it by what no policy can feel.

Two rewards order all policies alike under every start if they differ by potential shaping, by how they share a mean
out over next states (S'-redistribution), or by a positive factor (Skalse et al. 2023, "Invariance in policy
optimisation"). A canonicalisation removes the first two; `rewards.comparison.starc` removes the third.

| name | C(R)(s,a,s') | source |
|---|---|---|
| `val` | E_{S'~τ(s,a)}[R(s,a,S') − V^π(s) + γ V^π(S')] | Skalse et al. 2024, "STARC", value-adjusted levelling |
| `val_potential` | R(s,a,s') − V^π(s) + γ V^π(s') | the same, without the mean: for sampled transitions |
| `minimal` | of all that C(R) stands for, the one with the smallest norm | the same, minimal canonicalisation |
| `epic` | R(s,a,s') + E[γR(s',A,S') − R(s,A,S') − γR(S,A,S')] | Gleave et al. 2021, definition 4.1 |
| `dard` | R(s,a,s') + E[γR(s',A,S'') − R(s,A,S') − γR(S',A,S'')] | Wulfe et al. 2022, "Dynamics-aware comparison" |

In the last one S' follows s and S'' follows s', by the world's transitions and the same action A. The first and the
third give the same for all next states, so they are kept as `[S, A]`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.optimize import linprog

from rewards.comparison.tabular import Floats, TabularMDP

Order = Literal[1, 2, "inf"]
"""Of a norm over allowed states and actions: the sum, the root of the sum of squares, or the greatest."""


def val(world: TabularMDP, reward: Floats, policy: Floats | None = None) -> Floats:
    """Value-adjusted levelling `[S, A]`: it is the advantage of the policy, A^π.

    Args:
        world: whose transitions count.
        reward: `[S, A, S]`.
        policy: `[S, A]`, the same for all rewards that are compared; None: all allowed actions as often.
    """
    return world.advantages(world.uniform() if policy is None else policy, world.expected(reward))


def val_potential(rewards: Floats, values: Floats, next_values: Floats, gamma: float) -> Floats:
    """The same along transitions that were sampled `[N]`, without the mean over next states.

    Args:
        rewards: of N transitions.
        values: V^π of the states that they leave `[N]`.
        next_values: of those that they enter, 0 where an episode ends `[N]`.
        gamma: discount.
    """
    return rewards - values + gamma * next_values


def minimal(world: TabularMDP, reward: Floats, order: Order = 2) -> Floats:
    """The smallest of all rewards `[S, A]` that are one by shaping and redistribution: min over Φ of ‖r + γEΦ − Φ‖.

    For order 2 it is a projection, and unique; for 1 and "inf" it is one of the solutions of a linear programme.

    Raises:
        RuntimeError: the linear programme was not solved.
    """
    mask = world.mask
    expected = world.expected(reward)[mask]
    shaping = _shaping(world)
    if order == 2:
        potential = np.linalg.lstsq(shaping, -expected, rcond=None)[0]
    else:
        potential = _least(shaping, expected, order)
    found = np.zeros(mask.shape)
    found[mask] = expected + shaping @ potential
    return found


def _shaping(world: TabularMDP) -> Floats:
    """What a potential adds to allowed states and actions: a matrix `[N, S]`."""
    from_state = np.eye(len(world.start))[:, None, :]
    return (world.gamma * world.transition - from_state)[world.mask]


def _least(shaping: Floats, expected: Floats, order: Order) -> Floats:
    """The potential with the least sum, or greatest, of |expected + shaping Φ|, as a linear programme."""
    n, states = shaping.shape
    slack = np.eye(n) if order == 1 else np.ones((n, 1))
    upper = np.block([[shaping, -slack], [-shaping, -slack]])
    cost = np.concatenate([np.zeros(states), np.ones(slack.shape[1])])
    bounds = [(None, None)] * states + [(0, None)] * slack.shape[1]
    solved = linprog(cost, A_ub=upper, b_ub=np.concatenate([-expected, expected]), bounds=bounds)
    if solved.x is None:
        raise RuntimeError(f"the linear programme of the minimal canonicalisation was not solved: {solved.message}")
    return np.asarray(solved.x[:states])


def epic(reward: Floats, gamma: float, states: Floats | None = None, actions: Floats | None = None) -> Floats:
    """EPIC's canonically shaped reward `[S, A, S]`, for all transitions, possible ones or not.

    Args:
        reward: `[S, A, S]`.
        gamma: discount.
        states: D_S, of both S and S' `[S]`; None: uniform.
        actions: D_A `[A]`; None: uniform.
    """
    n, m, _ = reward.shape
    of_states = np.full(n, 1 / n) if states is None else states
    of_actions = np.full(m, 1 / m) if actions is None else actions
    leaving = np.einsum("sat,a,t->s", reward, of_actions, of_states)
    shaped = reward + gamma * leaving[None, None, :] - leaving[:, None, None] - gamma * (of_states @ leaving)
    return np.asarray(shaped)


def dard(world: TabularMDP, reward: Floats, actions: Floats | None = None) -> Floats:
    """DARD's transformed reward `[S, A, S]`: EPIC's, with next states by the world's transitions alone.

    Args:
        world: whose transitions count; all actions are allowed in all states.
        reward: `[S, A, S]`; it is asked of going from any S' to any S'', possible or not.
        actions: D_A `[A]`; None: uniform.

    Raises:
        ValueError: an action is not allowed in some state: D_A is the same everywhere.
    """
    if not world.mask.all():
        raise ValueError("got a world that forbids some actions; expected none: D_A is the same in all states")
    m = world.mask.shape[1]
    of_actions = np.full(m, 1 / m) if actions is None else actions
    leaving = world.expected(reward) @ of_actions
    between = np.einsum("a,sat,uav,tav->su", of_actions, world.transition, world.transition, reward, optimize=True)
    shaped = reward + world.gamma * (leaving[None, None, :] - between[:, None, :]) - leaving[:, None, None]
    return np.asarray(shaped)
