"""A check of evaluators of trajectories: long plans with tools, and plans with one thing wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.stages import fitted
from benchmarks.methods.worlds.tool_plans import FAMILIES, FEATURES, LONGEST, ROOM, Task, pairs, seen, task_of
from learners.language.reward_losses import bradley_terry
from rewards.data.trajectory_edits import Trajectory
from rewards.evaluation.trajectory_bench import TrajectoryPair, by_judge, by_scores, report

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# --- 23: plans with tools ---------------------------------------------------------------------------------------------

EDGES, SHORT, READ = (8, 14), 6, 8
"""Of buckets of lengths in steps; most calls of a task that models are taught with; steps that the judge reads."""
EACH, LESSONS, STEPS = 250, 1200, 200
"""Pairs of each family; pairs that models are taught with, and steps of gradient."""
Shown = tuple[Tensor, Tensor]
"""Features `[2, N, ROOM, d]` and lengths `[2, N]` of preferred ones and distractors."""


@lru_cache(2)
def bench(seed: int) -> tuple[list[TrajectoryPair], Shown]:
    """What all evaluators of a seed are tried on."""
    found = pairs(np.random.default_rng(seed), EACH)
    return found, shown(found)


def shown(found: Sequence[TrajectoryPair]) -> Shown:
    """What models see of pairs."""
    sides = [one.preferred for one in found], [one.distractor for one in found]
    features = [[seen(task_of(one), steps) for one, steps in zip(found, side, strict=True)] for side in sides]
    return torch.as_tensor(np.array(features)), torch.tensor([[len(steps) for steps in side] for side in sides])


class TrajectoryModel(nn.Module):
    """Reads a trajectory and gives one score."""

    def __init__(self, seed: int, hidden: int = 32) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.cell = nn.GRU(FEATURES, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Scores `[B]`, of features `[B, T, d]`."""
        along, _ = self.cell(features[:, : int(lengths.max())])
        found: Tensor = self.head(along[torch.arange(len(lengths)), lengths - 1])[:, 0]
        return found


class StepModel(nn.Module):
    """Scores each step by itself; a trajectory is worth what its worst step is worth."""

    def __init__(self, seed: int, hidden: int = 64) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.net = nn.Sequential(nn.Linear(FEATURES, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def steps(self, features: Tensor) -> Tensor:
        """Logits that a step is right `[B, T]`."""
        found: Tensor = self.net(features)[..., 0]
        return found

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Scores `[B]`."""
        there = torch.arange(features.shape[1]) < lengths[:, None]
        return self.steps(features).masked_fill(~there, torch.inf).amin(-1)


Model = TrajectoryModel | StepModel


def taught(seed: int, kind: type[Model], longest: int) -> Model:
    """A model that has learnt from pairs of tasks of at most so many calls."""
    lessons = pairs(np.random.default_rng(1000 + seed), LESSONS // len(FAMILIES), longest)
    features, lengths = shown(lessons)
    model = kind(seed)
    # Where a distractor first differs it goes wrong; what comes after that is nobody's lesson.
    wrong = (features[0] != features[1]).any(-1).int().argmax(-1)

    def loss(batch: Ints) -> Tensor:
        if isinstance(model, TrajectoryModel):
            return bradley_terry(*(model(features[side, batch], lengths[side, batch]) for side in range(2))).mean()
        at, own = torch.arange(ROOM), wrong[batch][:, None]
        good = model.steps(features[0, batch])[at < lengths[0, batch][:, None]]
        bad = model.steps(features[1, batch])[at == own]
        return F.softplus(-good).mean() + F.softplus(bad).mean()

    fitted(model, loss, len(lessons), seed, STEPS, batch=64)
    return model


def reads_the_end(task: Task, steps: Trajectory, read: int) -> bool:
    """Whether all is well in the last steps, as far as one can tell who sees only them and the task."""
    last = steps[-read:]
    if any(a.failed and a._replace(failed=False) != b for a, b in pairwise(last)):
        return False
    done = [step for step in last if not step.failed]
    whole = len(last) == len(steps)
    return done == list(task.plan)[-len(done) :] and (not whole or len(done) == len(task.plan))


Evaluator = Callable[[int], tuple[Floats, Floats]]
"""From a seed, pairs of its bench won `[N]` in both orders, and where the preferred one stands first."""


def judge(seed: int, read: int) -> tuple[Floats, Floats]:
    """A judge that reads the last steps, and in doubt prefers whatever stands first."""
    found, _ = bench(seed)
    good, bad = (
        np.array([reads_the_end(task_of(one), steps, read) for one, steps in zip(found, side, strict=True)])
        for side in ([one.preferred for one in found], [one.distractor for one in found])
    )
    forward, backward = (good >= bad).astype(np.float64), (bad >= good).astype(np.float64)
    return by_judge(forward, backward), forward


def scores(seed: int, kind: type[Model], longest: int = SHORT) -> tuple[Floats, Floats]:
    """A reward model."""
    _, (features, lengths) = bench(seed)
    model = taught(seed, kind, longest)
    with torch.no_grad():
        won = by_scores(*(model(features[side], lengths[side]).numpy() for side in range(2)))
    return won, won


def constant(seed: int) -> tuple[Floats, Floats]:
    """Scores all alike."""
    won = by_scores(*np.zeros((2, len(FAMILIES) * EACH)))
    return won, won


def measured(seed: int, evaluator: Evaluator) -> Mapping[str, float]:
    """What the bench says of an evaluator."""
    won, first = evaluator(seed)
    said = report(bench(seed)[0], won, EDGES)
    short, middle, long = (rate.value or 0.0 for rate in said.lengths)
    buckets = {"short": short, "middle": middle, "long": long, "short less long": short - long}
    families = {name: rate.value or 0.0 for name, rate in said.families.items()}
    return {"mean of families": said.mean or 0.0, **buckets, **families, "preferred one first": float(first.mean())}


def _worse_when_long(found: Found) -> bool:
    """All above half where short; all lower where long; the oracle and the constant as they must be."""
    fixed = all(found.interval(arm, "mean of families") == (v, v) for arm, v in (("oracle", 1.0), ("constant", 0.5)))
    tried = ("trajectory model", "step minimum", "judge of the last 8 steps")
    short = all(found.interval(arm, "short")[0] > 0.5 for arm in tried)
    return fixed and short and all(found.interval(arm, "short less long")[0] > 0.05 for arm in tried)


EVALUATORS: Mapping[str, Evaluator] = {
    "oracle": partial(judge, read=ROOM),
    "constant": constant,
    "trajectory model": partial(scores, kind=TrajectoryModel),
    "trajectory model, taught long ones": partial(scores, kind=TrajectoryModel, longest=LONGEST),
    "step minimum": partial(scores, kind=StepModel),
    "judge of the last 8 steps": partial(judge, read=READ),
}

PLAN_REWARD_BENCH = Check(
    row=23,
    name="trajectory-preference-bench",
    claim="Of plans with up to 8 steps a trajectory reward model, the worst step of a step model and a judge of the "
    "last 8 steps choose the right one more often than not, and of plans with more than 14 each at least 0.05 less "
    "often.",
    arms={name: partial(measured, evaluator=evaluator) for name, evaluator in EVALUATORS.items()},
    holds=_worse_when_long,
    units=dict.fromkeys(
        ("mean of families", "short", "middle", "long", "preferred one first", *FAMILIES), "share of pairs"
    ),
)
