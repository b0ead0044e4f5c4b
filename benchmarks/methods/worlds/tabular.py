"""Finite Markov decision processes: random ones, a chain and a grid, solved exactly or learnt from steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MDP:
    """A finite process.

    Attributes:
        transition: `[S, A, S]`; rows sum to 1.
        reward: `[S, A, S]`.
        start: distribution of the first state `[S]`.
        terminal: states that end an episode `[S]`.
        gamma: discount.
    """

    transition: Floats
    reward: Floats
    start: Floats
    terminal: NDArray[np.bool_]
    gamma: float

    @property
    def expected(self) -> Floats:
        """Expected reward of a state and an action `[S, A]`."""
        found: Floats = np.einsum("sat,sat->sa", self.transition, self.reward)
        return found

    def values(self, policy: Floats, reward: Floats | None = None) -> Floats:
        """State values of a policy `[S, A]` under a reward `[S, A, S]` (its own where none is given), exactly."""
        paid = self.expected if reward is None else np.einsum("sat,sat->sa", self.transition, reward)
        alive = (~self.terminal).astype(float)
        step = np.einsum("sa,sat->st", policy, self.transition) * alive[:, None]
        return np.linalg.solve(np.eye(len(alive)) - self.gamma * step, (policy * paid).sum(1) * alive)

    def worth(self, policy: Floats, reward: Floats | None = None) -> float:
        """Expected discounted return of a policy from the start."""
        return float(self.start @ self.values(policy, reward))

    def solve(self, reward: Floats | None = None, sweeps: int = 2000) -> Floats:
        """A best policy `[S, A]` under a reward, by value iteration; ties to the first action."""
        paid = self.expected if reward is None else np.einsum("sat,sat->sa", self.transition, reward)
        alive, value = (~self.terminal).astype(float), np.zeros(len(self.start))
        for _ in range(sweeps):
            q = paid + self.gamma * self.transition @ value
            value = q.max(1) * alive
        found: Floats = np.eye(q.shape[1])[q.argmax(1)]
        return found


def random_mdp(seed: int, states: int = 10, actions: int = 3, gamma: float = 0.9, sparse: float = 0.5) -> MDP:
    """Transitions from Dirichlet(`sparse`), rewards from a normal distribution, no terminal state."""
    random = np.random.default_rng(seed)
    transition = random.dirichlet(np.full(states, sparse), (states, actions))
    reward = random.normal(size=(states, actions, states))
    return MDP(transition, reward, np.full(states, 1 / states), np.zeros(states, np.bool_), gamma)


def grid(size: int = 6, gamma: float = 0.97, goal: float = 1.0, slip: float = 0.0) -> MDP:
    """A square: from one corner to the other by up, down, left and right; `goal` at the end, nothing on the way."""
    states = size * size
    transition = np.zeros((states, 4, states))
    for state in range(states):
        row, column = divmod(state, size)
        around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        inside = [r * size + c if 0 <= r < size and 0 <= c < size else state for r, c in around]
        for action, after in enumerate(inside):
            transition[state, action, after] += 1 - slip
            for other in inside:
                transition[state, action, other] += slip / 4
    reward = np.zeros((states, 4, states))
    reward[:-1, :, -1] = goal
    start = np.eye(states)[0]
    return MDP(transition, reward, start, np.eye(states)[-1].astype(np.bool_), gamma)


def q_learning(
    mdp: MDP,
    seed: int,
    episodes: int = 200,
    longest: int = 200,
    rate: float = 0.5,
    epsilon: float = 0.1,
    shaped: Callable[[int, int, int, float, bool], float] | None = None,
    enough: Callable[[Floats], bool] | None = None,
) -> tuple[Floats, list[float]]:
    """Tabular Q-learning; gives the table `[S, A]` and the true discounted return of each episode.

    Args:
        mdp: the process; its own reward is what returns are made of.
        seed: of everything.
        episodes: how many.
        longest: steps after which an episode is cut.
        rate: of learning.
        epsilon: of acting at random; ties are broken at random too.
        shaped: (state, action, next state, reward, ended) to the reward that is learnt from.
        enough: asked with the table before each episode; True: no more of them.
    """
    random = np.random.default_rng(seed)
    states, actions = mdp.expected.shape
    table, returns = np.zeros((states, actions)), []
    cumulative = mdp.transition.cumsum(-1)
    for _ in range(episodes):
        if enough is not None and enough(table):
            break
        state, total, discount = int(random.choice(states, p=mdp.start)), 0.0, 1.0
        for _ in range(longest):
            best = np.flatnonzero(table[state] == table[state].max())
            action = int(random.integers(actions) if random.random() < epsilon else random.choice(best))
            after = int(np.searchsorted(cumulative[state, action], random.random() * cumulative[state, action, -1]))
            reward, ended = float(mdp.reward[state, action, after]), bool(mdp.terminal[after])
            total, discount = total + discount * reward, discount * mdp.gamma
            learnt = reward if shaped is None else shaped(state, action, after, reward, ended)
            target = learnt + (0.0 if ended else mdp.gamma * table[after].max())
            table[state, action] += rate * (target - table[state, action])
            state = after
            if ended:
                break
        returns.append(total)
    return table, returns
