"""Check of a reward model that knows more than the policy, and of what facts keep a policy from learning."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import TinyPolicy, Writing, mask_of, reinforce, write
from benchmarks.methods.worlds.principles import in_order, taught
from benchmarks.methods.worlds.scenes import (
    CELLS,
    FACTS,
    LENGTH,
    THINGS,
    Described,
    Floats,
    Ints,
    Scenes,
    conditions,
    described,
    descriptions,
    guesser,
)
from learners.language.reward_losses import bradley_terry
from rewards.columns import Column
from rewards.models.conditioned_reward import ConditionedReward
from rewards.views.view import Config, RewardView

PAIRS, TESTED, UPDATES, SMOOTH = 3000, 1000, 80, 10
"""Pairs that teach, pairs that test, updates of the policy, and batches that a point of a curve is the mean of."""
DETAIL, SURE = 0.2, 2.0
"""What people like a word for being there, where a true claim is worth 1 and a false one −1; and how sure they are."""


def preferred(random: np.random.Generator, found: Described, lengths: Ints) -> Floats:
    """By how much people like the first answer of each pair more, chance and all `[P]`."""
    worth = (found.right - found.wrong + DETAIL * lengths).reshape(-1, 2)
    return SURE * (worth[:, 0] - worth[:, 1]) + random.logistic(size=len(worth))


def read(writing: Writing, found: Described) -> Tensor:
    """Features of answers: their claims, and how long they are `[B, CELLS · THINGS + 1]`."""
    return torch.as_tensor(np.column_stack([found.claimed, writing.length / LENGTH]), dtype=torch.float32)


@cache
def reference(seed: int) -> TinyPolicy:
    """Where all arms of a seed begin."""
    return guesser(seed)


class RewardModel:
    """A reward of descriptions by what is seen of the scene and, perhaps, by what is in it."""

    def __init__(self, seed: int, facts: bool, witnesses: bool) -> None:
        """Teach it with pairs of the reference's answers, of which a witness has written every other one, or none."""
        self._facts = facts
        self._model = ConditionedReward(CELLS * THINGS + 1, FACTS, seed=seed)
        answers, known, told, _ = self._pairs(seed, 20_000 + seed, PAIRS, witnesses)
        first = torch.as_tensor(told > 0)[:, None, None]
        better = torch.where(first, answers, answers.flip(1))

        def loss(rows: Tensor) -> Tensor:
            scores = self._model(better[rows], known[rows])
            return bradley_terry(scores[:, 0], scores[:, 1])

        taught(self._model, loss, PAIRS, seed, steps=500, batch=64)
        answers, known, _, gaps = self._pairs(seed, 30_000 + seed, TESTED, witnesses=False)
        with torch.no_grad():
            right = in_order(self._model(answers, known), gaps)
        self.right = float(right[gaps != 0].mean())

    def _pairs(self, seed: int, drawn: int, number: int, witnesses: bool) -> tuple[Tensor, Tensor, Floats, Ints]:
        """Two answers `[P, 2, F]` to each prompt, conditions, what people say, and which has more truth `[P]`."""
        random, scenes = np.random.default_rng(drawn), Scenes()
        shown = scenes(random, number)
        writing = write(reference(seed), shown, 2, LENGTH, torch.Generator().manual_seed(drawn))
        if witnesses:
            told = descriptions(random, writing.prompts, scenes.last[writing.group], witness=True)
            words = np.where(random.random((len(told), 1)) < 0.5, told, writing.completions)
            writing = replace(writing, completions=words, mask=mask_of(torch.as_tensor(words)).numpy())
        found = described(writing, scenes.last)
        liked = preferred(random, found, writing.length)
        truth = (found.right - found.wrong).reshape(-1, 2)
        known = torch.as_tensor(conditions(writing, scenes.last, self._facts)[::2, None], dtype=torch.float32)
        return read(writing, found).view(number, 2, -1), known, liked, truth[:, 0] - truth[:, 1]

    @torch.no_grad()
    def scores(self, writing: Writing, found: Described, scenes: Ints) -> Floats:
        """Of completions `[B]`."""
        known = torch.as_tensor(conditions(writing, scenes, self._facts), dtype=torch.float32)
        paid: Floats = self._model(read(writing, found), known).double().numpy()
        return paid


@cache
def reward_model(seed: int, facts: bool, witnesses: bool) -> RewardModel:
    """One for all arms that have such a model."""
    return RewardModel(seed, facts, witnesses)


def smooth(curve: list[float]) -> NDArray[np.float64]:
    """Means of neighbouring batches."""
    return np.convolve(curve, np.full(SMOOTH, 1 / SMOOTH), mode="valid")


def described_for(
    seed: int, facts: bool, witnesses: bool = True, wrong: float = 0.0, length: float = 0.0
) -> Mapping[str, float]:
    """What a policy claims that learns from a reward model.

    Args:
        seed: of everything.
        facts: whether the model is told what is in each cell.
        witnesses: whether half of the answers that taught the model were written by somebody who saw all of the scene.
        wrong: a_c, price of a false claim about the first cell, the label of which is known.
        length: a_l, price of the full length.
    """
    model, scenes = reward_model(seed, facts, witnesses), Scenes()
    scores, truths, shares = [], [], []
    spread = 0.0

    def components(writing: Writing) -> Mapping[str, Column]:
        nonlocal spread
        found = described(writing, scenes.last)
        score = model.scores(writing, found, scenes.last)
        spread = spread or float(score.std())
        scores.append(float(score.mean()))
        truths.append(float((found.right - found.wrong).mean()))
        shares.append(found.hallucinated)
        of_first = (found.claimed & ~found.true)[:, :THINGS].any(1)
        return {
            "score": Column.full(score),
            "wrong": Column.full(of_first.astype(np.float64)),
            "length": Column.full(writing.length / LENGTH),
        }

    weights = {"score": 1.0, "wrong": -wrong, "length": -length}
    parts = [
        {"part": "weighted_sum", "coefficients": weights},
        {"part": "group_relative", "preset": "grpo", "of": "reward"},
    ]
    view = {"name": "facts", "components": dict.fromkeys(weights, "episode"), "parts": parts}
    policy = copy.deepcopy(reference(seed))
    reinforce(
        policy,
        scenes,
        components,
        RewardView(Config.model_validate(view)),
        seed,
        updates=UPDATES,
        length=LENGTH,
    )
    risen, truth, share = smooth(scores), smooth(truths), smooth(shares)
    reached = np.flatnonzero(risen >= scores[0] + spread)
    best = int(truth.argmax())
    shown = scenes(np.random.default_rng(40_000 + seed), 512)
    last = write(policy, shown, 2, LENGTH, torch.Generator().manual_seed(seed))
    found = described(last, scenes.last)
    return {
        "right, of new pairs": model.right,
        "hallucinated, one deviation up": float(share[reached[0] if len(reached) else -1]),
        "hallucinated at the end": found.hallucinated,
        "true claims": float(found.right.mean()),
        "words": float(last.length.mean()),
        "batches until truth is best": float(best),
        "truth lost since": float(truth[best] - truth[-1]),
    }


def _facts_keep_it_honest(found: Found) -> bool:
    """Fewer hallucinated claims than without, at the same rise of the score and at the end; and hacked later."""
    one, other = "with facts", "without"
    return (
        found.below(one, other, "hallucinated, one deviation up")
        and found.below(one, other, "hallucinated at the end")
        and found.above(one, other, "batches until truth is best")
    )


FACT_RLHF = Check(
    row=210,
    name="fact-augmented-rm",
    claim="Of scenes that a policy sees half of, where witnesses of the whole wrote half of the answers that taught "
    "its reward model, fewer of its claims are hallucinated when the model is told what there is than when it sees no "
    "more than the policy, both when the score has risen by one deviation of the first answers and at the end; and the "
    "truth of its claims is at its best later.",
    arms={
        "without": lambda seed: described_for(seed, facts=False),
        "with facts": lambda seed: described_for(seed, facts=True),
        "with facts and symbolic terms": lambda seed: described_for(seed, facts=True, wrong=2.0, length=2.0),
        "without, pairs by the policy": lambda seed: described_for(seed, facts=False, witnesses=False),
        "with facts, pairs by the policy": lambda seed: described_for(seed, facts=True, witnesses=False),
    },
    holds=_facts_keep_it_honest,
    units={
        "right, of new pairs": "share of pairs",
        "hallucinated, one deviation up": "share of claims",
        "hallucinated at the end": "share of claims",
        "words": "words",
        "batches until truth is best": "batches",
    },
)
