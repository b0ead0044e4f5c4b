"""Checks of learning from agreement, where nobody knows what is right: questions, and the same ones in other words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found, Measured
from benchmarks.methods.worlds.forms import Field, Form, trained
from benchmarks.methods.worlds.menu import Floats, softmax, view
from rewards.columns import Column
from rewards.sources.agreement import majority_reward

MEMBERS, QUESTIONS, ANSWERS = 8, 40, 6
Judge = Literal["other view", "own group", "confidence", "truth"]
Ints = NDArray[np.int64]


def learnt(seed: int, judge: Judge, updates: int = 600) -> Measured:
    """Training a beginner who knows something of each question, and errs in other ways when it is put in other words.

    A form holds an answer to a question and one to the same question in other words; each has logits of its own, so
    what carries over from one to the other is what the judge carries over.

    Args:
        seed: of everything.
        judge: who says what an answer is worth.
        updates: batches.
    """
    random = np.random.default_rng(seed)
    truth = random.integers(0, ANSWERS, QUESTIONS)
    known = 1.2 * np.eye(ANSWERS)[truth]
    fields = [Field(ANSWERS, QUESTIONS, start=known + random.normal(size=known.shape)) for _ in range(2)]
    form = Form(fields)
    before = accuracy(form, truth)

    def judged(prompt: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        groups = forms.reshape(-1, MEMBERS, 2)
        found: Floats = np.zeros(groups.shape)
        for side in (0, 1):
            answers, others = groups[..., side], groups[..., 1 - side]
            if judge == "truth":
                found[..., side] = answers == truth[prompt].reshape(-1, MEMBERS)
            elif judge == "confidence":
                found[..., side] = form.log_probs(prompt, forms)[:, side].reshape(-1, MEMBERS)
            else:
                found[..., side] = majority_reward(answers, others if judge == "other view" else answers)
        return {"score": Column.full(found.reshape(-1, 2).ravel())}

    parts = (
        {"part": "scale", "of": "score", "factor": 1.0, "to": "reward"},
        {"part": "position_relative", "preset": "tp_grpo", "of": "reward"},
    )
    trained(form, QUESTIONS, judged, view({"score": "step"}, *parts), seed, updates, members=MEMBERS, rate=1.0)
    modes = np.stack([softmax(logits).argmax(-1) for logits in form.logits])
    return {
        "before": before,
        "accuracy": accuracy(form, truth),
        "views that agree": float((modes[0] == modes[1]).mean()),
        "most frequent answer": float(np.bincount(modes.ravel()).max() / modes.size),
    }


def accuracy(form: Form, truth: Ints) -> float:
    """Chance of the right answer, over questions and both views."""
    return float(np.mean([softmax(logits)[np.arange(len(truth)), truth].mean() for logits in form.logits]))


def _agreement_of_views_teaches(found: Found) -> bool:
    """More accurate than one's own majority and confidence."""
    return all(found.above("other view", other, "accuracy") for other in ("own group", "confidence"))


CO_REWARD = Check(
    row=70,
    name="cross-view-majority-reward",
    claim="Paid for what most answers to the same question in other words say, a beginner becomes more accurate than "
    "paid for the majority of his own group, or for his own confidence.",
    arms={
        "other view": lambda seed: learnt(seed, "other view"),
        "own group": lambda seed: learnt(seed, "own group"),
        "confidence": lambda seed: learnt(seed, "confidence"),
        "truth": lambda seed: learnt(seed, "truth"),
    },
    holds=_agreement_of_views_teaches,
    units={"accuracy": "share of answers", "before": "share of answers", "most frequent answer": "share of answers"},
    seeds=10,
)
