"""Checks of credit between a plan and what follows from it, and of judges of thoughts, on forms that are filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds.forms import Field, Form, Ints, trained
from benchmarks.methods.worlds.menu import softmax, view
from rewards.columns import Column
from rewards.views.layout import Level

Part = Mapping[str, Any]
PROMPTS = 8
GRPO: Part = {"part": "group_relative", "preset": "grpo", "of": "reward"}
STEPWISE: Part = {"part": "position_relative", "preset": "tp_grpo"}

# --- 199: an outline and its details ---------------------------------------------------------------------------------

OUTLINES, DETAILS = 6, 6


def outlined(seed: int, levels: Mapping[str, Level], *parts: Part, updates: int = 120) -> Mapping[str, float]:
    """What outlines and details are worth where an outline that looks good lets no detail be good.

    Args:
        seed: of the worths and of sampling.
        levels: of the columns that the view reads: `score` of steps (outline, detail), `total` of episodes.
        *parts: of the view.
        updates: batches.
    """
    random = np.random.default_rng(seed)
    outline = random.random((PROMPTS, OUTLINES))
    room = 1 - 0.9 * (outline == outline.max(1, keepdims=True))  # the best looking one blocks
    detail = room[..., None] * random.random((PROMPTS, OUTLINES, DETAILS)) * 2

    def judged(prompt: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        scores = np.stack([outline[prompt, forms[:, 0]], detail[prompt, forms[:, 0], forms[:, 1]]], -1)
        noise = random.normal(0, 0.3, scores.shape)  # judges are not sure
        found = {"score": Column.full((scores + noise).ravel()), "total": Column.full((scores + noise).sum(-1))}
        return {name: found[name] for name in levels}

    fields = [
        Field(OUTLINES, PROMPTS),
        Field(DETAILS, PROMPTS * OUTLINES, lambda prompt, filled: prompt * OUTLINES + filled[:, 0]),
    ]
    form = trained(Form(fields), PROMPTS, judged, view(levels, *parts), seed, updates)
    first, second = softmax(form.logits[0]), softmax(form.logits[1]).reshape(PROMPTS, OUTLINES, DETAILS)
    worth = (first[..., None] * second * detail).sum((1, 2)).mean()
    looks = (first * outline).sum(1).mean()
    blocking = (first * (room < 1)).sum(1).mean()
    return {"both stages": float(looks + worth), "details": float(worth), "outlines that block": float(blocking)}


HI_GRPO = Check(
    row=199,
    name="hierarchical-stage-grpo",
    claim="With a reward for each stage, and the outline also paid for its details, both stages together are worth "
    "more than with the sum of all rewards for both stages; without that credit, outlines that block details "
    "stay.",
    arms={
        "flat": lambda seed: outlined(
            seed, {"total": "episode"}, {"part": "weighted_sum", "coefficients": {"total": 1.0}}, GRPO
        ),
        "stages, λ = 0": lambda seed: outlined(
            seed,
            {"score": "step"},
            {"part": "returns", "of": "score", "gamma": 0.0, "to": "reward"},
            {**STEPWISE, "of": "reward"},
        ),
        "stages, λ = 1": lambda seed: outlined(
            seed,
            {"score": "step"},
            {"part": "returns", "preset": "hi_grpo", "of": "score", "to": "reward"},
            {**STEPWISE, "of": "reward"},
        ),
    },
    holds=lambda found: (
        found.above("stages, λ = 1", "flat", "both stages")
        and found.above("stages, λ = 0", "stages, λ = 1", "outlines that block", by=0.3)
    ),
    units={"outlines that block": "share of outlines"},
    seeds=10,
)

# --- 207 and 120: judges of thoughts ---------------------------------------------------------------------------------

THOUGHTS, CHOICES = 3, 5
PLEASANT, ENDINGS = 1, 4
"""The answer that a judge of thoughts likes best, and how many answers there are."""


def thinking(
    seed: int, levels: Mapping[str, Level], *parts: Part, fooled: float = 0.0, updates: int = 400
) -> Mapping[str, float]:
    """F1 of answers that take three right thoughts, some time on the way and at the end, and what the judge says.

    The best answer is worth 1, a wordy one 0.8, the others nothing; without the thoughts all are worth nothing. The
    judge scores each thought, right ones 1 and a pleasant wrong one of each prompt `fooled`, and the answer: it likes
    the wordy one.

    Args:
        seed: of everything.
        levels: of the columns that the view reads: `score` of steps, `process` (its mean) and `outcome` of episodes.
        *parts: of the view.
        fooled: what a pleasant wrong thought is worth to the judge.
        updates: batches.
    """
    random = np.random.default_rng(seed)
    right = random.integers(0, CHOICES, (PROMPTS, THOUGHTS))
    pleasant = (right + random.integers(1, CHOICES, right.shape)) % CHOICES
    worth = np.array([1.0, 0.8, 0.0, 0.0])
    curve: list[float] = []

    def outcome(prompt: Ints, forms: Ints) -> NDArray[np.float64]:
        thought = (forms[:, :THOUGHTS] == right[prompt]).all(-1)
        return np.where(thought, worth[forms[:, THOUGHTS]], 0.0)

    def scores(prompt: Ints, forms: Ints) -> NDArray[np.float64]:
        thoughts = forms[:, :THOUGHTS]
        liked = np.where(thoughts == right[prompt], 1.0, np.where(thoughts == pleasant[prompt], fooled, 0.0))
        return np.concatenate([liked, (forms[:, THOUGHTS:] == PLEASANT).astype(float)], axis=1)

    def judged(prompt: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        liked = scores(prompt, forms)
        found = {
            "score": Column.full(liked.ravel()),
            "process": Column.full(liked.mean(-1)),
            "outcome": Column.full(outcome(prompt, forms)),
        }
        return {name: found[name] for name in levels}

    fields = [Field(CHOICES, PROMPTS) for _ in range(THOUGHTS)] + [Field(ENDINGS, PROMPTS)]
    form = trained(
        Form(fields),
        PROMPTS,
        judged,
        view(levels, *parts),
        seed,
        updates,
        on_update=lambda update, prompt, forms: curve.append(float(outcome(prompt, forms).mean())),
    )
    asked = np.repeat(np.arange(PROMPTS), 200)
    forms = form.filled(asked, np.random.default_rng(10_000 + seed))
    return {
        "F1 on the way": float(np.mean(curve[: updates // 2])),
        "F1 at the end": float(outcome(asked, forms).mean()),
        "judge at the end": float(scores(asked, forms).mean()),
    }


MIXED: Mapping[str, Level] = {"process": "episode", "outcome": "episode"}


def mixture(end: float, period: int = 300) -> list[Part]:
    """α R_process + (1 − α) R_outcome, α from one half to `end`."""
    return [
        {"part": "anneal", "of": "process", "start": 0.5, "end": end, "period": period},
        {"part": "anneal", "of": "outcome", "start": 0.5, "end": 1 - end, "period": period},
        {"part": "weighted_sum", "coefficients": {"process": 1.0, "outcome": 1.0}},
        GRPO,
    ]


ATOM = Check(
    row=207,
    name="process-to-outcome-schedule",
    claim="Where right answers are rare and the judge of thoughts prefers a wordy answer, a weight on the judge that "
    "falls from one half to nothing learns sooner than the outcome alone, and ends with a better outcome than a "
    "weight that stays.",
    arms={
        "outcome only": lambda seed: thinking(
            seed, {"outcome": "episode"}, {"part": "weighted_sum", "coefficients": {"outcome": 1.0}}, GRPO
        ),
        "constant": lambda seed: thinking(seed, MIXED, *mixture(0.5)),
        "annealed": lambda seed: thinking(seed, MIXED, *mixture(0.0)),
    },
    holds=lambda found: (
        found.above("annealed", "outcome only", "F1 on the way")
        and found.above("annealed", "constant", "F1 at the end")
    ),
    units={"F1 on the way": "mean of the first half", "judge at the end": "mean score"},
)

BY_STEP: Mapping[str, Level] = {"score": "step", "outcome": "episode"}

PPR = Check(
    row=120,
    name="process-outcome-renorm",
    claim="Where the judge of steps likes pleasant wrong ones as much as right ones, calibrated by the outcome its "
    "scores bring a better outcome than the outcome alone and than their sum with it, and a lower score than "
    "the sum.",
    arms={
        "outcome only": lambda seed: thinking(
            seed, {"outcome": "episode"}, {"part": "weighted_sum", "coefficients": {"outcome": 1.0}}, GRPO
        ),
        "sum": lambda seed: thinking(
            seed,
            BY_STEP,
            {"part": "weighted_sum", "coefficients": {"score": 1.0, "outcome": 1.0}},
            {**STEPWISE, "of": "reward"},
            fooled=1.0,
        ),
        "ReNorm": lambda seed: thinking(
            seed,
            BY_STEP,
            {"part": "process_outcome", "preset": "renorm", "of": "score", "to": "reward"},
            {**STEPWISE, "of": "reward"},
            fooled=1.0,
        ),
    },
    holds=lambda found: (
        found.above("ReNorm", "outcome only", "F1 at the end")
        and found.above("ReNorm", "sum", "F1 at the end")
        and found.below("ReNorm", "sum", "judge at the end")
    ),
    units={"F1 on the way": "mean of the first half", "judge at the end": "mean score"},
)
