"""Checks of rewards for answers with a form of their own: JSON, paid step by step, and rankings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce, write
from benchmarks.methods.worlds.menu import Floats
from benchmarks.methods.worlds.scores import grpo
from rewards.columns import Column
from rewards.sources.structured_output import Structured, structured_output
from rewards.verifiers.ranking import multi_view_ranking, ndcg

Ints = NDArray[np.int64]

# --- 179: JSON -------------------------------------------------------------------------------------------------------

DIGITS, KEYS = 4, ("a", "b", "c")
PIECES = ["", *map(str, range(DIGITS)), '"a":', '"b":', '"c":', "{", "}", ",", "x"]
"""What each token says; END says nothing."""
OPEN, CLOSE, COMMA = PIECES.index("{"), PIECES.index("}"), PIECES.index(",")
LENGTH = 12


def values(random: np.random.Generator, number: int) -> Ints:
    """Three digits that are to be the values of three keys, as tokens `[n, 3]`."""
    return 1 + random.integers(0, DIGITS, (number, len(KEYS)))


def objects(asked: Ints, random: np.random.Generator, noise: float) -> Ints:
    """The wanted objects, with a share `noise` of tokens replaced by any `[n, LENGTH]`."""
    found = np.full((len(asked), LENGTH), END)
    for row, (a, b, c) in enumerate(asked):
        found[row, :11] = [OPEN, 5, a, COMMA, 6, b, COMMA, 7, c, CLOSE, END]
    wrong = (random.random(found.shape) < noise) & (found != END)
    return np.where(wrong, random.integers(1, len(PIECES), found.shape), found)


def scores(writing: Writing) -> list[Structured]:
    """Of each completion."""
    found = []
    for asked, said, mask in zip(writing.prompts, writing.completions, writing.mask, strict=True):
        text = "".join(PIECES[token] for token in said[mask])
        wanted: dict[str, Any] = {key: int(value) - 1 for key, value in zip(KEYS, asked, strict=True)}
        found.append(structured_output(text, wanted))
    return found


@cache
def scribe(seed: int) -> TinyPolicy:
    """A policy that was taught on few examples with faults; it may not be trained."""
    random, policy = np.random.default_rng(1000 + seed), TinyPolicy(len(PIECES), seed)
    asked = values(random, 60)
    imitate(policy, asked, objects(asked, random, 0.25), 70)
    return policy


def written(seed: int, reward: str, updates: int = 120) -> Mapping[str, float]:
    """How much of what is written is JSON, and right; and when each half of it was reached.

    Args:
        seed: of everything.
        reward: "none": as taught; "exact": 1 where all is right; "decomposed": the weighted sum of four scores.
        updates: gradient steps.
    """
    policy, curves = deepcopy(scribe(seed)), {"valid": [0.0], "correct": [0.0]}

    def judged(writing: Writing) -> Mapping[str, Column]:
        found = scores(writing)
        curves["valid"].append(float(np.mean([one.valid for one in found])))
        curves["correct"].append(float(np.mean([one.correct for one in found])))
        paid = [one.total() if reward == "decomposed" else float(min(one) == 1) for one in found]
        return {"score": Column.full(paid)}

    if reward != "none":
        reinforce(policy, values, judged, grpo(), seed, updates, groups=12, length=LENGTH)
    tested = values(np.random.default_rng(9000 + seed), 100)
    found = scores(write(policy, tested, 4, LENGTH, torch.Generator().manual_seed(seed)))
    soon = {name: next((k for k, v in enumerate(curve) if v >= 0.7), updates) for name, curve in curves.items()}
    return {
        "valid": float(np.mean([one.valid for one in found])),
        "correct": float(np.mean([one.correct for one in found])),
        "all right": float(np.mean([min(one) == 1 for one in found])),
        "updates to 0.7 valid": float(soon["valid"]),
        "updates to 0.7 correct": float(soon["correct"]),
    }


RL_STRUCT = Check(
    row=179,
    name="structured-output-reward",
    claim="From a policy that was taught JSON on few examples, four scores that are paid each bring more valid JSON "
    "and more right values than it had, and than being exactly right or not; validity is reached no later than "
    "content.",
    arms={how: partial(written, reward=how) for how in ("none", "exact", "decomposed")},
    holds=lambda found: (
        all(found.above("decomposed", o, m) for o in ("none", "exact") for m in ("valid", "correct"))
        and found.mean("decomposed", "updates to 0.7 valid") <= found.mean("decomposed", "updates to 0.7 correct")
    ),
    units={"valid": "share of answers", "correct": "share of values"},
)

# --- 187: rankings ---------------------------------------------------------------------------------------------------

ITEMS, FEATURES, TOP = 20, 6, 10


def rankers(seed: int, several: bool, updates: int = 150, lists: int = 8, members: int = 8) -> Mapping[str, float]:
    """NDCG of a linear ranker that learns from its own sampled orders.

    Args:
        seed: of items and sampling.
        several: whether recall and overlap with the better order are paid too; else NDCG alone.
        updates: batches.
        lists: of each.
        members: orders of each list.
    """
    random = np.random.default_rng(seed)
    truth = random.normal(size=FEATURES)
    names = [f"item{number}" for number in range(ITEMS)]
    theta, curve, apart = np.zeros(FEATURES), [], []

    def drawn(random: np.random.Generator) -> tuple[Floats, dict[str, float], list[str]]:
        shown = random.normal(size=(ITEMS, FEATURES))
        worth = shown @ truth + 0.3 * random.normal(size=ITEMS)
        order = [names[k] for k in np.argsort(-worth)]
        return shown, {name: float(name in order[:3]) for name in names}, order

    for _ in range(updates):
        step = np.zeros(FEATURES)
        for _ in range(lists):
            shown, relevance, order = drawn(random)
            logits = shown @ theta
            rewards, slopes = [], []
            for _ in range(members):
                ranked = np.argsort(-(logits + random.gumbel(size=ITEMS)))  # Plackett and Luce
                text = json.dumps([names[k] for k in ranked])
                gain = ndcg(text, relevance, TOP)
                curve.append(gain or 0.0)
                paid = multi_view_ranking(text, relevance, order, TOP) if several else gain
                rewards.append(paid or 0.0)
                left = np.exp(logits[ranked] - logits.max())
                below = left[::-1].cumsum()[::-1]  # of those that are still to be placed
                mean = (left[:, None] * shown[ranked])[::-1].cumsum(0)[::-1] / below[:, None]
                slopes.append((shown[ranked] - mean).sum(0))
            gains = np.array(rewards)
            apart.append(float(len(set(np.round(gains, 9))) / members))
            if gains.std() > 0:
                step += ((gains - gains.mean()) / gains.std()) @ np.array(slopes) / (lists * members)
        theta += 0.02 * step
    test = np.random.default_rng(9000 + seed)
    final = []
    for _ in range(200):
        shown, relevance, _ = drawn(test)
        final.append(ndcg(json.dumps([names[k] for k in np.argsort(-(shown @ theta))]), relevance, TOP) or 0.0)
    return {
        "NDCG at the end": float(np.mean(final)),
        "NDCG on the way": float(np.mean(curve)),
        "different rewards in a group": float(np.mean(apart)),
    }


REASON_RANK = Check(
    row=187,
    name="multi-view-ranking-reward",
    claim="A ranker that is also paid for recall and for its overlap with the better order has a higher NDCG on the "
    "way and at the end than one that is paid for NDCG alone, and more different rewards within a group.",
    arms={
        "NDCG": lambda seed: rankers(seed, several=False),
        "several views": lambda seed: rankers(seed, several=True),
    },
    holds=lambda found: all(
        found.above("several views", "NDCG", measure)
        for measure in ("NDCG on the way", "NDCG at the end", "different rewards in a group")
    ),
    units={"different rewards in a group": "share of members"},
    seeds=10,
)
