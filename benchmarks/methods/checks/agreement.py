"""Checks of learning from agreement, where nobody knows what is right: sums, and the same sums the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found, Measured
from benchmarks.methods.worlds import arithmetic
from benchmarks.methods.worlds.language import TinyPolicy, Writing, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from rewards.columns import Column
from rewards.sources.agreement import majority_reward

MEMBERS, QUESTIONS = 8, 8
Judge = Literal["other view", "own group", "confidence", "truth"]


def turned(asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """`b + a` for `a + b`: other words for the same question."""
    return asked[:, [3, 4, 2, 0, 1]]


def both_views(random: np.random.Generator, number: int) -> NDArray[np.int64]:
    """Questions, and behind them the same ones turned round."""
    asked = arithmetic.prompts(random, number // 2)
    return np.concatenate([asked, turned(asked)])


def read(writing: Writing) -> NDArray[np.int64]:
    """Each whole completion as a number `[B]`."""
    found: NDArray[np.int64] = writing.completions @ arithmetic.VOCABULARY ** np.arange(writing.completions.shape[1])
    return found


def score(writing: Writing, judge: Judge) -> NDArray[np.floating]:
    """What a completion earns, without knowing what is right (but for `truth`)."""
    if judge == "truth":
        return arithmetic.right(writing)
    if judge == "confidence":
        return (writing.log_probs * writing.mask).sum(-1) / writing.mask.sum(-1)
    answers = read(writing).reshape(-1, MEMBERS)
    voters = np.roll(answers, len(answers) // 2, axis=0) if judge == "other view" else answers
    return majority_reward(answers, voters).reshape(-1)


def learnt(seed: int, judge: Judge) -> Measured:
    """Training a beginner who gets a third of the sums right."""
    policy = arithmetic.beginner(seed)
    before = _tested(policy, seed)["accuracy"]

    def components(writing: Writing) -> Mapping[str, Column]:
        return {"score": Column.full(score(writing, judge))}

    reinforce(
        policy, both_views, components, grpo(), seed, updates=200, groups=2 * QUESTIONS, members=MEMBERS,
        length=arithmetic.LENGTH, rate=1e-3,
    )  # fmt: skip
    return {"before": before, **_tested(policy, seed)}


def _tested(policy: TinyPolicy, seed: int) -> dict[str, float]:
    asked = arithmetic.prompts(np.random.default_rng(10_000 + seed), 512)
    found = write(policy, asked, 1, arithmetic.LENGTH, torch.Generator().manual_seed(seed), greedy=True)
    _, counts = np.unique(read(found), return_counts=True)
    return {"accuracy": float(arithmetic.right(found).mean()), "most frequent answer": float(counts.max() / len(asked))}


def _agreement_of_views_teaches(found: Found) -> bool:
    """More accurate than one's own majority and confidence."""
    return all(found.above("other view", other, "accuracy") for other in ("own group", "confidence"))


CO_REWARD = Check(
    row=70,
    name="cross-view-majority-reward",
    claim="Paid for what most answers to the same sum the other way round say, a beginner becomes more accurate than "
    "paid for the majority of his own group, or for his own confidence.",
    arms={
        "other view": lambda seed: learnt(seed, "other view"),
        "own group": lambda seed: learnt(seed, "own group"),
        "confidence": lambda seed: learnt(seed, "confidence"),
        "truth": lambda seed: learnt(seed, "truth"),
    },
    holds=_agreement_of_views_teaches,
    units={"accuracy": "share of sums", "before": "share of sums", "most frequent answer": "share of answers"},
    seeds=3,
)
