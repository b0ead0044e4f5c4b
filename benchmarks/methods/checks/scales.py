"""Checks of scales: of tasks, of rewards that saturate, of zones, and of references, on a menu of answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.menu import Floats, softmax, trained, view
from rewards.columns import Column
from rewards.views.layout import Layout, Level

Part = Mapping[str, Any]
Ints = NDArray[np.int64]
SUM: Part = {"part": "weighted_sum", "coefficients": {"score": 1.0}}
GRPO: Part = {"part": "group_relative", "preset": "grpo", "of": "reward"}
DR_GRPO: Part = {"part": "group_relative", "preset": "dr_grpo", "of": "reward"}
BATCH: Part = {"part": "group_relative", "preset": "reinforce_pp", "of": "reward"}

# --- 213 and 205: tasks with units of their own ---


def tasks(seed: int, units: tuple[float, ...]) -> tuple[Floats, Ints]:
    """Rewards of 12 prompts `[12, 6]`, prompt p of task p % tasks, each task in its unit; and the tasks."""
    task = np.arange(12) % len(units)
    return np.random.default_rng(seed).random((12, 6)) * np.array(units)[task][:, None], task


def over_tasks(seed: int, units: tuple[float, ...], *parts: Part, updates: int = 60) -> Mapping[str, float]:
    """How far the worst and the best served task have come, between the mean answer (0) and the best one (1)."""
    table, task = tasks(seed, units)
    made = view({"score": "episode", "task": "episode"}, *parts)

    def judged(prompt: Ints, picked: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        return {"score": Column.full(table[prompt, picked]), "task": Column.full(task[prompt])}

    chances = trained(np.zeros(table.shape), judged, made, seed, updates=updates, rate=4.0)
    mean, best = table.mean(1), table.max(1)
    gain = ((chances * table).sum(1) - mean) / (best - mean)
    each = [float(gain[task == k].mean()) for k in range(len(units))]
    return {"worst served task": min(each), "best served task": max(each)}


ONE_THINKER = Check(
    row=213,
    name="ema-grpo-advantage",
    claim="With two tasks whose rewards differ by ten in size, the worse served one comes further with the scale of "
    "the task than with no scale.",
    arms={
        "Dr. GRPO": lambda seed: over_tasks(
            seed, (0.5, 0.05), {"part": "scale", "of": "task", "factor": 0.0, "to": "none"}, SUM, DR_GRPO
        ),
        "GRPO": lambda seed: over_tasks(
            seed, (0.5, 0.05), {"part": "scale", "of": "task", "factor": 0.0, "to": "none"}, SUM, GRPO
        ),
        "EMA-GRPO": lambda seed: over_tasks(
            seed, (0.5, 0.05), SUM, {"part": "task_relative", "preset": "ema_grpo", "of": "reward"}
        ),
    },
    holds=lambda found: found.above("EMA-GRPO", "Dr. GRPO", "worst served task"),
)


def quartiles(seed: int, units: tuple[float, ...]) -> dict[int, tuple[float, ...]]:
    """Of each task, what the first policy gets: it picks with equal chances."""
    table, task = tasks(seed, units)
    return {k: tuple(np.percentile(table[task == k], (25, 50, 75))) for k in range(len(units))}


MEDICAL = (0.01, 0.5, 10.0)

MED_GRPO = Check(
    row=205,
    name="median-logistic-reward-normalization",
    claim="With rewards of three tasks in units of 0.01, 0.5 and 10, normalised over the batch, the worst served task "
    "comes further with quartile-logistic rewards than with raw ones, by more than 0.2 of the way.",
    arms={
        "raw": lambda seed: over_tasks(
            seed, MEDICAL, {"part": "scale", "of": "task", "factor": 0.0, "to": "none"}, SUM, BATCH, updates=200
        ),
        "quartile-logistic": lambda seed: over_tasks(
            seed,
            MEDICAL,
            {"part": "quartile_logistic", "of": "score", "quartiles": quartiles(seed, MEDICAL), "to": "reward"},
            BATCH,
            updates=200,
        ),
    },
    holds=lambda found: found.above("quartile-logistic", "raw", "worst served task", by=0.2),
)


# --- 12: a proxy whose upper tail is wrong ---

NEAR = 0.1
"""Price of a nat of leaving the first policy, the same for all rewards, as in RLHF."""


def hackable(seed: int, *parts: Part, steps: int = 400, rate: float = 0.5) -> Mapping[str, float]:
    """Gold and proxy after long training on a proxy that is right but for a few rare answers with a heavy tail.

    Each step is a natural gradient over all answers, so that nothing depends on what was sampled; it ends at
    π ∝ π₀ exp(r / NEAR). A reward without a bound outweighs the price of leaving the first policy for whatever is at
    its upper end; a bounded one does not, where what is rare gains little over what is good and common.
    """
    random = np.random.default_rng(seed)
    prompts, answers = 16, 24
    gold = random.normal(size=(prompts, answers))
    proxy = gold + 0.3 * random.normal(size=gold.shape)
    hacks = random.random(gold.shape) < 0.15
    gold = np.where(hacks, -1.0, gold)
    proxy = np.where(hacks, 2.5 + 1.5 * random.standard_exponential(gold.shape), proxy)
    logits = np.where(hacks, -4.0, 0.0)  # what hacks is rare at first
    first = softmax(logits)
    names = tuple(f"ref{k}" for k in range(4))
    levels: dict[str, Level] = {"score": "episode", "kl": "episode", **{name: "group" for name in names}}
    drawn = [(first.cumsum(1) > random.random((prompts, 1))).argmax(1) for _ in names]
    known = {name: Column.full(proxy[np.arange(prompts), one]) for name, one in zip(names, drawn, strict=True)}
    layout = Layout.of(np.ones(gold.size), np.repeat(np.arange(prompts), answers))
    kept: Part = {"part": "reference_relative", "preset": "par", "references": names, "of": "score", "to": "par"}
    priced: Part = {"part": "weighted_sum", "coefficients": {"shaped": 1.0, "kl": -NEAR}}
    made = view(levels, kept, *parts, priced, DR_GRPO)
    curve: list[float] = []
    for _ in range(steps):
        chances = softmax(logits)
        curve.append(float((chances * gold).sum(1).mean()))
        apart = np.log(np.maximum(chances, 1e-300) / first)
        found = {"score": Column.full(proxy.ravel()), "kl": Column.full(apart.ravel())} | known
        advantage = made.apply(found, layout).advantage
        if advantage is None:
            raise ValueError("got a view without an advantage; expected one that writes it")
        logits = logits + rate * advantage.values.reshape(gold.shape)
    chances = softmax(logits)
    return {
        "gold at its best": max(curve),
        "gold at the end": curve[-1],
        "proxy over the first policy": float(((chances - first) * proxy).sum(1).mean()),
        "hacks": float((chances * hacks).sum(1).mean()),
    }


def shaped(part: str, of: str = "score", **settings: Any) -> Part:
    """One part from the score to what is learnt from."""
    return {"part": part, "of": of, "to": "shaped", **settings}


PAR = Check(
    row=12,
    name="preference-as-reward",
    claim="After long training on a proxy with a heavy wrong tail, at the same price of leaving the first policy, gold "
    "reward ends within 0.1 of its best with the preference over the first policy's answers as the reward, and falls "
    "by more than 0.3 with the proxy itself, normalised or clipped.",
    arms={
        "proxy": lambda seed: hackable(seed, shaped("scale", factor=1.0)),
        "normalised": lambda seed: hackable(seed, shaped("normalise", centre=True)),
        "clipped": lambda seed: hackable(seed, shaped("clip", low=-5.0, high=5.0)),
        "PAR": lambda seed: hackable(seed, shaped("scale", of="par", factor=1.0)),
    },
    holds=lambda found: (
        found.mean("PAR", "gold at its best") - found.mean("PAR", "gold at the end") < 0.1
        and all(
            found.mean(arm, "gold at its best") - found.mean(arm, "gold at the end") > 0.3
            for arm in ("proxy", "normalised", "clipped")
        )
    ),
    units={"hacks": "share of answers"},
)


# --- 29: zones around a target ---


def pointing(seed: int, *parts: Part) -> Mapping[str, float]:
    """How often a click hits its target, on the way and at the end; nearness is measured with noise."""
    random = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(np.arange(7), np.arange(7)), -1).reshape(-1, 2)
    target = random.integers(0, 49, 8)
    far = np.linalg.norm(places[None] - places[target][:, None], axis=-1)
    near = np.exp(-(far**2) / (2 * 2.0**2))
    curve: list[float] = []

    def judged(prompt: Ints, picked: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        hit = picked == target[prompt]
        seen = near[prompt, picked] + random.normal(0, 0.08, len(picked)) * ~hit
        return {"hit": Column.full(hit), "near": Column.full(np.minimum(seen, 0.99 + hit))}

    made = view({"hit": "episode", "near": "episode"}, *parts)
    chances = trained(
        np.zeros((8, 49)),
        judged,
        made,
        seed,
        updates=250,
        on_update=lambda c: curve.append(float(c[np.arange(8), target].mean())),
    )
    return {"hits on the way": float(np.mean(curve)), "hits": float(chances[np.arange(8), target].mean())}


def ssl(zones: int) -> Part:
    """Zones of nearness."""
    return {"part": "tiers", "of": "near", "zones": zones, "to": "zone"}


BOTH: Part = {"part": "weighted_sum", "coefficients": {"hit": 1.0, "zone": 1.0}}

SSL = Check(
    row=29,
    name="sweet-spot-tiered-reward",
    claim="With nearness in four zones beside the hit itself, a click finds its target more often on the way than with "
    "the hit alone, and than with nearness as it is measured, with noise.",
    arms={
        "hit alone": lambda seed: pointing(seed, ssl(1), BOTH, GRPO),
        "two zones": lambda seed: pointing(seed, ssl(2), BOTH, GRPO),
        "four zones": lambda seed: pointing(seed, ssl(4), BOTH, GRPO),
        "eight zones": lambda seed: pointing(seed, ssl(8), BOTH, GRPO),
        "nearness": lambda seed: pointing(
            seed, {"part": "weighted_sum", "coefficients": {"hit": 1.0, "near": 1.0}}, GRPO
        ),
    },
    holds=lambda found: all(found.above("four zones", other, "hits on the way") for other in ("hit alone", "nearness")),
    seeds=5,
    units={"hits": "share of clicks", "hits on the way": "share of clicks"},
)


# --- 228: a judge of single answers that likes length, and one of pairs ---


def written(seed: int, duel: bool) -> Mapping[str, float]:
    """Quality and length after training, by scores of a judge that likes length or by duels of one that does not."""
    random = np.random.default_rng(seed)
    quality, length = random.random((8, 12)), random.random((8, 12))
    levels: dict[str, Level] = {"score": "episode", "preferred": "episode"}
    last: Part = {"part": "reference_duel", "preset": "brpo"} if duel else GRPO

    def judged(prompt: Ints, picked: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        members = len(prompt) // 8
        drawn = np.repeat(np.arange(8) * members + random.integers(0, members, 8), members)
        apart = quality[prompt, picked] - quality[prompt, picked[drawn]] + random.normal(0, 0.1, len(prompt))
        others = np.arange(len(prompt)) != drawn
        votes = Column((apart > 0).astype(np.float32), others)
        return {"score": Column.full((quality + 2 * length)[prompt, picked]), "preferred": votes}

    unused: Part = {"part": "scale", "of": "preferred", "factor": 1.0, "to": "kept"}
    chances = trained(np.zeros((8, 12)), judged, view(levels, unused, SUM, last), seed, updates=400)
    return {"quality": float((chances * quality).sum(1).mean()), "length": float((chances * length).sum(1).mean())}


BRPO = Check(
    row=228,
    name="bootstrapped-relative-policy-optimization",
    claim="By duels with one of their own group, answers end better and shorter than by scores of a judge that likes "
    "length.",
    arms={"GRPO on scores": lambda seed: written(seed, False), "BRPO": lambda seed: written(seed, True)},
    holds=lambda found: (
        found.above("BRPO", "GRPO on scores", "quality") and found.below("BRPO", "GRPO on scores", "length")
    ),
)


# --- 7 and 216: a rule where it knows, a judge elsewhere ---


def routed(seed: int, first: tuple[str, ...]) -> Mapping[str, float]:
    """True worth of answers to prompts that a rule can verify, and to those that it cannot, after training."""
    random = np.random.default_rng(seed)
    true = random.random((12, 8))
    verifiable = np.arange(12) % 2 == 0
    right = (true >= np.sort(true, 1)[:, -2:-1]).astype(float)  # the two best are right
    biased = 0.4 * true + 0.6 * random.random((12, 8))

    def judged(prompt: Ints, picked: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        known = verifiable[prompt]
        rule = Column(np.where(known, right[prompt, picked], np.nan), known)
        return {"rule": rule, "judge": Column.full(biased[prompt, picked])}

    levels: dict[str, Level] = {"rule": "episode", "judge": "episode"}
    spare: Part = {"part": "weighted_sum", "coefficients": {"rule": 1.0, "judge": 1.0}, "to": "spare"}
    made = view(levels, spare, {"part": "first_known", "of": first, "to": "reward"}, GRPO)
    chances = trained(np.zeros((12, 8)), judged, made, seed, updates=300)
    worth = (chances * true).sum(1)
    return {
        "worth": float(worth.mean()),
        "worth, verifiable": float(worth[verifiable].mean()),
        "worth, open": float(worth[~verifiable].mean()),
    }


def _routing_wins(found: Found) -> bool:
    return all(found.above("rule, else judge", other, "worth") for other in ("rule alone", "judge alone"))


ROUTES = {
    "rule alone": lambda seed: routed(seed, ("rule",)),
    "judge alone": lambda seed: routed(seed, ("judge",)),
    "rule, else judge": lambda seed: routed(seed, ("rule", "judge")),
}

HARMO = Check(
    row=7,
    name="hybrid-multi-aspect-reward",
    claim="With a rule where it can verify and a judge elsewhere, answers are worth more over all prompts than with "
    "the judge for all, and than with the rule alone.",
    arms=ROUTES,
    holds=_routing_wins,
)
