"""Checks of reward models that read an instruction and what was done, with negatives that are made of successes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import permutations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import errands
from benchmarks.methods.worlds.errands import ERRANDS, LENGTH, PLACES, VOCABULARY, counted, prompts, with_detours
from benchmarks.methods.worlds.language import END, Writing
from benchmarks.methods.worlds.stages import fitted
from rewards.columns import Column
from rewards.models.progress.near_misses import near_misses
from rewards.models.progress.scores import HIGHEST, clipped, relabelled, score_of, score_reward
from rewards.models.progress.token_pruning import changed, distinct
from rewards.models.progress.trace_success import Traced, TraceSuccess

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def every(places: int) -> Ints:
    """All instructions of so many places `[I, places]`."""
    return 1 + np.array(list(permutations(range(PLACES), places)))


def overlaps(instructions: Ints, walks: Ints) -> Floats:
    """Share of each instruction that each walk does `[N, I]`."""
    asked, many = np.tile(instructions, (len(walks), 1)), np.repeat(walks, len(instructions), axis=0)
    done: Floats = counted(asked, many)[:, -1].reshape(len(walks), len(instructions)) / instructions.shape[1]
    return done


# --- 119: scores from 1 to 5, of successes alone ----------------------------------------------------------------------

LONG, SUCCESSES, EACH = 4, 1000, 60
"""Errands of a walk; demonstrations, all of them successes; and walks of each score that a model is looked at with."""


class Scorer(nn.Module):
    """Compares each token of a walk with each errand of an instruction, and gives logits of the scores."""

    def __init__(self, seed: int, hidden: int = 64) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        layers = [nn.Linear(LONG * LENGTH, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(hidden, HIGHEST))

    def forward(self, asked: Tensor, walks: Tensor) -> Tensor:
        """Logits `[B, 5]`, of instructions `[B, K]` and walks `[B, T]`."""
        found: Tensor = self.net((asked[:, :, None] == walks[:, None]).float().flatten(1))
        return found

    @torch.no_grad()
    def scores(self, asked: Ints, walks: Ints) -> Ints:
        """The likeliest score `[B]`."""
        found: Ints = 1 + self(torch.as_tensor(asked), torch.as_tensor(walks)).argmax(-1).numpy()
        return found


def cut(walks: Ints, kept: Ints) -> Ints:
    """Walks that break off `[N, T]`."""
    return np.where(np.arange(walks.shape[1]) < kept[:, None], walks, END)


def of_all_scores(random: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """As many walks of each score: instructions, walks and scores. Some are for another instruction, some break off."""
    asked, other = (prompts(random, 6000, LONG) for _ in range(2))
    walks = with_detours(random, np.where(random.random((6000, 1)) < 0.3, asked, other))
    lengths = (walks != END).sum(1)
    walks = cut(walks, np.where(random.random(6000) < 0.5, lengths, random.integers(0, lengths + 1)))
    scores = score_of(counted(asked, walks)[:, -1] / LONG)
    chosen = np.concatenate([np.flatnonzero(scores == score)[:EACH] for score in range(1, HIGHEST + 1)])
    return asked[chosen], walks[chosen], scores[chosen]


def scored(seed: int, clips: bool, others: bool, oracle: bool = False) -> Mapping[str, float]:
    """How far scores are from the truth, and how often a policy succeeds that was trained on them.

    Args:
        seed: of everything.
        clips: whether successes that are cut off are among what the model learns from.
        others: whether successes beside other instructions are.
        oracle: whether the policy is trained on true scores instead.
    """
    random, instructions = np.random.default_rng(seed), every(LONG)
    asked = prompts(random, SUCCESSES, LONG)
    walks = with_detours(random, asked)
    data = [(asked, walks, np.full(SUCCESSES, HIGHEST))]
    if clips:
        fractions = random.random(SUCCESSES)
        data.append((asked, cut(walks, clipped((walks != END).sum(1), fractions)), score_of(fractions)))
    if others:
        found = relabelled(overlaps(instructions, walks), random)
        data.append((instructions[found.instruction], walks, found.score))
    texts, done, score = (torch.as_tensor(np.concatenate(kind)) for kind in zip(*data, strict=True))
    model = Scorer(seed)

    def told(asked: Ints, walks: Ints) -> Ints:
        return score_of(counted(asked, walks)[:, -1] / LONG) if oracle else model.scores(asked, walks)

    def components(writing: Writing) -> Mapping[str, Column]:
        return {"score": Column.full(score_reward(told(writing.prompts, writing.completions)))}

    def loss(batch: Ints) -> Tensor:
        return F.cross_entropy(model(texts[batch], done[batch]), score[batch] - 1)

    if not oracle:
        fitted(model, loss, len(score), seed, steps=600)
    questions, answers, true = of_all_scores(np.random.default_rng(1000 + seed))
    result = errands.trained(
        [
            {"part": "scale", "of": "score", "factor": 1.0, "to": "reward"},
            {"part": "group_relative", "preset": "grpo", "of": "reward"},
        ],
        {"score": "episode"},
        components,
        seed,
        errands.taught(seed, errands=LONG),
        updates=80,
        errands=LONG,
        reached=errands.through,
    )
    return {
        "absolute error": float(np.abs(told(questions, answers) - true).mean()),
        "success before": result["before"],
        "success": result["success"],
    }


def _calibrated(found: Found) -> bool:
    near = found.difference("both", "oracle", "success")
    return (
        found.below("both", "no negatives", "absolute error")
        and found.above("both", "no negatives", "success")
        and (near.low or 0.0) > -0.1
    )


ROBO_REWARD = Check(
    row=119,
    name="counterfactual-negative-progress-model",
    claim="Taught on successes alone, a model of scores errs less on walks of all scores with negatives made of them "
    "than without; a policy trained on its scores succeeds more often, and at most by 0.1 less often than with true "
    "scores.",
    arms={
        "both": partial(scored, clips=True, others=True),
        "cut off": partial(scored, clips=True, others=False),
        "other instructions": partial(scored, clips=False, others=True),
        "no negatives": partial(scored, clips=False, others=False),
        "oracle": partial(scored, clips=False, others=False, oracle=True),
    },
    holds=_calibrated,
    units={"absolute error": "scores", "success before": "share of walks", "success": "share of walks"},
)


# --- 86: recordings of a screen, and instructions that they nearly fulfil ---------------------------------------------

HEIGHT, WIDTH, FEATURES = 3, 4, 4
SHOWN = np.array([0, 3, 5, 8, 11])
"""The patches of the screen that show the places; the others are background."""
TRACES, TESTED = 1500, 500


def recorded(walks: Ints, look: Floats) -> tuple[Floats, Ints]:
    """What the screen shows before and after each token `[N, T + 1, P, FEATURES]`, and how many frames there are `[N]`.

    A place has a look of its own, and is lit while somebody is there; nobody moves who idles.
    """
    there = np.zeros(len(walks), np.int64)  # nowhere
    frames = np.zeros((len(walks), walks.shape[1] + 1, HEIGHT * WIDTH, FEATURES))
    frames[:, :, SHOWN, :-1] = look
    for t in range(walks.shape[1]):
        there = np.where((walks[:, t] >= 1) & (walks[:, t] <= PLACES), walks[:, t], there)
        somewhere = np.flatnonzero(there)
        frames[somewhere, t + 1, SHOWN[there[somewhere] - 1], -1] = 1.0
    return frames, 1 + (walks != END).sum(1)


def read(frames: Floats, prune: bool) -> Mask:
    """Which patches are read `[N, T, P]`."""
    if not prune:
        return np.ones(frames.shape[:-1], np.bool_)
    in_place = frames.reshape(*frames.shape[:2], HEIGHT, WIDTH, FEATURES)
    return changed(frames) & distinct(in_place, largest=4).reshape(frames.shape[:-1])


def nearly(asked: Ints, walks: Ints, random: np.random.Generator) -> tuple[Ints, Ints, Mask]:
    """Instructions that are nearly fulfilled, the first failing frames, and which are truly failed."""
    found = near_misses(asked, np.arange(1, PLACES + 1), random)
    achieved = 1 + (counted(asked, walks)[:, :, None] > np.arange(ERRANDS)).argmax(1)
    failed = counted(found.instructions, walks)[:, -1] < ERRANDS
    return found.instructions, found.first_failing(achieved), failed


def lost(asked: Ints, walks: Ints, most: int, random: np.random.Generator) -> Ints:
    """As long walks of somebody who goes anywhere, and breaks off before more than `most` errands are done `[N, T]`."""
    found = np.where(walks == END, END, random.integers(1, VOCABULARY, walks.shape))
    return np.where(counted(asked, found) > most, END, found)


def judged(seed: int, near: bool, prune: bool, most: int = 0) -> Mapping[str, float]:
    """How often a model of success is right on successes and on near-misses, and what it read for it.

    Args:
        seed: of everything.
        near: whether half of the negatives are near-misses; else all are failed runs, of somebody who knows no way.
        prune: whether patches that did not change, or are background, are left out.
        most: errands that a failed run has done at most.
    """
    random = np.random.default_rng(seed)
    look = random.normal(size=(PLACES, FEATURES - 1))
    asked = prompts(random, TRACES)
    walks = with_detours(random, asked)
    # Negatives: the same instructions with a run that fails, or the same runs with an instruction that they miss.
    other, wrong, first = asked, lost(asked, walks, most, random), np.full(TRACES, -1)
    if near:
        missed, failing, failed = nearly(asked, walks, random)
        swap = failed & (np.arange(TRACES) % 2 == 0)
        other, wrong = np.where(swap[:, None], missed, other), np.where(swap[:, None], walks, wrong)
        first = np.where(swap, failing, -1)
    frames, steps = recorded(np.concatenate([walks, wrong]), look)
    kept = read(frames, prune)
    model = TraceSuccess(PLACES + 1, ERRANDS, HEIGHT * WIDTH, FEATURES, seed=seed)

    def seen(frames: Floats, kept: Mask, steps: Ints) -> tuple[Tensor, Tensor, Tensor]:
        return torch.as_tensor(frames, dtype=torch.float32), torch.as_tensor(kept), torch.as_tensor(steps)

    shown = seen(frames, kept, steps)
    texts = torch.as_tensor(np.concatenate([asked, other]))
    label = torch.cat([torch.ones(TRACES), torch.zeros(TRACES)])
    where = torch.as_tensor(np.concatenate([np.full(TRACES, -1), first]))

    def loss(batch: Ints) -> Tensor:
        told: Traced = model(texts[batch], *(part[batch] for part in shown))
        return told.loss(label[batch], where[batch]).mean()

    fitted(model, loss, 2 * TRACES, seed, steps=600, batch=64, rate=5e-3)
    tests = np.random.default_rng(1000 + seed)
    asked = prompts(tests, TESTED)
    walks = with_detours(tests, asked)
    missed, failing, failed = nearly(asked, walks, tests)
    frames, steps = recorded(walks, look)
    shown = seen(frames, read(frames, prune), steps)
    with torch.no_grad():
        good, bad = (model(torch.as_tensor(one), *shown) for one in (asked, missed))
    hits, caught = (good.success > 0).numpy(), (bad.success <= 0).numpy()[failed]
    at = bad.failing.argmax(-1).numpy()[failed] == failing[failed]
    there = np.arange(frames.shape[1]) < steps[:, None]
    return {
        "near-misses told": float(caught.mean()),
        "accuracy": float((hits.mean() + caught.mean()) / 2),
        "first failing step told": float(at.mean()),
        "patches read": float(shown[1].numpy()[there].mean()),
    }


def _caught_and_short(found: Found) -> bool:
    apart = found.difference("near-misses, pruned", "near-misses, all read", "accuracy")
    return (
        found.above("near-misses, pruned", "failed runs, pruned", "near-misses told", by=0.1)
        and found.mean("near-misses, pruned", "patches read") < 0.5
        and (apart.low or 0.0) > -0.01
    )


EXE_VRM = Check(
    row=86,
    name="execution-trace-success-model",
    claim="Where failed runs do no errand at all, a model of success that never sees actions finds more near-misses of "
    "new runs, by over 0.1, if half of its negatives are near-misses; and with less than half of the patches read, its "
    "accuracy is at most 0.01 lower.",
    arms={
        "near-misses, pruned": partial(judged, near=True, prune=True),
        "near-misses, all read": partial(judged, near=True, prune=False),
        "failed runs, pruned": partial(judged, near=False, prune=True),
        "failed runs of all kinds, pruned": partial(judged, near=False, prune=True, most=ERRANDS - 1),
    },
    holds=_caught_and_short,
    seeds=3,
    units={
        "near-misses told": "share of near-misses",
        "accuracy": "mean of both kinds",
        "first failing step told": "share of near-misses",
        "patches read": "share of patches",
    },
)
