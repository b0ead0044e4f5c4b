"""Check of what weak signals teach, by how well a policy fits its task before: a way to the answer, then the answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found, Measured
from benchmarks.methods.worlds import forms
from benchmarks.methods.worlds.forms import Field, Form
from rewards.columns import Column
from rewards.evaluation.alignment_probe import AlignmentProbe, alignment_probe
from rewards.sources.agreement import majority_reward
from rewards.sources.spurious import inverted, random_rewards
from rewards.views.view import Config, RewardView

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Recipe = Literal["correct", "random", "inverted", "majority", "one example", "wrong answers alone"]
RECIPES: tuple[Recipe, ...] = ("correct", "random", "inverted", "majority", "one example", "wrong answers alone")

QUESTIONS, ANSWERS, MEMBERS, TRIES, UPDATES = 12, 20, 8, 64, 400
"""Questions, answers to each, answers of a group, answers that pass@k is told from, and batches."""
FITS, DOES_NOT = (5.0, 1.5, 0.0), (-1.0, -1.0, -1.0)
"""Logit of the right answer after each way to it, above that of any other: of a policy with one good way among three,
and of one that has none."""
RIGHT = np.arange(QUESTIONS) % ANSWERS
GRPO: list[dict[str, Any]] = [
    {"part": "weighted_sum", "coefficients": {"score": 1.0}},
    {"part": "group_relative", "preset": "grpo", "of": "reward"},
]
WRONG_ALONE: list[dict[str, Any]] = [
    GRPO[0],
    {**GRPO[1], "to": "relative"},
    {"part": "gate", "of": "relative", "by": "wrong", "least": 0.5, "to": "advantage"},
]


def policy(known: tuple[float, ...]) -> Form:
    """All ways are as likely, whatever is asked; what the answer is depends on the way and the question."""
    ways = len(known)
    knowledge = np.zeros((QUESTIONS, ways, ANSWERS))
    knowledge[np.arange(QUESTIONS), :, RIGHT] = known
    return Form(
        [
            Field(ways, 1, lambda question, filled: np.zeros_like(question)),
            Field(
                ANSWERS,
                QUESTIONS * ways,
                lambda question, filled: question * ways + filled[:, 0],
                knowledge.reshape(-1, ANSWERS),
            ),
        ]
    )


def right(question: Ints, filled: Ints) -> Floats:
    """1 where the answer is right `[B]`."""
    found: Floats = (filled[:, 1] == RIGHT[question]).astype(np.float64)
    return found


def answered(form: Form, seed: int) -> Floats:
    """Whether answers to all questions but the first are right; that is the one of the one example."""
    asked = np.repeat(np.arange(1, QUESTIONS), TRIES)
    return right(asked, form.filled(asked, np.random.default_rng(9000 + seed))).reshape(-1, TRIES)


def trained(seed: int, known: tuple[float, ...], recipe: Recipe) -> Form:
    """The policy after GRPO with a reward, or a choice of what is learnt from."""
    alone = recipe == "wrong answers alone"

    def judged(question: Ints, filled: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        truth = right(question, filled)
        score = truth
        if recipe == "random":
            score = random_rewards(len(truth), random)
        elif recipe == "inverted":
            score = inverted(truth)
        elif recipe == "majority":
            score = majority_reward(filled[:, 1].reshape(-1, MEMBERS)).ravel()
        return {"score": Column.full(score), **({"wrong": Column.full(inverted(truth))} if alone else {})}

    levels = {"score": "episode", **({"wrong": "episode"} if alone else {})}
    parts = WRONG_ALONE if alone else GRPO
    view = RewardView(Config.model_validate({"name": "answers", "components": levels, "parts": parts}))
    questions = 1 if recipe == "one example" else QUESTIONS
    return forms.trained(policy(known), questions, judged, view, seed, UPDATES, members=MEMBERS)


@cache
def probed(seed: int, known: tuple[float, ...]) -> AlignmentProbe:
    """What each recipe makes of one policy."""
    after: dict[str, Floats] = {recipe: answered(trained(seed, known, recipe), seed) for recipe in RECIPES}
    return alignment_probe(answered(policy(known), seed), after, reference="correct", ks=(1, 16))


def gained(seed: int, known: tuple[float, ...], recipe: Recipe) -> Measured:
    """What is gained, and what was known before."""
    found = probed(seed, known)
    values = {"gain": found.gain[recipe], **{f"pass@{k} before": value for k, value in found.before.items()}}
    return {name: float("nan") if value is None else value for name, value in values.items()}


WEAK: tuple[Recipe, ...] = ("random", "one example", "wrong answers alone")
POLICIES = {"fits": FITS, "does not fit": DOES_NOT}


def _weak_signals_teach_who_knows(found: Found) -> bool:
    def gains(arm: str) -> bool:
        return found.interval(arm, "gain")[0] > 0

    return (
        found.interval("fits, correct", "pass@16 before")[0] > 0.9
        and found.interval("does not fit, correct", "pass@16 before")[1] < 0.4
        and gains("fits, correct")
        and gains("does not fit, correct")
        and all(gains(f"fits, {recipe}") for recipe in WEAK)
        and not any(gains(f"does not fit, {recipe}") for recipe in WEAK)
    )


ALIGNMENT = Check(
    row=79,
    name="model-task-alignment-probe",
    claim="With a pass@16 above 0.9, random rewards, one example and wrong answers alone all raise accuracy on other "
    "questions, as the correct reward does; with one below 0.4 the correct reward alone does.",
    arms={
        f"{name}, {recipe}": partial(gained, known=known, recipe=recipe)
        for name, known in POLICIES.items()
        for recipe in RECIPES
    },
    holds=_weak_signals_teach_who_knows,
    units={
        "gain": "share of answers",
        "pass@1 before": "share of answers",
        "pass@16 before": "chance of a right one",
    },
)
