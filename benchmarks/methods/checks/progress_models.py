"""Checks of progress that is learnt from demonstrations: of hops, of stages, and by structure instead of time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.stages import Along, Pay, Task, Walk, fitted, numbers
from benchmarks.methods.worlds.tabular import q_learning
from learners.objectives.reward_aligned import progress_ahead, reward_aligned_loss, reward_aligned_weights
from rewards.comparison.correlation import spearman
from rewards.models.progress.hop_model import HopModel
from rewards.models.progress.hops import applied, balanced_weights, hop
from rewards.models.progress.labels import bounded_shares, located, stage_progress, time_shares, visual_change
from rewards.models.progress.stages import StageProgress, rewound, windows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Then = Callable[[float, int, int, int], float]
LONGEST = 60
"""Steps after which an episode of learning is cut; the shortest ways take some ten."""
EPISODES = 100


def by_rank(progress: Floats, true: Floats) -> float:
    """Rank correlation of progress with the truth over a walk; 0 where one of both never moves."""
    return spearman(progress, true) or 0.0


def learnt(task: Task, seed: int, first: float, then: Then, pay: Pay) -> tuple[float, float, float]:
    """Q-learning with a potential: share of episodes that succeed, their mean steps, and what the policy is worth.

    Args:
        task: where.
        seed: of learning.
        first: Φ at first.
        then: Φ after a step, as `Along`.
        pay: as `Along`.
    """
    mdp = task.mdp
    shaped = Along(first, then, mdp.gamma, LONGEST, pay)
    table, returns = q_learning(mdp, seed, episodes=EPISODES, longest=LONGEST, shaped=shaped)
    got = np.array(returns)
    taken = np.where(got > 0, 1 + np.log(np.maximum(got, 1e-12)) / np.log(mdp.gamma), LONGEST)
    worth = mdp.worth(np.eye(table.shape[1])[table.argmax(1)]) / mdp.gamma ** (task.left[0] - 1)
    return float((got > 0).mean()), float(taken.mean()), float(worth)


# --- 26: hops from frame to frame, from the start and from the goal ---------------------------------------------------


@lru_cache(maxsize=8)
def hopping(seed: int) -> tuple[Task, HopModel]:
    """A task, and a model of hops taught on fifty demonstrations of it."""
    random, task = np.random.default_rng(seed), Task(seed)
    shares = np.full(task.stages, 1 / task.stages)
    seen, pairs, labels, count = list[Floats](), list[Ints](), list[Floats](), 0
    for walk in task.complete(random, 50, slow=0.6, astray=0.2):
        done = stage_progress(task.steps(walk), shares)
        one, other = (index.ravel() for index in np.meshgrid(np.arange(len(done)), np.arange(len(done))))
        seen.append(task.look(walk.states, random))
        pairs.append(count + np.stack([one, other]))
        labels.append(hop(done[one], done[other]))
        count += len(done)
    frames, (one, other), label = numbers(np.concatenate(seen)), np.concatenate(pairs, 1), np.concatenate(labels)
    drawn = random.choice(len(label), 100_000, p=balanced_weights(label, np.abs(one - other)))
    model, told = HopModel(frames.shape[1], seed=seed), numbers(label)
    start, goal = numbers(task.seen[[0, -1]])

    def loss(batch: Ints) -> Tensor:
        at = drawn[batch]
        found: Tensor = (model(start, goal, frames[one[at]], frames[other[at]]) - told[at]).square().mean()
        return found

    fitted(model, loss, len(drawn), seed, steps=1000)
    return task, model


@torch.no_grad()
def potentials(task: Task, model: HopModel, perspective: str) -> tuple[float, Then]:
    """Progress as a potential along an episode: at first, and after a step."""
    seen = numbers(task.seen)
    start, goal = seen[0], seen[-1]
    hops = model(start, goal, seen[:, None], seen[None]).double().numpy()
    forward = applied(0.0, model(start, goal, start, seen).double().numpy())
    backward = applied(1.0, model(start, goal, goal, seen).double().numpy())
    reached = [0.0]  # hop by hop, in this episode

    def then(before: float, state: int, after: int, steps: int) -> float:
        reached[0] = float(applied(0.0 if steps == 1 else reached[0], hops[state, after]))
        views = {"incremental": reached[0], "forward": forward[after], "backward": backward[after]}
        return float(np.mean(list(views.values())) if perspective == "fused" else views[perspective])

    views = {"incremental": 0.0, "forward": forward[0], "backward": backward[0]}
    return float(np.mean(list(views.values())) if perspective == "fused" else views[perspective]), then


def hopped(seed: int, perspective: str, pay: Pay = "difference") -> Mapping[str, float]:
    """How progress goes with the truth on walks of all kinds, and what is learnt when it is paid.

    Args:
        seed: of everything.
        perspective: `incremental`, `forward`, `backward` or `fused`.
        pay: as `Along`.
    """
    task, model = hopping(seed)
    random, true = np.random.default_rng(1000 + seed), task.progress()
    goal, found = numbers(task.seen[-1]), list[float]()
    for number in range(60):
        quits = int(random.integers(3, 20)) if number % 2 else None  # half of them lose their way
        walk = task.walk(random, slow=0.6, astray=0.4, quits=quits, wanders=True, longest=40)
        views = model.read(numbers(task.look(walk.states, random)), goal)
        found.append(by_rank(getattr(views, perspective), true[walk.states]))
    success, _, worth = learnt(task, seed, *potentials(task, model, perspective), pay)
    return {"rank correlation": float(np.mean(found)), "success": success, "worth of the policy": worth}


def _fused_and_shaped(found: Found) -> bool:
    return (
        found.above("fused", "incremental", "rank correlation")
        and found.above("fused", "fused, not paid", "success")
        and found.below("fused, paid as it is", "fused", "worth of the policy")
    )


ROBO_DOPAMINE = Check(
    row=26,
    name="hop-progress-rm",
    claim="Fused from three perspectives, progress goes by rank with the truth more closely than hop by hop; paid as a "
    "difference of potentials it gives more success in as many episodes than the sparse reward; and paid as it is, "
    "the policy that it leads to is worth less.",
    arms={
        "fused": partial(hopped, perspective="fused"),
        "incremental": partial(hopped, perspective="incremental"),
        "forward": partial(hopped, perspective="forward"),
        "backward": partial(hopped, perspective="backward"),
        "fused, paid as it is": partial(hopped, perspective="fused", pay="plain"),
        "fused, not paid": partial(hopped, perspective="fused", pay="nothing"),
    },
    holds=_fused_and_shaped,
    units={"success": "share of episodes", "worth of the policy": "share of the best"},
)


# --- 60: stages of varying length, and cloning of what comes further --------------------------------------------------

WINDOW, AHEAD = 4, 4
"""Frames that a model sees, and after which a step is judged."""


def mixed(task: Task, random: np.random.Generator, number: int) -> list[Walk]:
    """Demonstrations of which half stray in more than every second step; all come to the end."""
    return [*task.complete(random, number // 2, 0.9, 0.1), *task.complete(random, number - number // 2, 0.9, 0.6)]


@lru_cache(maxsize=16)
def watched(seed: int, stages: bool) -> tuple[Task, list[Walk], list[Floats], list[Tensor], float]:
    """Thirty demonstrations, what was seen, what a model taught on them says of them, and how it errs on others.

    Args:
        seed: of everything.
        stages: whether progress is labelled by stages; else by the share of frames that are over.
    """
    random, task = np.random.default_rng(seed), Task(seed)
    walks = mixed(task, random, 30)
    usual = time_shares([task.steps(walk) for walk in walks], task.stages)
    shares = usual if stages else np.ones(1)
    seen = [task.look(walk.states, random) for walk in walks]
    shown, labels = list[Floats](), list[Floats]()
    for walk, frames in zip(walks, seen, strict=True):
        done = stage_progress(task.steps(walk) if stages else np.zeros(len(walk.actions), np.int64), shares)
        turn = int(random.integers(1, len(frames)))
        back, undone = rewound(frames, done, turn, int(random.integers(1, turn + 1)))
        shown += [windows(frames, WINDOW), windows(back, WINDOW)]
        labels += [done, undone]
    inputs, (stage, within) = numbers(np.concatenate(shown)), located(np.concatenate(labels), shares)
    model, at, far = StageProgress(inputs.shape[1], len(shares), seed=seed), torch.as_tensor(stage), numbers(within)
    fitted(model, lambda batch: model(inputs[batch]).loss(at[batch], far[batch]).mean(), len(at), seed, steps=800)

    @torch.no_grad()
    def read(frames: Floats) -> Tensor:
        found: Tensor = model(numbers(windows(frames, WINDOW))).progress(numbers(shares))
        return found

    true = task.progress(usual)
    others = mixed(task, random, 40)
    apart = [read(task.look(walk.states, random)).numpy() - true[walk.states] for walk in others]
    return task, walks, seen, [read(frames) for frames in seen], float(np.mean(np.concatenate(apart) ** 2))


def cloned(seed: int, stages: bool, weighted: bool) -> Mapping[str, float]:
    """The error of progress, and how often a clone of the demonstrators is through in four times the shortest time.

    Args:
        seed: of everything.
        stages: as `watched`.
        weighted: whether steps are weighted by the progress that follows; else all are cloned.
    """
    task, walks, seen, progress, error = watched(seed, stages)
    frames = numbers(np.concatenate([one[:-1] for one in seen]))
    actions = torch.as_tensor(np.concatenate([walk.actions for walk in walks]))
    gained = torch.cat([progress_ahead(one, AHEAD)[:-1] for one in progress])
    weights = reward_aligned_weights(gained) if weighted else torch.ones(len(gained))
    torch.manual_seed(seed)
    policy = nn.Sequential(nn.Linear(frames.shape[1], 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))

    def loss(batch: Ints) -> Tensor:
        losses = F.cross_entropy(policy(frames[batch]), actions[batch], reduction="none")
        return reward_aligned_loss(losses, weights[batch])

    fitted(policy, loss, len(actions), seed, steps=600)
    random, states = np.random.default_rng(2000 + seed), np.zeros(400, np.int64)
    for _ in range(4 * int(task.left[0])):
        with torch.no_grad():
            chances = policy(numbers(task.look(states, random))).softmax(-1).numpy().cumsum(-1)
        action = np.minimum((chances < random.random((len(states), 1))).sum(-1), 4)
        states = task.after[states, action]
    return {"squared error": error, "success": float(task.mdp.terminal[states].mean())}


def _stages_and_weights(found: Found) -> bool:
    return found.mean("stages, RA-BC", "squared error") < 0.5 * found.mean(
        "frame index, RA-BC", "squared error"
    ) and found.above("stages, RA-BC", "stages, plain cloning", "success")


SARM = Check(
    row=60,
    name="stage-progress-rm",
    claim="Taught on demonstrations of varying speed, a stage-aware model of progress has less than half the squared "
    "error of one of frame indices; and of demonstrations of which half stray, cloning that is weighted by its "
    "progress succeeds more often than plain cloning.",
    arms={
        "stages, RA-BC": partial(cloned, stages=True, weighted=True),
        "frame index, RA-BC": partial(cloned, stages=False, weighted=True),
        "stages, plain cloning": partial(cloned, stages=True, weighted=False),
    },
    holds=_stages_and_weights,
    units={"success": "share of walks"},
)


# --- 105: progress by structure, for a model that also knows what time it is ------------------------------------------

USUAL = 40
"""Steps in units of which a model is told how long a walk has taken."""


def timed(seen: Floats, steps: Ints) -> Tensor:
    """What is seen, and the time `[..., d + 1]`."""
    return numbers(np.concatenate([seen, np.broadcast_to(steps / USUAL, seen.shape[:-1])[..., None]], -1))


def procedural(seed: int, structure: bool, first_stages: bool) -> Mapping[str, float]:
    """Progress on walks that stall or go wrong, and steps of an episode when it is a potential.

    Args:
        seed: of everything.
        structure: whether labels are by stages and what changed; else by time.
        first_stages: whether the stage is told before progress is.
    """
    random, task = np.random.default_rng(seed), Task(seed)
    walks = task.complete(random, 40, slow=0.9, astray=0.2)
    budgets = np.mean([bounded_shares(task.steps(walk), task.stages) for walk in walks], axis=0)
    seen, labels = [task.look(walk.states, random) for walk in walks], list[Floats]()
    for walk, frames in zip(walks, seen, strict=True):
        if structure:
            labels.append(stage_progress(task.steps(walk), budgets, visual_change(frames)))
        else:
            labels.append(np.linspace(0, 1, len(frames)))
    inputs = torch.cat([timed(frames, np.arange(len(frames))) for frames in seen])
    shares = budgets if first_stages else np.ones(1)
    stage, within = located(np.concatenate(labels), shares)
    model, at, far = StageProgress(inputs.shape[1], len(shares), seed=seed), torch.as_tensor(stage), numbers(within)
    fitted(model, lambda batch: model(inputs[batch]).loss(at[batch], far[batch]).mean(), len(at), seed, steps=800)

    @torch.no_grad()
    def read(frames: Floats, steps: Ints) -> Floats:
        found: Floats = model(timed(frames, steps)).progress(numbers(shares)).double().numpy()
        return found

    true, found, gained = task.progress(), list[float](), list[float]()
    for number in range(60):
        quits, wanders = int(random.integers(3, 15)), bool(number % 2)
        walk = task.walk(random, slow=0.5, astray=0.2, quits=quits, wanders=wanders, longest=40)
        told = read(task.look(walk.states, random), np.arange(len(walk.states)))
        found.append(by_rank(told, true[walk.states]))
        if not wanders and len(told) > quits:
            gained.append(told[-1] - told[quits])
    phi = read(np.broadcast_to(task.seen, (LONGEST + 1, *task.seen.shape)), np.arange(LONGEST + 1)[:, None])
    _, steps, _ = learnt(task, seed, phi[0, 0], lambda before, state, after, t: float(phi[t, after]), "difference")
    return {
        "rank correlation": float(np.mean(found)),
        "progress while standing still": float(np.mean(gained)),
        "steps of an episode": steps,
    }


def _by_structure(found: Found) -> bool:
    return found.above("by structure", "by time", "rank correlation") and found.below(
        "by structure", "by time", "steps of an episode"
    )


PROC_VLM = Check(
    row=105,
    name="procedure-grounded-progress-model",
    claim="On walks that stall or go wrong, progress learnt from labels by structure goes by rank with the truth more "
    "closely than progress learnt from labels by time; and with it as a potential, episodes take fewer steps.",
    arms={
        "by structure": partial(procedural, structure=True, first_stages=True),
        "by structure, at once": partial(procedural, structure=True, first_stages=False),
        "by time": partial(procedural, structure=False, first_stages=False),
    },
    holds=_by_structure,
    units={"steps of an episode": "steps"},
)
