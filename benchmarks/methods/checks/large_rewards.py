"""Check of three rewards of one model of frames, taught on other layouts, for a policy that was imitated badly."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.menu import softmax
from benchmarks.methods.worlds.stages import Task, fitted, numbers
from rewards.comparison.correlation import spearman
from rewards.models.progress.multifaceted import Multifaceted, Weights

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LAYOUTS, SHOWN, STAGES = 60, 4, 3
"""Layouts that the model is taught on, demonstrations of each, and places to be visited."""
ITERATIONS, EPISODES, RATE = 30, 8, 0.5
"""Batches of learning, and episodes of each."""
OFTEN, SELDOM = 0.4, 0.02
"""How often an imitated policy succeeds at first."""


def plain(task: Task, states: Ints) -> Floats:
    """What is seen in any layout `[..., d]`: where one is, where the places are, and which were visited."""
    places = np.broadcast_to(task.places.ravel(), (*states.shape, task.places.size))
    return np.concatenate([task.where[states], places, np.eye(STAGES + 1)[task.stage[states]]], -1)


@lru_cache(maxsize=8)
def taught(seed: int) -> tuple[Multifaceted, Task, float]:
    """A model, a layout that it has not seen, and how its progress goes with time on demonstrations of that."""
    random, one, other, progress, done = np.random.default_rng(seed), [], [], [], []
    for layout in range(LAYOUTS):
        task = Task(1000 * (seed + 1) + layout, stages=STAGES)
        for walk in task.complete(random, SHOWN, slow=0.5, astray=0.2):
            seen, count = plain(task, walk.states), len(walk.states)
            first = random.integers(0, count, 4 * count)
            second = (first + random.integers(1, count, 4 * count)) % count  # any other frame
            one.append(np.column_stack([seen[first], first]))
            other.append(np.column_stack([seen[second], second]))
            progress.append(second / (count - 1))
            done.append(second == count - 1)
    a, b, p, s = (numbers(np.concatenate(values).astype(np.float64)) for values in (one, other, progress, done))
    nearer = (b[:, -1] - a[:, -1]).sign()
    model = Multifaceted(a.shape[1] - 1, seed=seed)

    def loss(batch: Ints) -> torch.Tensor:
        return model.loss(a[batch, :-1], b[batch, :-1], nearer[batch], p[batch], s[batch]).mean()

    fitted(model, loss, len(a), seed, steps=1500)
    task = Task(1000 * (seed + 1) - 1, stages=STAGES)
    with torch.no_grad():
        found = [
            spearman(model(numbers(plain(task, walk.states)))[0].numpy(), np.arange(len(walk.states)))
            for walk in task.complete(random, 20, slow=0.0, astray=0.0)
        ]
    return model, task, float(np.mean([value or 0.0 for value in found]))


def succeeds(task: Task, chances: Floats) -> float:
    """How often a policy `[S, A]` is through in twice the shortest time, exactly."""
    step = np.einsum("sa,sat->st", chances, task.mdp.transition)
    return float(np.linalg.matrix_power(step, 2 * int(task.left[0]))[0, -1])


def imitated(task: Task, at_first: float) -> Floats:
    """Chances of a policy that follows the way just often enough to succeed in that share of its episodes."""
    best = (task.left[task.after] < task.left[:, None]) | task.mdp.terminal[:, None]
    right, low, high = best / best.sum(1, keepdims=True), 0.0, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if succeeds(task, middle * right + (1 - middle) / 5) > at_first else (middle, high)
    found: Floats = high * right + (1 - high) / 5
    return found


def refined(seed: int, weights: Weights | None) -> Mapping[str, float]:
    """Success after policy gradient on a reward, from a policy that was imitated.

    Args:
        seed: of everything.
        weights: of the three rewards; None: success itself is paid.
    """
    model, task, order = taught(seed)
    states = np.arange(len(task.stage))
    if weights is None:
        paid = task.mdp.reward.max(1)
    else:
        seen = numbers(plain(task, states))
        paid = model.reward(seen[:, None].expand(-1, len(states), -1), seen[None].expand(len(states), -1, -1), weights)
        paid = paid.double().numpy()
    return {
        "success": trained(task, paid, OFTEN, seed),
        "success where it was rare": trained(task, paid, SELDOM, seed),
        "rank correlation with time": order,
    }


def trained(task: Task, paid: Floats, at_first: float, seed: int) -> float:
    """Success after policy gradient with the mean return of each step as its baseline.

    Args:
        task: where.
        paid: reward of getting from one state to another `[S, S]`.
        at_first: how often the imitated policy succeeds.
        seed: of acting.
    """
    random, logits, length = np.random.default_rng(2000 + seed), np.log(imitated(task, at_first)), 2 * int(task.left[0])
    for _ in range(ITERATIONS):
        chances, at, path, moves, alive, gained = softmax(logits), np.zeros(EPISODES, np.int64), [], [], [], []
        for _ in range(length):
            move = (chances[at].cumsum(-1) < random.random((EPISODES, 1))).sum(-1).clip(max=4)
            after = task.after[at, move]
            path.append(at)
            moves.append(move)
            alive.append(~task.mdp.terminal[at])
            gained.append(paid[at, after] * alive[-1])
            at = after
        returns, total = np.zeros((length, EPISODES)), np.zeros(EPISODES)
        for t in reversed(range(length)):
            total = gained[t] + task.mdp.gamma * total
            returns[t] = total
        there = np.stack(alive)
        middle = (returns * there).sum(1, keepdims=True) / np.maximum(there.sum(1, keepdims=True), 1)
        gain = (returns - middle)[there]
        gain = gain / (gain.std() + 1e-6)
        where, what = np.stack(path)[there], np.stack(moves)[there]
        step = np.zeros_like(logits)
        np.add.at(step, (where, what), gain)
        np.add.at(step, where, -gain[:, None] * chances[where])
        logits = logits + RATE * step / EPISODES
    return succeeds(task, softmax(logits))


def _all_three(found: Found) -> bool:
    others = ("success itself", "contrast alone", "progress alone", "completion alone")
    return (
        all(found.above("all three", other, "success where it was rare") for other in others)
        and found.mean("all three", "rank correlation with time") > 0.9
    )


LRM = Check(
    row=54,
    name="multifaceted-progress-rm",
    claim="Thirty iterations after it succeeded in one of fifty episodes, a policy does so more often with all three "
    "rewards of a model taught on other layouts than with any of them alone, and than with success itself as the "
    "reward; and the model's progress goes by rank with time by more than 0.9 on demonstrations of the new layout.",
    arms={
        "all three": partial(refined, weights=Weights()),
        "contrast alone": partial(refined, weights=Weights(1.0, 0.0, 0.0)),
        "progress alone": partial(refined, weights=Weights(0.0, 1.0, 0.0)),
        "completion alone": partial(refined, weights=Weights(0.0, 0.0, 1.0)),
        "success itself": partial(refined, weights=None),
    },
    holds=_all_three,
    units={"success": "share of episodes", "success where it was rare": "share of episodes"},
)
