"""Check of rewards that are routed by kind of task, with a process reward for calls and a filter between stages."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.menu import Floats, softmax, trained, view
from rewards.columns import Column
from rewards.sources.tool_use import call_rewards, learnable

Ints = NDArray[np.int64]
VERIFIABLE, OPEN, AGENTIC = 0, 1, 2
EACH, ANSWERS = 6, 12
"""Prompts of each kind, and answers to each prompt."""
OUTCOMES = ("executed", "failed", "invalid")


class Tasks:
    """Prompts of three kinds with answers of known worth.

    Attributes:
        kind: of each prompt `[P]`.
        truth: what an answer is truly worth `[P, A]`.
        rule: of a verifier of exact matches; 0 for an open prompt, where it knows nothing of worth `[P, A]`.
        judge: of a judge, near the truth of open answers and taken in by style elsewhere `[P, A]`.
        outcome: number of what came of an answer's first call, of OUTCOMES; −1 for a prompt without calls `[P, A]`.
    """

    def __init__(self, seed: int) -> None:
        """Drawn from `seed`."""
        random = np.random.default_rng(seed)
        self.kind = np.repeat([VERIFIABLE, OPEN, AGENTIC], EACH)
        shape = (len(self.kind), ANSWERS)
        right = np.zeros(shape)
        right[:, :2] = 1.0
        style, worth = random.random(shape), random.random(shape)
        is_open = (self.kind == OPEN)[:, None]
        self.truth = np.where(is_open, worth, right)
        self.rule = np.where(is_open, 0.0, right)
        self.judge = np.where(is_open, np.clip(worth + random.normal(0, 0.1, shape), 0, 1), 0.3 * right + 0.7 * style)
        first = random.choice(3, shape, p=[0.3, 0.4, 0.3])
        first[:, 0] = 0  # one right answer runs at once, the other after a failure
        first[:, 1] = 1
        self.outcome = np.where((self.kind == AGENTIC)[:, None], first, -1)


SUM = {
    "part": "weighted_sum",
    "coefficients": {"score": 1.0, "call": 1.0, "rule": 0.0, "judge": 0.0},  # who is not heard is looked at only
    "on_null": {"call": "omit", "rule": "omit", "judge": "omit"},
}
GRPO = {"part": "group_relative", "preset": "grpo", "of": "reward"}


def routed(seed: int, arm: str, updates: int = 300) -> Mapping[str, float]:
    """True worth after one run over all kinds.

    Args:
        seed: of everything.
        arm: `router` (the rule where it applies, else the judge), `no calls` (that without the process reward), `rule`
            or `judge` for all.
        updates: batches.
    """
    tasks = Tasks(seed)
    route = {"part": "first_known", "preset": "tablegpt_r1", "of": ["rule", "judge"], "to": "score"}
    named = {"rule": ["rule"], "judge": ["judge"]}.get(arm)
    made = view(
        {"rule": "episode", "judge": "episode", "call": "episode"},
        {**route, "of": named} if named else route,
        SUM,
        GRPO,
    )

    def judged(prompt: Ints, picked: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        applies = tasks.kind[prompt] != OPEN  # what the rule does not apply to, it abstains from
        rule, judge = tasks.rule[prompt, picked], tasks.judge[prompt, picked]
        names = [OUTCOMES[k] if k >= 0 else None for k in tasks.outcome[prompt, picked]]
        paid = call_rewards(names)
        known = np.isfinite(paid) & (arm != "no calls")
        return {
            "rule": Column(rule.astype(np.float32), applies | (arm == "rule")),
            "judge": Column.full(judge),
            "call": Column(paid.astype(np.float32), known),
        }

    chances = trained(np.zeros(tasks.truth.shape), judged, made, seed, updates=updates)
    return {**measured(tasks, chances), **filtered(tasks, seed)}


def measured(tasks: Tasks, chances: Floats) -> dict[str, float]:
    """True worth over all kinds and of the worst one, and how often a first call runs."""
    worth = (chances * tasks.truth).sum(1)
    kinds = [float(worth[tasks.kind == kind].mean()) for kind in (VERIFIABLE, OPEN, AGENTIC)]
    runs = (chances * (tasks.outcome == 0)).sum(1)[tasks.kind == AGENTIC]
    return {"worth": float(np.mean(kinds)), "worst kind": min(kinds), "first call runs": float(runs.mean())}


def filtered(tasks: Tasks, seed: int, members: int = 8) -> dict[str, float]:
    """Of prompts as hard as they come, the share of groups with an advantage, of all and of those that are kept."""
    random = np.random.default_rng(seed)
    start = random.normal(0, 3, (400, 1)) * np.array([1.0, 0.0])  # chances of being right from almost 0 to almost 1
    chance = softmax(start)[:, 0]
    kept = learnable(random.binomial(members, chance))
    again = random.binomial(members, chance)
    useful = (again > 0) & (again < members)
    return {"useful of all": float(useful.mean()), "useful of kept": float(useful[kept].mean())}


def _routing_pays(found: Found) -> bool:
    kept, whole = (found.values["router"][name] for name in ("useful of kept", "useful of all"))
    return (
        all(found.above("router", other, "worth") for other in ("rule for all", "judge for all"))
        and found.above("router", "router without calls", "first call runs")
        and all(one > other for one, other in zip(kept, whole, strict=True))
    )


TABLEGPT_R1 = Check(
    row=216,
    name="task-adaptive-reward-router",
    claim="In one run over verifiable, open and agentic tasks, a rule where it applies and else a judge ends with more "
    "true worth than the rule or the judge for all; a process reward for calls lets more first calls run; of prompts "
    "with 3 to 7 right answers of 8 more groups have an advantage than of all.",
    arms={
        "rule for all": lambda seed: routed(seed, "rule"),
        "judge for all": lambda seed: routed(seed, "judge"),
        "router without calls": lambda seed: routed(seed, "no calls"),
        "router": lambda seed: routed(seed, "router"),
    },
    holds=_routing_pays,
    units={
        "first call runs": "share of answers",
        "useful of all": "share of groups",
        "useful of kept": "share of groups",
    },
)
