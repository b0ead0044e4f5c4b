"""Checks of process rewards that can be farmed: errands, and a judge of steps who likes every right step, again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import errands
from benchmarks.methods.worlds.language import END, Writing
from rewards.columns import Column

Parts = list[dict[str, Any]]
GRPO = {"part": "group_relative", "preset": "grpo", "of": "reward"}


def judged(writing: Writing) -> NDArray[np.float32]:
    """Scores of steps `[B, T]`: 0.9 for an errand done, and for going to its place again; 0.2 for what is in vain.

    Handing in is worth 0.9 if all is done, and 0.2 if not. The judge is right about every step, and can be farmed.
    """
    count = errands.done(writing)
    wanted = np.pad(writing.prompts, ((0, 0), (1, 0)), constant_values=-1)
    there = writing.completions == wanted[np.arange(len(count))[:, None], count]
    handed_in = (writing.completions == END) & (count == errands.ERRANDS)
    return np.where(there | handed_in, 0.9, 0.2).astype(np.float32)


def components(writing: Writing) -> Mapping[str, Column]:
    """The outcome, and scores of steps."""
    outcome = Column.full(errands.success(writing))
    return {"outcome": outcome, "score": Column.full(writing.tokens(judged(writing)))}


LEVELS = {"outcome": "episode", "score": "token"}


def with_scores(*shaping: dict[str, Any], alpha: float = 0.2) -> Parts:
    """Return of an episode's outcome, and of what the shaping leaves of the scores from here on."""
    return [
        *shaping,
        {"part": "returns", "of": "score"},
        {"part": "weighted_sum", "coefficients": {"outcome": 1.0, "score": alpha}},
        GRPO,
    ]


def outcome_only() -> Parts:
    """The outcome alone; scores are recorded, without effect."""
    return with_scores(alpha=0.0)


def trained(seed: int, parts: Parts) -> Mapping[str, float]:
    """Success and length after training a policy that succeeds in most of its walks already."""
    policy = errands.taught(seed, 80)
    found = errands.trained(parts, LEVELS, components, seed, policy, updates=150, length=2 * errands.LENGTH)
    return {name: found[name] for name in ("success", "steps")}


def shaped(preset: str) -> Parts:
    """With scores shaped by a preset of `process_reward`."""
    return with_scores({"part": "process_reward", "preset": preset, "of": "score"})


def _not_farmed(found: Found) -> bool:
    """Raw scores make walks longer and worse; both shapings together do neither."""
    raw, both = "scores as they are", "clip and delta"
    return (
        found.above(raw, "outcome only", "steps", 1.0)
        and found.below(raw, "outcome only", "success", 0.2)
        and (found.difference(both, "outcome only", "success").low or 0.0) > -0.05
        and (found.difference(both, "outcome only", "steps").high or 0.0) < 0.5
    )


CLIP_DELTA = Check(
    row=16,
    name="clip-delta-process-reward",
    claim="Scores of steps as they are lengthen walks by more than 1 step and cost more than 0.2 of success against "
    "the outcome alone; clipped and differenced they cost less than 0.05 and add less than half a step.",
    arms={
        "outcome only": lambda seed: trained(seed, outcome_only()),
        "scores as they are": lambda seed: trained(seed, with_scores()),
        "clip": lambda seed: trained(seed, shaped("clip")),
        "delta": lambda seed: trained(seed, shaped("delta")),
        "clip and delta": lambda seed: trained(seed, shaped("clip_delta")),
    },
    holds=_not_farmed,
    units={"success": "share of walks", "steps": "steps"},
)

PURE = Check(
    row=99,
    name="min-form-return",
    claim="Summed, scores of steps lengthen walks by more than 1 step and cost more than 0.2 of success against "
    "the outcome alone; in min form they give more success than sums, in shorter walks.",
    arms={
        "outcome only": lambda seed: trained(seed, outcome_only()),
        "sum": lambda seed: trained(seed, with_scores()),
        "min form": lambda seed: trained(seed, with_scores({"part": "min_form", "preset": "pure", "of": "score"})),
    },
    holds=lambda found: (
        found.above("sum", "outcome only", "steps", 1.0)
        and found.below("sum", "outcome only", "success", 0.2)
        and found.above("min form", "sum", "success")
        and found.below("min form", "sum", "steps")
    ),
    units={"success": "share of walks", "steps": "steps"},
    seeds=3,
)


def calls(writing: Writing) -> Mapping[str, Column]:
    """The outcome in grades, and 0.3 for every place that is visited, as for a tool call in good form."""
    grade = 0.25 * errands.handed_in(writing) + 0.75 * errands.success(writing)
    called = (writing.completions != END) & (writing.completions != errands.IDLE)
    return {
        "outcome": Column.full(grade.astype(np.float32)),
        "call": Column.full(writing.tokens(0.3 * called.astype(np.float32))),
    }


def accumulated(seed: int, *gate: dict[str, Any], weight: float = 1.0) -> Mapping[str, float]:
    """Success and length after training on the outcome and the calls together."""
    parts: Parts = [
        *gate,
        {"part": "reduce", "of": "call", "over": "episode", "by": "sum"},
        {"part": "weighted_sum", "coefficients": {"outcome": 1.0, "call": weight}},
        GRPO,
    ]
    levels = {"outcome": "episode", "call": "token"}
    found = errands.trained(parts, levels, calls, seed, errands.taught(seed), updates=150)
    gained = found["success"] - found["before"]
    return {"success": found["success"], "success gained": gained, "steps": found["steps"]}


G_RA = Check(
    row=24,
    name="gated-reward-accumulation",
    claim="Training on the outcome and the rewards of calls together ends with less success than it began; with the "
    "calls gated by the outcome, with more.",
    arms={
        "outcome only": lambda seed: accumulated(seed, weight=0.0),
        "direct (D-RA)": lambda seed: accumulated(seed),
        "gated (G-RA)": lambda seed: accumulated(seed, {"part": "gate", "of": "call", "by": "outcome", "least": 1.0}),
    },
    holds=lambda found: (
        found.interval("direct (D-RA)", "success gained")[1] < 0 < found.interval("gated (G-RA)", "success gained")[0]
    ),
    units={"success": "share of walks", "steps": "steps"},
    seeds=3,
)
