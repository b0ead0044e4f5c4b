"""Places of a grid to be visited in order, what is seen of it, and demonstrations that idle, stray and give up.

A state is how many places were visited, and a cell; whoever has visited all of them is through. It is seen as numbers
that a fixed random layer makes of both, with noise. Demonstrators know the shortest way, and each takes his time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.worlds import tabular
from rewards.columns import Column
from rewards.shaping.potential import Potential
from rewards.views.layout import Layout
from rewards.views.part import Table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pay = Literal["difference", "plain", "nothing"]
STAY = 4
"""The action of who idles; the others are up, down, left and right."""
NOISE = 0.05
"""Of each number that is seen, which are between −1 and 1."""


def in_order(wanted: Sequence[int] | Ints, size: int, stay: bool = False) -> tabular.MDP:
    """A grid of size × size with cells to be visited in order, and 1 at the last; states are (stage, cell).

    Args:
        wanted: the cells.
        size: of a side.
        stay: whether there is a fifth action, to stay where one is.
    """
    cells, plain = size * size, tabular.grid(size)
    states, actions = len(wanted) * cells + 1, 4 + stay  # the last state is the end
    transition, reward = np.zeros((states, actions, states)), np.zeros((states, actions, states))
    for stage, place in enumerate(wanted):
        for cell in range(cells):
            around = [*plain.transition[cell].argmax(-1), cell][:actions]
            for action, reached in enumerate(around):
                hit = reached == place
                last = hit and stage == len(wanted) - 1
                goes = states - 1 if last else (stage + hit) * cells + reached
                transition[stage * cells + cell, action, goes] = 1
                reward[stage * cells + cell, action, goes] = last
    transition[-1, :, -1] = 1
    end = np.eye(states)[-1].astype(np.bool_)
    return tabular.MDP(transition, reward, np.eye(states)[0], end, 0.97)


def with_potential(mdp: tabular.MDP, phi: Floats, alpha: float) -> Floats:
    """The reward of each transition `[S, A, S]`, shaped: each pair of states an episode of two steps."""
    states = len(phi)
    pairs = np.stack(np.meshgrid(np.arange(states), np.arange(states), indexing="ij"), axis=-1).reshape(-1)
    part = Potential(of="r", alpha=alpha, gamma=mdp.gamma)
    columns = {"r": Column.full(np.zeros(len(pairs))), "potential": Column.full(phi[pairs])}
    gained = part.apply(Table(columns, Layout.of(steps=np.full(states**2, 2))), {}).values[::2]
    found: Floats = mdp.reward + gained.astype(np.float64).reshape(states, 1, states)
    return found


@dataclass(frozen=True)
class Walk:
    """States on the way `[T + 1]`, and the actions between them `[T]`."""

    states: Ints
    actions: Ints


class Task:
    """A grid with places to be visited in order.

    Attributes:
        mdp: the process, with five actions.
        stages: places.
        after: where each action leads to `[S, A]`.
        places: row and column of each, 0 to 1 `[K, 2]`.
        where: row and column of each state, 0 to 1 `[S, 2]`.
        stage: how many places are visited in each state `[S]`.
        left: fewest steps to the end `[S]`.
        within: how much of the way of its stage each state has behind it, 0 to 1 `[S]`; 1 at the end.
        seen: what is seen of each state, without noise `[S, d]`.
    """

    def __init__(self, seed: int, size: int = 5, stages: int = 3, units: int = 32, plain: float = 1.0) -> None:
        """Random places, and a random layer that all is seen through.

        Args:
            seed: of both.
            size: of a side.
            stages: places.
            units: numbers that are seen.
            plain: how plainly it is seen what was visited, beside where one is.
        """
        random = np.random.default_rng(seed)
        places = random.permutation(size * size - 1)[:stages] + 1
        self.mdp, self.stages = in_order(places, size, stay=True), stages
        states = np.arange(len(self.mdp.start))
        cell = np.append(states[:-1] % (size * size), places[-1])
        self.stage = states // (size * size)
        self.after = self.mdp.transition.argmax(-1)
        self.left = np.where(self.mdp.terminal, 0, len(states))
        for _ in states:
            self.left = np.minimum(self.left, 1 + self.left[self.after].min(1))
        begins = self.left[[0, *(k * size * size + place for k, place in enumerate(places[:-1], start=1)), -1]]
        now = np.minimum(self.stage, stages - 1)
        self.within = np.clip((begins[now] - self.left) / (begins[now] - begins[now + 1]), 0.0, 1.0)
        self.places, self.where = (np.stack(np.divmod(cells, size), 1) / (size - 1) for cells in (places, cell))
        shown = np.column_stack([self.where, plain * np.eye(stages + 1)[self.stage]])
        self.seen = np.tanh(shown @ random.normal(size=(shown.shape[1], units)) + random.normal(size=units))

    def look(self, states: Ints, random: np.random.Generator) -> Floats:
        """What is seen of states `[..., d]`."""
        found: Floats = self.seen[states] + NOISE * random.normal(size=(*states.shape, self.seen.shape[1]))
        return found

    def progress(self, shares: Floats | None = None) -> Floats:
        """True progress of each state `[S]`: shares of what is done, and of the way within the stage.

        Args:
            shares: what each stage is worth `[K]`; None: as much as any other.
        """
        share = np.full(self.stages, 1 / self.stages) if shares is None else shares
        now = np.minimum(self.stage, self.stages - 1)
        found: Floats = (share.cumsum() - share)[now] + share[now] * self.within
        return found

    def walk(
        self,
        random: np.random.Generator,
        slow: float = 0.0,
        astray: float = 0.0,
        quits: int | None = None,
        wanders: bool = False,
        longest: int = 120,
    ) -> Walk:
        """A demonstration.

        Args:
            random: draws.
            slow: in each stage he idles with a chance of his own, up to this.
            astray: chance that a step goes anywhere.
            quits: step from which on he does not follow the way any more.
            wanders: whether he then goes anywhere; else he stays.
            longest: steps after which he stops.
        """
        idle, states, actions = slow * random.random(self.stages), [0], list[int]()
        for t in range(longest):
            now = states[-1]
            if self.mdp.terminal[now]:
                break
            if quits is not None and t >= quits:
                action = int(random.integers(STAY)) if wanders else STAY
            elif random.random() < idle[self.stage[now]]:
                action = STAY
            elif random.random() < astray:
                action = int(random.integers(STAY))
            else:
                action = int(random.choice(np.flatnonzero(self.left[self.after[now]] < self.left[now])))
            actions.append(action)
            states.append(int(self.after[now, action]))
        return Walk(np.array(states), np.array(actions))

    def complete(self, random: np.random.Generator, number: int, slow: float, astray: float) -> list[Walk]:
        """That many demonstrations that come to the end."""
        found = list[Walk]()
        while len(found) < number:
            walk = self.walk(random, slow, astray)
            if self.mdp.terminal[walk.states[-1]]:
                found.append(walk)
        return found

    def steps(self, walk: Walk) -> Ints:
        """The stage of each step of a walk `[T]`."""
        found: Ints = self.stage[walk.states[:-1]]
        return found


class Along:
    """A potential that is read along an episode, as `shaped` of `q_learning`: what is paid beside the reward.

    Unlike a column of potentials of states, it may depend on what came before: on time, or on the potential before.
    """

    def __init__(
        self, first: float, then: Callable[[float, int, int, int], float], gamma: float, longest: int, pay: Pay
    ) -> None:
        """Pay along episodes of at most `longest` steps.

        Args:
            first: Φ of the first state.
            then: Φ after a step, of Φ before, state, next state and how many steps were taken.
            gamma: of the learner.
            longest: steps after which an episode is cut.
            pay: `difference` γΦ' − Φ, with Φ' = 0 at the end; `plain` Φ'; or `nothing`.
        """
        self._first, self._then, self._gamma, self._longest, self._pay = first, then, gamma, longest, pay
        self._phi, self._steps = first, 0

    def __call__(self, state: int, action: int, after: int, reward: float, ended: bool) -> float:
        """The reward to be learnt from."""
        before, self._steps = self._phi, self._steps + 1
        self._phi = self._then(before, state, after, self._steps)
        paid = {
            "difference": (0.0 if ended else self._gamma * self._phi) - before,
            "plain": self._phi,
            "nothing": 0.0,
        }[self._pay]
        if ended or self._steps == self._longest:
            self._phi, self._steps = self._first, 0
        return reward + paid


def fitted(
    model: nn.Module,
    loss: Callable[[Ints], Tensor],
    number: int,
    seed: int,
    steps: int,
    batch: int = 256,
    rate: float = 3e-3,
) -> None:
    """Adam on batches drawn with equal chances; the model is trained in place.

    Args:
        model: what learns.
        loss: a scalar, of the indices of a batch.
        number: samples that there are.
        seed: of the batches.
        steps: of gradient.
        batch: samples of a batch.
        rate: of learning.
    """
    random, optimiser = np.random.default_rng(seed), torch.optim.Adam(model.parameters(), rate)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(random.integers(0, number, batch)).backward()
        optimiser.step()


def numbers(values: Floats) -> Tensor:
    """As a network reads them."""
    return torch.as_tensor(values, dtype=torch.float32)
