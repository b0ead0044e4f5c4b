"""Formalisms of objectives: what of a policy each of them sees, in a small world.

| formalism | a policy is worth | what it sees |
|---|---|---|
| Markov rewards | Σ_t γ^t E[R(S_t, A_t, S_{t+1})] | discounted occupancy |
| limit average | lim 1/T Σ_t E[R(S_t, A_t, S_{t+1})] | average occupancy |
| reward machine | as the first, R chosen by a machine that reads along | occupancy of the world and the machine |
| regularised | the first, and α Σ_t γ^t E[H(π(·|S_t))] | discounted occupancy and entropy |
| linear temporal logic | P(the formula comes true) | average occupancy of an automaton's states |

The first four are linear in what they see: their rewards are the weights, so `rewards.comparison.expressivity` can tell
which orders of policies they can induce.

Source: Subramani et al., "On the expressivity of objective-specification formalisms in reinforcement learning", ICLR
2024, which has seventeen. Here a formula is one that an automaton decides for good (always, never, eventually, and
what is put together of them), and the regulariser is the entropy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rewards.comparison.tabular import Floats, TabularMDP

DOUBLINGS = 60  # steps that are taken until an average stands still: 2 to the power of this


@dataclass(frozen=True)
class Machine:
    """A finite automaton that reads transitions, and begins in its state 0.

    Attributes:
        moves: its next state `[U, S, A, S]`, after its own, the world's, the action, and the world's next.
    """

    moves: NDArray[np.int64]


def last_action(states: int, actions: int) -> Machine:
    """A machine that remembers the last action: in state 0 none yet, in state 1 + a it was a."""
    moves = np.broadcast_to(1 + np.arange(actions)[:, None], (1 + actions, states, actions, states))
    return Machine(moves.astype(np.int64))


def same_action(states: int, actions: int) -> Machine:
    """A machine that sees whether always the same is done: in state 1 + a only a so far, in the last one it is not."""
    mixed = 1 + actions
    moves = np.full((2 + actions, states, actions, states), mixed)
    for action in range(actions):
        moves[[0, 1 + action], :, action] = 1 + action
    return Machine(moves)


def product(world: TabularMDP, machine: Machine) -> TabularMDP:
    """The world together with a machine that reads along; its state s·U + u is the world's s and the machine's u.

    Raises:
        ValueError: the machine is of a world with other states or actions.
    """
    units, states, actions = machine.moves.shape[:3]
    if machine.moves.shape[1:] != world.transition.shape:
        raise ValueError(
            f"got a machine for {machine.moves.shape[1:]}; expected {world.transition.shape}, as the world"
        )
    goes = np.eye(units)[machine.moves]  # [U, S, A, S, U]
    joint = np.einsum("sat,usatv->suatv", world.transition, goes)
    start = np.zeros((states, units))
    start[:, 0] = world.start
    return TabularMDP(
        joint.reshape(states * units, actions, states * units),
        start.reshape(-1),
        world.gamma,
        np.repeat(world.mask, units, axis=0),
    )


def average_occupancy(world: TabularMDP, policy: Floats) -> Floats:
    """How often a policy is where and does what in the long run `[S, A]`, from the start; it sums to 1.

    The limit of averages is that of the chain which stays where it is every other time: that one has no periods, so
    its powers stand still, and they are taken by squaring.
    """
    step = 0.5 * np.eye(len(world.start)) + 0.5 * np.einsum("sa,sat->st", policy, world.transition)
    for _ in range(DOUBLINGS):
        step = step @ step
        step /= step.sum(1, keepdims=True)
    return np.asarray((world.start @ step)[:, None] * policy)


def discounted_entropy(world: TabularMDP, policy: Floats) -> float:
    """Σ_t γ^t E[H(π(·|S_t))], in nats."""
    logs = np.log(policy, out=np.zeros_like(policy), where=policy > 0)
    return float(-(world.occupancy(policy) * logs).sum())


def seen_by_markov(world: TabularMDP, policies: Sequence[Floats]) -> Floats:
    """Discounted occupancies of policies `[P, S·A]`. A reward of next states is, in the mean, one of actions."""
    return np.stack([world.occupancy(policy).reshape(-1) for policy in policies])


def seen_by_average(world: TabularMDP, policies: Sequence[Floats]) -> Floats:
    """Average occupancies of policies `[P, S·A]`."""
    return np.stack([average_occupancy(world, policy).reshape(-1) for policy in policies])


def seen_by_machine(world: TabularMDP, policies: Sequence[Floats], machine: Machine) -> Floats:
    """Discounted occupancies of policies in the world and the machine `[P, S·U·A]`; policies do not see the machine."""
    joint = product(world, machine)
    return seen_by_markov(joint, [np.repeat(policy, len(machine.moves), axis=0) for policy in policies])


def seen_by_regularised(world: TabularMDP, policies: Sequence[Floats]) -> Floats:
    """Discounted occupancies and entropies of policies `[P, S·A + 1]`."""
    entropies = [[discounted_entropy(world, policy)] for policy in policies]
    return np.concatenate([seen_by_markov(world, policies), entropies], axis=1)


def satisfaction(world: TabularMDP, policy: Floats, machine: Machine, accepting: NDArray[np.bool_]) -> float:
    """The chance that a formula comes true, by an automaton that decides it.

    Args:
        world: where the policy acts.
        policy: `[S, A]`.
        machine: the automaton of the formula.
        accepting: its states that stand for true `[U]`. Those where it is decided are never left for the others.
    """
    joint, units = product(world, machine), len(machine.moves)
    visits = average_occupancy(joint, np.repeat(policy, units, axis=0)).sum(1)
    return float(visits.reshape(-1, units)[:, accepting].sum())
