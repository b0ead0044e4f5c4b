"""Check of a recipe for agents of many turns: quests through rooms, denser and sparser rewards, demonstrations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from actors.early_stopping import Act, Rollouts, roll_out, step_budgets
from benchmarks.methods.checks.utterances import step
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.menu import view
from learners.losses import clipped_policy_loss, normalised
from learners.returns import gae
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.view import RewardView

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Algorithm = Literal["PPO", "GRPO", "RLOO"]
SIDE, OBJECTS = 3, 6
"""Rooms of a side of the largest world, and kinds of objects that there are in any."""
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))
PLACE, DONE, QUEST = slice(0, 2), 2, 3
"""Columns of a state: the agent's room, objects fetched so far, and then those to be fetched and their rooms."""
GROUPS, MEMBERS, EPOCHS = 8, 8, 3
"""Quests of an update, rollouts of each, and passes over them."""
UPDATES = 50
BUDGET, DEMONSTRATION = UPDATES * GROUPS * MEMBERS, 250
"""What there is to be spent, in rollouts, and what a demonstration costs."""
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of what there is to be spent, that go into demonstrations."""


@dataclass(frozen=True)
class World:
    """Rooms in a square, in which objects lie, `quest` of which are to be fetched in order.

    Attributes:
        side: rooms of a side.
        quest: how many are asked for.
    """

    side: int
    quest: int

    @property
    def name(self) -> str:
        """As in TextWorld."""
        return f"w{self.side**2}-o{OBJECTS}-q{self.quest}"

    def quests(self, random: np.random.Generator, number: int) -> Ints:
        """States to begin in `[n, 3 + 3 · quest]`: somewhere, with objects in rooms at random."""
        asked = random.permuted(np.tile(np.arange(OBJECTS), (number, 1)), axis=1)[:, : self.quest]
        start, rooms = (random.integers(0, self.side, (number, k, 2)) for k in (1, self.quest))
        done = np.zeros((number, 1), np.int64)
        return np.concatenate([start[:, 0], done, asked, rooms.reshape(number, -1)], 1)

    def wanted(self, states: Ints) -> tuple[Ints, Ints]:
        """The next object `[n]`, and the room in which it lies `[n, 2]`."""
        rows, number = np.arange(len(states)), states[:, DONE].clip(max=self.quest - 1)
        rooms = states[:, QUEST + self.quest :].reshape(len(states), self.quest, 2)
        return states[rows, QUEST + number], rooms[rows, number]

    def move(self, states: Ints, actions: Ints, rows: Ints) -> tuple[Ints, Bools]:
        """A step to another room, or the taking of an object, which does nothing where it does not lie."""
        after, walks = states.copy(), actions < len(MOVES)
        steps = np.array(MOVES)[np.where(walks, actions, 0)] * walks[:, None]
        after[:, PLACE] = (states[:, PLACE] + steps).clip(0, self.side - 1)
        thing, room = self.wanted(states)
        after[:, DONE] += ((states[:, PLACE] == room).all(1) & (actions == len(MOVES) + thing)).astype(np.int64)
        return after, after[:, DONE] == self.quest

    def expert(self, states: Ints, rows: Ints) -> Ints:
        """Rows first, then columns, and then the object is taken."""
        thing, room = self.wanted(states)
        away = room - states[:, PLACE]
        vertical, sideways = np.where(away[:, 0] < 0, 0, 1), np.where(away[:, 1] < 0, 2, 3)
        there = np.where(away[:, 1] != 0, sideways, len(MOVES) + thing)
        return np.where(away[:, 0] != 0, vertical, there)

    def shortest(self, states: Ints) -> Ints:
        """Steps that a quest needs from its beginning `[n]`."""
        rooms = states[:, QUEST + self.quest :].reshape(len(states), self.quest, 2)
        way = np.concatenate([states[:, None, PLACE], rooms], 1)
        found: Ints = np.abs(np.diff(way, axis=1)).sum((1, 2)) + self.quest
        return found

    def played(self, act: Act, quests: Ints) -> Rollouts:
        """Rollouts of at most twice the shortest way, beyond which nothing more is gained."""
        return roll_out(act, self.move, quests, step_budgets(self.shortest(quests)))


SIMPLE, COMPLEX = World(2, 4), World(SIDE, OBJECTS)
TRAINED, HARDER = (f"success, {world.name}" for world in (SIMPLE, COMPLEX))


class Agent(nn.Module):
    """A policy and a critic of what is seen: the own room, the next object, and its room."""

    def __init__(self, seed: int, hidden: int = 48) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        size = 4 + OBJECTS + 1
        self.policy, self.critic = (
            nn.Sequential(nn.Linear(size, hidden), nn.Tanh(), nn.Linear(hidden, number))
            for number in (len(MOVES) + OBJECTS, 1)
        )

    def seen(self, world: World, states: Ints) -> Tensor:
        """What the agent sees of states `[n, …]`, as numbers `[n, size]`: both rooms, the object, and what is left."""
        thing, room = world.wanted(states)
        left = world.quest - states[:, DONE, None]
        parts = (states[:, PLACE] - 1, room - 1, np.eye(OBJECTS)[thing], left / OBJECTS)
        return torch.as_tensor(np.concatenate(parts, 1)).float()

    def acting(self, world: World, generator: torch.Generator) -> Act:
        """The policy as rollouts ask it."""

        def act(states: Ints, rows: Ints) -> Ints:
            with torch.no_grad():
                chances = self.policy(self.seen(world, states)).softmax(-1)
            found: Ints = torch.multinomial(chances, 1, generator=generator)[:, 0].numpy()
            return found

        return act

    def imitate(self, world: World, demonstrations: int, random: np.random.Generator, steps: int = 30) -> None:
        """Supervised training on what an expert does in as many quests."""
        if not demonstrations:
            return
        shown = world.played(world.expert, world.quests(random, demonstrations))
        seen, done = self.seen(world, shown.states[shown.taken]), torch.as_tensor(shown.actions[shown.taken])
        optimiser = torch.optim.Adam(self.policy.parameters(), 1e-2)
        for _ in range(steps):
            optimiser.zero_grad()
            nn.functional.cross_entropy(self.policy(seen), done).backward()
            optimiser.step()


class Way(NamedTuple):
    """How an agent is trained.

    Attributes:
        algorithm: whose advantages.
        every: sub-goals that are paid together; as many as there are in a quest: the sparse reward.
        world: in which.
        share: of BUDGET that goes into demonstrations.
        reinforced: whether the rest goes into reinforcement learning; else nothing follows.
    """

    algorithm: Algorithm = "PPO"
    every: int = 1
    world: World = SIMPLE
    share: float = 0.1
    reinforced: bool = True

    def view(self) -> RewardView:
        """Rewards of turns, and for GRPO and RLOO their sum compared within groups."""
        goals = [f"goal {k}" for k in range(self.world.quest)]
        parts: list[Mapping[str, Any]] = [
            {"part": "milestones", "achieved": goals, "every": self.every, "to": "paid"},
            {"part": "weighted_sum", "coefficients": {"paid": 1 / self.world.quest}},
        ]
        if self.algorithm != "PPO":
            parts += [
                {"part": "reduce", "of": "reward", "to": "total"},
                {"part": "group_relative", "preset": self.algorithm.lower(), "of": "total"},
            ]
        return view(dict.fromkeys(goals, "step"), *parts)


def update(agent: Agent, optimiser: torch.optim.Optimizer, way: Way, made: RewardView, done: Rollouts) -> None:
    """Several clipped steps on a batch; turns are tokens here, and what the world says is no token of the policy."""
    taken, world = done.taken, way.world
    rows, turns = np.nonzero(taken)
    states, actions = done.states[taken], torch.as_tensor(done.actions[taken])
    last = turns + 1 == taken.sum(1)[rows]
    following = done.states[rows, np.minimum(turns + 1, taken.shape[1] - 1)]
    fetched = np.where(last, done.last[rows, DONE], following[:, DONE])
    columns = {f"goal {k}": Column.full(fetched > k) for k in range(world.quest)}
    layout = Layout.of(steps=taken.sum(1), group=np.repeat(np.arange(GROUPS), MEMBERS))
    result = made.apply(columns, layout)
    seen = agent.seen(world, states)
    with torch.no_grad():
        before = agent.policy(seen).log_softmax(-1).gather(-1, actions[:, None])[:, 0]
        values = agent.critic(seen)[:, 0]
    if way.algorithm == "PPO":
        grid = torch.zeros(2, taken.shape[1] + 1, len(taken))
        grid[:, turns, rows] = torch.stack([torch.as_tensor(result.reward), values])
        discount = torch.as_tensor(np.roll(taken, -1, 1) & (np.arange(taken.shape[1]) < taken.shape[1] - 1)).float().T
        found = gae(grid[0, :-1], discount, grid[1], torch.as_tensor(taken).T)[turns, rows]
        gain, targets = normalised(found), found + values
    else:
        assert result.advantage is not None
        gain, targets = torch.as_tensor(result.advantage.values[layout.owner("step", "episode")]), values  # no critic
    for _ in range(EPOCHS):
        logs = agent.policy(seen).log_softmax(-1).gather(-1, actions[:, None])[:, 0]
        loss = clipped_policy_loss(logs, before, gain, 0.2) + (agent.critic(seen)[:, 0] - targets).square().mean()
        step(optimiser, loss, agent)


def success(agent: Agent, world: World, seed: int, number: int = 500) -> float:
    """Share of new quests that are done."""
    quests = world.quests(np.random.default_rng(9000 + seed), number)
    return float(world.played(agent.acting(world, torch.Generator().manual_seed(seed)), quests).ended.mean())


def learnt(seed: int, way: Way) -> Mapping[str, float]:
    """Success on the way, and afterwards in both worlds."""
    random, generator, agent = np.random.default_rng(seed), torch.Generator().manual_seed(seed), Agent(seed)
    agent.imitate(way.world, round(way.share * BUDGET / DEMONSTRATION), random)
    optimiser, made, curve = torch.optim.Adam(agent.parameters(), 3e-3), way.view(), [success(agent, way.world, seed)]
    for _ in range(round((1 - way.share) * UPDATES) if way.reinforced else 0):
        quests = way.world.quests(random, GROUPS).repeat(MEMBERS, 0)
        done = way.world.played(agent.acting(way.world, generator), quests)
        curve.append(float(done.ended.mean()))
        update(agent, optimiser, way, made, done)
    return {
        "success on the way": float(np.mean(curve)),
        TRAINED: success(agent, SIMPLE, seed),
        HARDER: success(agent, COMPLEX, seed),
    }


def _recipe(found: Found) -> bool:
    """Dense above sparse for PPO, and above no training where it was not trained; a share between above both ends."""
    dense, sparse = (f"PPO, every {k}" for k in (1, SIMPLE.quest))
    first, *between, last = (f"PPO, {share:.0%} demonstrations" for share in SHARES)
    return (
        found.above(dense, sparse, "success on the way")
        and found.above(dense, "one demonstration alone", HARDER)
        and any(all(found.above(share, end, TRAINED) for end in (first, last)) for share in between)
    )


ALGORITHMS: tuple[Algorithm, ...] = ("PPO", "GRPO", "RLOO")
PRACTICE = Check(
    row=152,
    name="multi-turn-agentic-rl-recipe",
    claim="Paid for each sub-goal PPO succeeds more often on the way than paid for whole quests; trained in a simple "
    "world it succeeds more often in a complex one than before; and of a fixed budget a share of demonstrations "
    "between none and all brings more success than either.",
    arms={
        **{
            f"{algorithm}, every {every}": partial(learnt, way=Way(algorithm, every))
            for algorithm in ALGORITHMS
            for every in (1, 2, SIMPLE.quest)
        },
        "one demonstration alone": partial(learnt, way=Way(reinforced=False)),
        f"PPO in {COMPLEX.name}": partial(learnt, way=Way(world=COMPLEX)),
        **{f"PPO, {share:.0%} demonstrations": partial(learnt, way=Way(share=share)) for share in SHARES},
    },
    holds=_recipe,
    units={"success on the way": "share of quests", TRAINED: "share of quests", HARDER: "share of quests"},
)
