"""Check of multi-turn GRPO with early stopping: a maze, instructions to go to landmarks, and few ways of an expert."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import shortest_path
from torch import Tensor, nn

from actors.early_stopping import Act, roll_out, step_budgets
from benchmarks.methods.checks.utterances import step
from benchmarks.methods.experiment import Check, Found
from rewards.columns import Column
from rewards.groups import group_advantages
from rewards.sources.soft_success import soft_success

Ints = NDArray[np.int64]
SIZE, LANDMARKS, STOP = 8, 12, 4
"""Cells of a side, places that instructions name, and the action of who thinks he has arrived; others are moves."""
RADIUS, MOST = 3.0, 80
"""Distance below which stopping is a success, and steps that nobody may exceed."""
LABELS = 400
"""Steps that an expert has shown or said."""
UPDATES, GROUPS, MEMBERS = 200, 16, 8
"""Of GRPO: updates, instructions of each, and rollouts of each instruction."""
Labels = tuple[Ints, Ints]
"""States `[N, 2]`, and what an expert does in them `[N]`."""
How = Literal["nothing", "DAgger", "GRPO"]


class Maze:
    """A maze with a few loops, its landmarks, and how far it is from anywhere to anywhere."""

    def __init__(self, seed: int, loops: float = 0.1) -> None:
        """Open walls at random until all cells hang together, and then a share of the others."""
        random, cells = np.random.default_rng(seed), np.arange(SIZE * SIZE)
        row, column = cells // SIZE, cells % SIZE
        steps = ((-1, 0), (1, 0), (0, -1), (0, 1))
        beyond = [(row + r).clip(0, SIZE - 1) * SIZE + (column + c).clip(0, SIZE - 1) for r, c in steps]
        self.moves = np.stack([cells] * 4 + [cells], 1)  # STOP leaves one where one is
        part = cells.copy()
        walls = [(cell, move) for cell in cells for move in (1, 3) if beyond[move][cell] != cell]
        for number in random.permutation(len(walls)):
            cell, move = walls[number]
            other = beyond[move][cell]
            if part[cell] != part[other] or random.random() < loops:
                self.moves[cell, move], self.moves[other, move - 1] = other, cell
                part[part == part[other]] = part[cell]
        doors = np.zeros((len(cells), len(cells)))
        doors[cells[:, None], self.moves[:, :4]] = 1
        self.distance = shortest_path(doors, unweighted=True)
        self.landmarks = random.permutation(cells)[:LANDMARKS]

    def tasks(self, random: np.random.Generator, number: int) -> Ints:
        """Where one is and which landmark is meant `[n, 2]`."""
        return np.stack([random.integers(0, SIZE * SIZE, number), random.integers(0, LANDMARKS, number)], 1)

    def left(self, states: Ints) -> NDArray[np.float64]:
        """Steps to the landmark that is meant `[...]`, of states `[..., 2]`."""
        found: NDArray[np.float64] = self.distance[states[..., 0], self.landmarks[states[..., 1]]]
        return found

    def expert(self, states: Ints, rows: Ints) -> Ints:
        """A shortest way, and STOP at its end."""
        after = self.distance[self.moves[states[:, 0], :4], self.landmarks[states[:, 1], None]]
        return np.where(self.left(states) == 0, STOP, after.argmin(1))

    def move(self, states: Ints, actions: Ints, rows: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        """One step; STOP ends."""
        return np.stack([self.moves[states[:, 0], actions], states[:, 1]], 1), actions == STOP


class Agent(nn.Module):
    """A policy of what it was told and where it is."""

    def __init__(self, seed: int, hidden: int = 64) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.cell, self.told = nn.Embedding(SIZE * SIZE, hidden), nn.Embedding(LANDMARKS, hidden)
        self.rest = nn.Sequential(nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, STOP + 1))

    def forward(self, states: Tensor) -> Tensor:
        """Log-probabilities of actions `[..., 5]` in states `[..., 2]`."""
        found: Tensor = self.rest(self.cell(states[..., 0]) + self.told(states[..., 1])).log_softmax(-1)
        return found

    def acting(self, generator: torch.Generator) -> Act:
        """The policy as rollouts ask it."""

        def act(states: Ints, rows: Ints) -> Ints:
            with torch.no_grad():
                chances = self(torch.as_tensor(states)).exp()
            found: Ints = torch.multinomial(chances, 1, generator=generator)[:, 0].numpy()
            return found

        return act


def imitate(agent: Agent, states: Ints, actions: Ints, steps: int = 150) -> None:
    """Supervised training on what the expert did `[N]`, on all of it at each step."""
    optimiser, seen, shown = (
        torch.optim.Adam(agent.parameters(), 1e-2),
        torch.as_tensor(states),
        torch.as_tensor(actions),
    )
    for _ in range(steps):
        loss = -agent(seen).gather(-1, shown[:, None]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def shown(maze: Maze, random: np.random.Generator, labels: int) -> Labels:
    """The first `labels` steps of an expert's ways: states `[N, 2]` and actions `[N]`."""
    tasks = maze.tasks(random, labels)
    ways = roll_out(maze.expert, maze.move, tasks, np.full(labels, MOST))
    return ways.states[ways.taken][:labels], ways.actions[ways.taken][:labels]


def dagger(agent: Agent, maze: Maze, random: np.random.Generator, generator: torch.Generator, known: Labels) -> int:
    """The second half of all labels, in five rounds: said of states that the agent itself comes to; steps it took."""
    states, actions = known
    steps, each = 0, (LABELS - len(states)) // 5
    for _ in range(5):
        tasks = maze.tasks(random, each)
        played = roll_out(agent.acting(generator), maze.move, tasks, step_budgets(maze.left(tasks), most=MOST))
        steps += int(played.taken.sum())
        met = random.permutation(played.states[played.taken])[:each]
        states, actions = np.concatenate([states, met]), np.concatenate([actions, maze.expert(met, np.arange(each))])
        imitate(agent, states, actions)
    return steps


def grpo(agent: Agent, maze: Maze, random: np.random.Generator, generator: torch.Generator, tolerance: float) -> int:
    """Multi-turn GRPO on soft success, every step of a rollout with the advantage of the whole; steps it took."""
    optimiser, steps = torch.optim.Adam(agent.parameters(), 2e-3), 0
    for _ in range(UPDATES):
        tasks = maze.tasks(random, GROUPS).repeat(MEMBERS, 0)
        budgets = step_budgets(maze.left(tasks) + 1, tolerance, MOST)  # one more to say STOP
        played = roll_out(agent.acting(generator), maze.move, tasks, budgets)
        steps += int(played.taken.sum())
        reward = soft_success(Column.full(maze.left(played.last)), played.ended, RADIUS)
        gain = group_advantages(Column.full(reward.values.reshape(GROUPS, MEMBERS))).values.reshape(-1, 1)
        taken = torch.as_tensor(played.taken)
        logs = agent(torch.as_tensor(played.states)).gather(-1, torch.as_tensor(played.actions)[..., None])[..., 0]
        loss = -(logs * taken * torch.as_tensor(gain) / taken.sum(1, keepdim=True)).sum(1).mean()
        step(optimiser, loss, agent)
    return steps


def learnt(seed: int, how: How, tolerance: float = 2.0) -> Mapping[str, float]:
    """What an agent can do on any task, and what its training after imitation took.

    Args:
        seed: of everything.
        how: what follows the imitation of ways; with DAgger that has half of the labels, else all of them.
        tolerance: of the budgets of GRPO.
    """
    maze, random, generator = Maze(seed), np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    agent = Agent(seed)
    known = shown(maze, random, LABELS // 2 if how == "DAgger" else LABELS)
    imitate(agent, *known)
    began, steps = time.process_time(), 0
    if how == "DAgger":
        steps = dagger(agent, maze, random, generator, known)
    elif how == "GRPO":
        steps = grpo(agent, maze, random, generator, tolerance)
    seconds = time.process_time() - began
    tasks = maze.tasks(np.random.default_rng(9000 + seed), 1000)
    played = roll_out(agent.acting(generator), maze.move, tasks, np.full(len(tasks), MOST))
    reward = soft_success(Column.full(maze.left(played.last)), played.ended, RADIUS).values
    return {
        "success": float((reward > 0).mean()),
        "soft success": float(reward.mean()),
        "steps of a rollout": float(played.taken.sum(1).mean()),
        "steps in training": float(steps),
        "seconds of training": seconds,
    }


def _sooner_and_no_worse(found: Found) -> bool:
    """GRPO above imitation and DAgger; with budgets less than two thirds of the steps, and less time, as successful."""
    own, free = "GRPO, stopped early", "GRPO"
    return (
        all(found.above(own, other, "success") for other in ("imitation", "DAgger"))
        and found.mean(own, "steps in training") < 2 / 3 * found.mean(free, "steps in training")
        and all(found.below(own, free, name) for name in ("steps in training", "seconds of training"))
        and found.above(own, free, "success", by=-0.03)
    )


ACTIVE_VLN = Check(
    row=191,
    name="multi-turn-grpo-early-stop",
    claim="After imitation of the same number of an expert's steps, multi-turn GRPO on soft success arrives more often "
    "than imitation and than DAgger; cutting rollouts at twice the shortest way takes less than two thirds of the "
    "steps, and less time, for no less success.",
    arms={
        "imitation": lambda seed: learnt(seed, "nothing"),
        "DAgger": lambda seed: learnt(seed, "DAgger"),
        "GRPO": lambda seed: learnt(seed, "GRPO", np.inf),
        "GRPO, stopped early": lambda seed: learnt(seed, "GRPO"),
    },
    holds=_sooner_and_no_worse,
    units={
        "success": "share of tasks",
        "soft success": "mean reward",
        "steps of a rollout": "steps",
        "steps in training": "steps",
        "seconds of training": "s of processor time",
    },
)
