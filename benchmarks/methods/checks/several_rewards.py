"""Checks of sums, products, limits and fronts of several rewards, on a menu of answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds.menu import Floats, trained, view
from rewards.columns import Column
from rewards.views.layout import Level

Part = Mapping[str, Any]
TWO: Mapping[str, Level] = {"a": "episode", "b": "episode"}
GRPO: Part = {"part": "group_relative", "preset": "grpo", "of": "reward"}
DR_GRPO: Part = {"part": "group_relative", "preset": "dr_grpo", "of": "reward"}


def equal_sum(weight: float = 0.5) -> Part:
    """The plain sum, a times `weight` and b times the rest."""
    return {"part": "weighted_sum", "coefficients": {"a": weight, "b": 1 - weight}}


def of_table(seed: int, table: Floats, *parts: Part, noise: float = 0.0, **settings: Any) -> Floats:
    """Chances `[P, A]` after training on two rewards from a table `[P, A, 2]`."""

    def judged(
        prompt: NDArray[np.int64], picked: NDArray[np.int64], random: np.random.Generator
    ) -> Mapping[str, Column]:
        found = table[prompt, picked] + random.normal(0, noise, (len(picked), 2)) if noise else table[prompt, picked]
        return {"a": Column.full(found[:, 0]), "b": Column.full(found[:, 1])}

    return trained(settings.pop("start", np.zeros(table.shape[:2])), judged, view(TWO, *parts), seed, **settings)


def expected(chances: Floats, table: Floats) -> Floats:
    """Mean of each reward over prompts `[2]`."""
    found: Floats = (chances[..., None] * table).sum(1).mean(0)
    return found


# --- 88 and 122: what has to be there together ---


def edits(seed: int) -> Floats:
    """Execution and consistency `[8, 5, 2]`: doing nothing keeps everything, and every edit costs some of it."""
    random = np.random.default_rng(seed)
    execution = np.array([0.0, 0.2, 0.5, 0.7, 0.9])
    kept = np.array([1.0, 0.7, 0.4, 0.2, 0.05])  # no edit is worth its consistency in an equal sum
    table = np.stack(np.broadcast_arrays(execution, kept), -1) + random.normal(0, 0.02, (8, 5, 2))
    table[:, 0, 0] = 0.0
    return np.clip(table, 0, 1)


def edited(seed: int, *parts: Part) -> Mapping[str, float]:
    """What a policy that can leave everything as it is has learnt to do."""
    table = edits(seed)
    chances = of_table(seed, table, *parts)
    done, kept = expected(chances, table)
    return {"execution": float(done), "consistency": float(kept), "nothing done": float(chances[:, 0].mean())}


FIRM = Check(
    row=88,
    name="base-and-bonus",
    claim="Where doing nothing keeps everything, an equal sum of execution and consistency learns to do nothing in "
    "more than half of all cases; with consistency as a bonus on execution it is less than one in ten, and execution "
    "is higher.",
    arms={
        "equal sum": lambda seed: edited(seed, equal_sum(), GRPO),
        "base and bonus": lambda seed: edited(
            seed, {"part": "base_and_bonus", "preset": "cme", "of": ["a", "b"]}, GRPO
        ),
    },
    holds=lambda found: (
        found.interval("equal sum", "nothing done")[0] > 0.5
        and found.interval("base and bonus", "nothing done")[1] < 0.1
        and found.above("base and bonus", "equal sum", "execution")
    ),
    units={"nothing done": "share of answers"},
)


def pushes(seed: int) -> Floats:
    """Nearness and alignment `[8, 6, 2]`: two ways to have all of one and nothing of the other, and four with both."""
    random = np.random.default_rng(seed)
    kinds = np.array([[1.0, 0.0], [0.0, 1.0], [0.3, 0.3], [0.4, 0.5], [0.45, 0.45], [0.5, 0.4]])
    return np.clip(kinds + random.normal(0, 0.03, (8, 6, 2)) * (kinds > 0), 0, 1)


def pushed(seed: int, *parts: Part) -> Mapping[str, float]:
    """Goals, which take both, and how often one component alone is lived on."""
    table = pushes(seed)
    chances = of_table(seed, table, *parts)
    goals = (chances * table.prod(-1)).sum(1).mean()
    return {"goals": float(goals), "one component alone": float(chances[:, :2].sum(1).mean())}


KRC = Check(
    row=122,
    name="kinesthetic-reward-combination",
    claim="Where a goal takes nearness and alignment together, their geometric mean gives more goals than their sum, "
    "and a policy lives on one of them alone less often.",
    arms={
        "sum": lambda seed: pushed(seed, equal_sum(), GRPO),
        "geometric mean": lambda seed: pushed(
            seed, {"part": "geometric_mean", "preset": "krc", "of": ["a", "b"]}, GRPO
        ),
    },
    holds=lambda found: (
        found.above("geometric mean", "sum", "goals") and found.below("geometric mean", "sum", "one component alone")
    ),
    units={"goals": "share of answers", "one component alone": "share of answers"},
)


# --- 174 and 206: rewards of different spread, and rewards that pull apart ---


def spread(seed: int) -> Floats:
    """A calm reward around 1 and a wild one from 0 up `[8, 6, 2]`, which have nothing to do with each other."""
    random = np.random.default_rng(seed)
    return np.stack([1 + 0.05 * random.normal(size=(8, 6)), random.lognormal(0.0, 1.0, (8, 6))], -1)


def balanced(seed: int, *parts: Part) -> Mapping[str, float]:
    """The worse of both rewards after training, between the worst answer's (0) and the best one's (1)."""
    table = spread(seed)
    low, high = table.min(1, keepdims=True), table.max(1, keepdims=True)
    calm, wild = expected(of_table(seed, table, *parts), (table - low) / (high - low))
    return {"worse of both": float(min(calm, wild)), "calm": float(calm), "wild": float(wild)}


PACO = Check(
    row=174,
    name="log-tamed-aggregation",
    claim="Of a calm and a wild reward, the one that a policy serves worse ends higher where the wild one is damped by "
    "a logarithm than in the plain sum.",
    arms={
        "sum": lambda seed: balanced(seed, equal_sum(), GRPO),
        "log-tamed": lambda seed: balanced(
            seed, {"part": "log_tamed", "preset": "paco", "of": ["a", "b"], "weights": [0.5, 0.5]}, GRPO
        ),
        "decoupled": lambda seed: balanced(
            seed, equal_sum(), {"part": "decoupled", "preset": "gdpo", "coefficients": {"a": 1.0, "b": 1.0}}
        ),
    },
    holds=lambda found: found.above("log-tamed", "sum", "worse of both"),
    seeds=10,
)


def pulled(seed: int) -> Floats:
    """Two rewards that pull apart, and answers that are fair in both `[8, 6, 2]`."""
    random = np.random.default_rng(seed)
    kinds = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 0.8], [0.45, 0.45], [0.5, 0.4], [0.1, 0.1]])
    return np.clip(kinds + random.normal(0, 0.03, (8, 6, 2)), 0, 1)


def each(of: str) -> Part:
    """The group-relative advantage of one reward."""
    return {"part": "group_relative", "preset": "grpo", "of": of, "to": f"gain_{of}"}


def both(seed: int, *parts: Part) -> Mapping[str, float]:
    """Both rewards after training, and the worse one."""
    table = pulled(seed)
    one, two = expected(of_table(seed, table, *parts), table)
    return {"worse of both": float(min(one, two)), "a": float(one), "b": float(two)}


PAMA = Check(
    row=206,
    name="pama-min-norm-advantage",
    claim="Of two rewards that pull apart, the worse one ends higher with the min-norm advantage than with the sum of "
    "both.",
    arms={
        "sum": lambda seed: both(seed, equal_sum(), GRPO),
        "min-norm": lambda seed: both(
            seed, equal_sum(), each("a"), each("b"), {"part": "min_norm", "preset": "mgda", "of": ["gain_a", "gain_b"]}
        ),
        "PAMA": lambda seed: both(
            seed, equal_sum(), each("a"), each("b"), {"part": "min_norm", "preset": "pama", "of": ["gain_a", "gain_b"]}
        ),
    },
    holds=lambda found: found.above("PAMA", "sum", "worse of both"),
)


# --- 171: from the front only ---

PARROT = Check(
    row=171,
    name="batch-pareto-selection",
    claim="Learning from non-dominated answers only, the worse of two rewards that pull apart ends no lower than with "
    "the sum of both from all answers, and no reward falls below 0.1.",
    arms={
        "all answers": lambda seed: both(seed, equal_sum(), GRPO),
        "front": lambda seed: both(
            seed,
            equal_sum(),
            {"part": "decoupled", "coefficients": {"a": 1.0, "b": 1.0}},
            {"part": "pareto_front", "preset": "parrot", "rewards": ["a", "b"]},
        ),
    },
    holds=lambda found: (
        (found.difference("front", "all answers", "worse of both").low or 0.0) > -0.02
        and found.interval("front", "worse of both")[0] > 0.1
    ),
)


# --- 188: proxies that are true up to a point ---

POINTS = (0.4, 0.5)
"""Beyond which a proxy is no longer true."""


def proxies(seed: int, *parts: Part) -> Mapping[str, float]:
    """True worth at its best and at the end, of two correlated proxies that stop being true at POINTS."""
    random = np.random.default_rng(seed)
    common = random.random((8, 10))
    table = np.clip(np.stack([common, common], -1) + random.normal(0, 0.1, (8, 10, 2)), 0, 1)
    points = np.array(POINTS)
    curve: list[float] = []

    def true(chances: Floats) -> float:
        reached = expected(chances, table)
        return float((reached - 2.5 * np.maximum(reached - points, 0)).sum())

    chances = of_table(
        seed, table, *parts, updates=1500, rate=0.5, on_update=lambda chances: curve.append(true(chances))
    )
    reached = expected(chances, table)
    return {"true at its best": max(curve), "true at the end": true(chances), "beyond": float((reached - points).max())}


def limited(preset: str, rate: float) -> Part:
    """Two proxies under limits; the main reward, their mean turned round, stands for what leads back."""
    return {
        "part": "lagrangian",
        "preset": preset,
        "of": "back",
        "limits": dict(zip("ab", POINTS, strict=True)),
        "rate": rate,
    }


CONSTRAINED = Check(
    row=188,
    name="constrained-reward-lagrangian",
    claim="Of two correlated proxies that are true up to a point, a fixed sum ends below its best true worth by more "
    "than 0.1; held to the points by multipliers, the proxies end within 0.1 of them and the true worth higher.",
    arms={
        "fixed sum": lambda seed: proxies(seed, equal_sum(), DR_GRPO),
        "ξ-PPO": lambda seed: proxies(
            seed,
            {"part": "weighted_sum", "coefficients": {"a": -0.1, "b": -0.1}, "to": "back"},
            limited("xi_ppo", 0.1),
            DR_GRPO,
        ),
        "μ-PPO": lambda seed: proxies(
            seed,
            {"part": "weighted_sum", "coefficients": {"a": -0.5, "b": -0.5}, "to": "back"},
            limited("mu_ppo", 0.1),
            DR_GRPO,
        ),
    },
    holds=lambda found: (
        found.mean("fixed sum", "true at its best") - found.mean("fixed sum", "true at the end") > 0.1
        and all(found.above(arm, "fixed sum", "true at the end") for arm in ("ξ-PPO", "μ-PPO"))
        and all(found.interval(arm, "beyond")[1] < 0.1 for arm in ("ξ-PPO", "μ-PPO"))
    ),
)
