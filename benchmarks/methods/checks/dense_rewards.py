"""Check of dense rewards: a key, then a door, by one learner that is paid on the way by what each source knows.

Each source is a table of what a step from one state to another is paid `[S, S]`, beside 1 at the door. What learns
while the policy does learns at the end of each episode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.stages import Floats, Ints, Task, Walk, fitted, numbers, with_potential
from benchmarks.methods.worlds.tabular import q_learning
from learners.language.reward_losses import bradley_terry
from learners.objectives.gradient_penalty import gradient_norms, gradient_penalty, interpolated
from learners.objectives.occupancy import discriminator
from rewards.columns import Column
from rewards.comparison.policy_invariance import choices_kept
from rewards.comparison.tabular import TabularMDP
from rewards.credit.milestones import Milestones
from rewards.models.adversarial import adversarial_reward
from rewards.models.mlp_head import MLPHead
from rewards.models.progress.labels import located, stage_progress
from rewards.models.progress.stages import StageProgress
from rewards.novelty.count import CountNovelty
from rewards.views.layout import Layout
from rewards.views.part import Table

SIZE, PLACES, EPISODES, LONGEST = 6, ("key", "door"), 150, 100
MOST = 0.1
"""The largest payment of each source, as a share of what the door pays."""
ENOUGH = 0.5
"""Share of the best return from which on the task is solved."""
SHOWN, PAIRS, SEGMENT = 30, 500, 8
"""Demonstrations, comparisons, and steps of each segment that is compared."""
UPDATES, BATCH, RECENT, PENALTY, CLIP = 3, 64, 2000, 10.0, 0.9
"""Of the discriminator: steps an episode, samples, states it learns from, weight of its gradient penalty, and c."""

Seen = Callable[[Ints], Floats]
"""From the states of an episode to what is paid from then on."""


class Lessons(NamedTuple):
    """A task, and what was shown of it."""

    task: Task
    walks: list[Walk]
    frames: list[Floats]


@lru_cache(maxsize=8)
def lessons(seed: int) -> Lessons:
    """Places drawn anew, and demonstrations that idle and stray a little."""
    random, task = np.random.default_rng(seed), Task(seed, SIZE, len(PLACES))
    walks = task.complete(random, SHOWN, slow=0.6, astray=0.2)
    return Lessons(task, walks, [task.look(walk.states, random) for walk in walks])


@lru_cache(maxsize=8)
def progress(seed: int) -> Floats:
    """How far each state is, by a model taught on stages of demonstrations `[S]`."""
    task, walks, frames = lessons(seed)
    shares = np.full(task.stages, 1 / task.stages)
    stage, within = located(np.concatenate([stage_progress(task.steps(walk), shares) for walk in walks]), shares)
    shown, at, far = numbers(np.concatenate(frames)), torch.as_tensor(stage), numbers(within)
    model = StageProgress(shown.shape[1], task.stages, seed=seed)
    fitted(model, lambda batch: model(shown[batch]).loss(at[batch], far[batch]).mean(), len(at), seed, steps=500)
    with torch.no_grad():
        found: Floats = model(numbers(task.seen)).progress(numbers(shares)).double().numpy()
    return found


def preferred(seed: int) -> Floats:
    """What a reward model pays for each step that prefers segments in which a task came further `[S, S]`."""
    task, walks, _ = lessons(seed)
    random, true = np.random.default_rng(1000 + seed), task.progress()
    lost = [task.walk(random, slow=0.6, quits=int(random.integers(1, 12)), wanders=True, longest=60) for _ in walks]
    drawn = np.stack([segment((walks + lost)[int(random.integers(2 * SHOWN))], random) for _ in range(2 * PAIRS)])
    seen = task.look(drawn, random)
    steps = numbers(np.concatenate([seen[:, :-1], seen[:, 1:]], -1)).reshape(2, PAIRS, SEGMENT, -1)
    gained = (true[drawn[:, -1]] - true[drawn[:, 0]]).reshape(2, PAIRS)
    first = torch.as_tensor(np.where(gained[0] == gained[1], 0.5, gained[0] > gained[1]), dtype=torch.float32)
    model = MLPHead(steps.shape[-1], hidden=64, seed=seed)

    def loss(batch: Ints) -> Tensor:
        one, other = model(steps[0, batch]).sum(-1), model(steps[1, batch]).sum(-1)
        return bradley_terry(one, other, soft_labels=first[batch]).mean()

    fitted(model, loss, PAIRS, seed, steps=300, batch=128)
    return each_step(task, model)


def segment(walk: Walk, random: np.random.Generator) -> Ints:
    """States of a stretch of a walk; after its end, it stays there `[SEGMENT + 1]`."""
    states = np.append(walk.states, np.repeat(walk.states[-1], SEGMENT))
    start = int(random.integers(len(walk.states)))
    found: Ints = states[start : start + SEGMENT + 1]
    return found


@torch.no_grad()
def each_step(task: Task, model: nn.Module) -> Floats:
    """What a model of steps says of each `[S, S]`, around 0."""
    states, known = len(task.seen), numbers(task.seen)
    one, other = (known[index] for index in torch.meshgrid(torch.arange(states), torch.arange(states), indexing="ij"))
    found: Floats = model(torch.cat([one, other], -1)).double().numpy()
    found -= found[possible(task)].mean()
    return found


def possible(task: Task) -> NDArray[np.bool_]:
    """Which steps there are, but for those of what has ended `[S, S]`."""
    found: NDArray[np.bool_] = (task.mdp.transition.sum(1) > 0) & ~task.mdp.terminal[:, None]
    return found


def sub_goals(task: Task) -> Floats:
    """1 for each step by which the key is taken, or the door reached `[S, S]`; neither is ever lost again."""
    before, after = np.meshgrid(task.stage, task.stage, indexing="ij")
    labels = {
        name: Column.full(((before <= place) & (after > place)).ravel().astype(np.float32))
        for place, name in enumerate(PLACES)
    }
    paid = Milestones(achieved=PLACES, pay="once").apply(Table(labels, Layout.of(steps=np.ones(before.size, int))), {})
    found: Floats = paid.values.reshape(before.shape).astype(np.float64)
    return found


def counted(task: Task) -> Seen:
    """What a state that is reached pays by how often it was."""
    counts, states = CountNovelty(), np.arange(len(task.seen))[:, None]

    def seen(visited: Ints) -> Floats:
        if len(visited):
            counts.update({"state": visited[:, None]})
        return np.tile(counts.score({"state": states}).astype(np.float64), (len(states), 1))

    return seen


def told_apart(seed: int) -> Seen:
    """What a state that is reached pays for looking like those of demonstrations, by a discriminator of now."""
    task, _, frames = lessons(seed)
    random, generator = np.random.default_rng(2000 + seed), torch.Generator().manual_seed(seed)
    expert, known, recent = numbers(np.concatenate(frames)), numbers(task.seen), [np.zeros(0, np.int64)]
    model = MLPHead(expert.shape[1], hidden=64, seed=seed)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)

    def seen(visited: Ints) -> Floats:
        recent[0] = np.append(recent[0], visited)[-RECENT:]
        for _ in range(UPDATES if len(visited) else 0):
            one = expert[random.integers(0, len(expert), BATCH)]
            other = numbers(task.look(random.choice(recent[0], BATCH), random))
            steep = gradient_penalty(gradient_norms(model, interpolated(one, other, generator)))
            optimiser.zero_grad()
            (discriminator(model(one), model(other)) + PENALTY * steep).backward()
            optimiser.step()
        with torch.no_grad():
            paid = adversarial_reward(model(known)[None], CLIP).double().numpy()
        return np.tile(paid / -np.log1p(-CLIP), (len(known), 1))

    return seen


def source(seed: int, how: str) -> Seen:
    """A source by its name; of most, what is paid never changes."""
    task = lessons(seed).task
    if how == "count bonus":
        return counted(task)
    if how == "discriminator":
        return told_apart(seed)
    states, mdp = len(task.seen), task.mdp

    def potential(phi: Floats) -> Floats:
        found: Floats = (with_potential(mdp, phi * ~mdp.terminal, alpha=1.0) - mdp.reward)[:, 0]
        return found

    tables: Mapping[str, Callable[[], Floats]] = {
        "nothing": lambda: np.zeros((states, states)),
        "potential": lambda: potential(progress(seed)),
        "random potential": lambda: potential(np.random.default_rng(3000 + seed).random(states)),
        "preference model": lambda: preferred(seed),
        "progress model": lambda: np.tile(progress(seed), (states, 1)),
        "sub-goals": lambda: sub_goals(task),
    }
    paid = tables[how]()
    most = np.abs(paid[possible(task)]).max() or 1.0
    return lambda visited: paid / most


def taught(seed: int, how: str) -> Mapping[str, float]:
    """How soon the task is solved, and what comes of following what is paid.

    Args:
        seed: of the task, of the lessons and of learning.
        how: as of `source`.
    """
    task, seen = lessons(seed).task, source(seed, how)
    mdp, alive = task.mdp, ~task.mdp.terminal
    world = TabularMDP(mdp.transition, mdp.start, mdp.gamma)
    meant = world.best_action_values(mdp.expected)
    best = mdp.worth(world.best_policy(mdp.expected))
    paid = MOST * seen(np.zeros(0, np.int64)) * alive[:, None]
    visited, steps, solved = list[int](), 0, EPISODES * LONGEST

    def shaped(state: int, action: int, after: int, reward: float, ended: bool) -> float:
        nonlocal paid, steps
        steps += 1
        visited.append(after)
        found = reward + float(paid[state, after])
        if ended or len(visited) == LONGEST:
            paid = MOST * seen(np.array(visited)) * alive[:, None]
            visited.clear()
        return found

    def share(policy: Floats) -> float:
        return mdp.worth(policy) / best

    def looked_at(table: Floats) -> bool:
        nonlocal solved
        if steps < solved and share(np.eye(table.shape[1])[table.argmax(1)]) > ENOUGH:
            solved = steps
        return False  # learning goes on, or the sources would not be told of the same number of episodes

    table, _ = q_learning(mdp, seed, EPISODES, LONGEST, shaped=shaped, enough=looked_at)
    looked_at(table)
    dense = world.expected(mdp.reward + paid[:, None])
    return {
        "steps to solve": solved,
        "solved": solved < EPISODES * LONGEST,
        "worth of what was learnt": share(np.eye(table.shape[1])[table.argmax(1)]),
        "true return of the best by it": share(world.best_policy(dense)),
        "best choices": choices_kept(meant, world.best_action_values(dense), alive),
    }


def _faster_and_as_good(found: Found) -> bool:
    kept = ("best choices", "true return of the best by it")
    return found.below("potential", "nothing", "steps to solve") and all(
        min(found.values[how][measure]) > 1 - 1e-6 for how in ("potential", "random potential") for measure in kept
    )


DENSE = Check(
    row=18,
    name="dense-reward-taxonomy",
    claim="With learnt progress as a potential, a task of a key and a door is solved in fewer steps than with the "
    "sparse reward, and every choice that is best under it, or under a random potential, is truly best; what the other "
    "dense rewards do stands beside it.",
    arms={
        how: partial(taught, how=how)
        for how in (
            "nothing",
            "potential",
            "random potential",
            "count bonus",
            "discriminator",
            "preference model",
            "progress model",
            "sub-goals",
        )
    },
    holds=_faster_and_as_good,
    units={
        "steps to solve": "steps",
        "solved": "share of runs",
        "worth of what was learnt": "share of the best",
        "true return of the best by it": "share of the best",
        "best choices": "share of states",
    },
)
