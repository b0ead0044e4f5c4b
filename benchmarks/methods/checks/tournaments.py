"""Checks of tournaments: what ranks members of a group well for few comparisons, and what a policy learns from it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds.menu import trained, view
from rewards.columns import Column
from rewards.judges.judge import Answer, Question, question
from rewards.judges.kinds.tournament import Tournament, TournamentJudge
from rewards.verdicts import Status

Ints = NDArray[np.int64]
How = Literal["points", "anchor", "single_elimination", "round_robin"]
NOISE, SPREAD, GROUP = 0.15, 0.3, 8
"""Of a judgement, of a pair or alone; how far answers are apart; members of a group."""


class Matches:
    """A judge of pairs of qualities, with noise."""

    fingerprint = "matches"

    def __init__(self, seed: int) -> None:
        """Noise from `seed`."""
        self._random, self.asked = np.random.default_rng(seed), 0

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """How likely the first is the better one."""
        self.asked += len(questions)
        apart = [float(one.texts[0]) - float(one.texts[1]) for one in questions]
        margins = np.array(apart) + self._random.normal(0, NOISE, len(apart))
        return [Answer(Status.OK, float(chance)) for chance in 1 / (1 + np.exp(-margins / 0.1))]

    async def check(self) -> None:
        """It is there."""


def scores(values: NDArray[np.float64], how: How, seed: int) -> tuple[NDArray[np.float64], int]:
    """Scores of one group, and how many judgements they took."""
    if how == "points":
        return values + np.random.default_rng(seed).normal(0, NOISE, len(values)), len(values)
    judge = Matches(seed)
    rubric = Tournament.model_validate(
        {"id": "t", "version": 1, "kind": "tournament", "match": {"judge": "m"}, "topology": how}
    )
    texts = [f"{value:.9f}" for value in values]
    (answer,) = asyncio.run(TournamentJudge(rubric, judge).judge([question("group", texts)]))
    return np.array(answer.scores, np.float64), judge.asked


def ranked(seed: int, how: How, groups: int = 60, updates: int = 60) -> Mapping[str, float]:
    """How well groups are ranked, and how good a policy's answers are after learning from such scores.

    Args:
        seed: of qualities and noise.
        how: the scores.
        groups: that are ranked.
        updates: of the policy.
    """
    random = np.random.default_rng(seed)
    found, asked = [], 0
    for number in range(groups):
        values = SPREAD * random.random(GROUP)
        made, number_asked = scores(values, how, 1000 * seed + number)
        found.append(spearmanr(made, values).statistic)
        asked += number_asked
    quality = SPREAD * random.random((8, 12))
    count = [0]

    def judged(prompt: Ints, picked: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        made = []
        for group in quality[prompt, picked].reshape(-1, GROUP):
            count[0] += 1
            made.append(scores(group + 1e-6 * random.random(GROUP), how, 100_000 * (1 + seed) + count[0])[0])
        return {"score": Column.full(np.concatenate(made))}

    parts = (
        {"part": "weighted_sum", "coefficients": {"score": 1.0}},
        {"part": "group_relative", "preset": "grpo", "of": "reward"},
    )
    chances = trained(np.zeros(quality.shape), judged, view({"score": "episode"}, *parts), seed, updates=updates)
    best, mean = quality.max(1), quality.mean(1)
    gained = ((chances * quality).sum(1) - mean) / (best - mean)
    return {
        "rank correlation": float(np.mean(found)),
        "judgements a group": asked / groups,
        "quality gained": float(gained.mean()),
    }


ARENA = Check(
    row=17,
    name="tournament-group-reward",
    claim="Of groups of eight whose answers are close, single elimination ranks within 0.05 of a round robin with "
    "half as many judgements, and better than comparisons with one anchor and than scores given alone; a policy "
    "that learns from its ranks gains more than from those scores.",
    arms={
        "points": lambda seed: ranked(seed, "points"),
        "anchor": lambda seed: ranked(seed, "anchor"),
        "single elimination": lambda seed: ranked(seed, "single_elimination"),
        "round robin": lambda seed: ranked(seed, "round_robin"),
    },
    holds=lambda found: (
        found.mean("round robin", "rank correlation") - found.mean("single elimination", "rank correlation") < 0.05
        and found.above("single elimination", "anchor", "rank correlation")
        and found.above("single elimination", "points", "rank correlation")
        and found.above("single elimination", "points", "quality gained")
    ),
    units={"quality gained": "share of the way from the mean to the best"},
)
