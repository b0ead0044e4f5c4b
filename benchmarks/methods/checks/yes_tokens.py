"""Check of a reward that is the chance of the word "yes": sizes of a model, and what a policy makes of its rewards."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import menu
from benchmarks.methods.worlds.scores import grpo
from benchmarks.methods.worlds.written_verdicts import Writer
from learners.language.reward_losses import bradley_terry
from learners.objectives.nash import win_rates
from learners.objectives.yes_token import comparison_losses, yes_probability
from rewards.columns import Column
from rewards.evaluation.consistency import pairs_in_both_orders

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# --- 73: points in a square, good where they are near one of a few peaks ----------------------------------------------

GRID, PEAKS = 12, 5
POINTS = GRID * GRID
NO, YES, BLANK, COORDINATE = range(4)
"""Words, and the first of the tokens of coordinates: of each axis of either point there are GRID."""
VOCABULARY = COORDINATE + 4 * GRID
SHARP = 1.5
"""Cells by which one point must be nearer to a peak to be preferred with odds of e to 1."""
SIZES = (4, 12, 36)
LEARNT, STEPS, BATCH, TESTED = 20_000, 450, 96, 3000
ROWS, MEMBERS, UPDATES, RATE = 12, 16, 120, 6.0
"""Generators that begin with liking different points, answers of a group, and how long and how fast they learn."""
LATE = 40
"""Updates at the end over which rewards are looked at."""


class Square:
    """A square with peaks, and pairs of its points."""

    def __init__(self, seed: int) -> None:
        """Peaks from `seed`, each in a ninth of the square of its own."""
        self.random = np.random.default_rng(seed)
        self.cells = np.stack(np.divmod(np.arange(POINTS), GRID), 1)
        ninths = np.stack(np.divmod(self.random.permutation(9)[:PEAKS], 3), 1)
        self.peaks = 4 * ninths + self.random.integers(1, 3, (PEAKS, 2))
        self.far = np.linalg.norm(self.cells[:, None] - self.peaks, axis=-1)

    @property
    def worth(self) -> Floats:
        """Of each point `[POINTS]`."""
        found: Floats = -self.far.min(1) / SHARP
        return found

    def pairs(self, number: int) -> tuple[Ints, Ints]:
        """Pairs of points of different worth, in any order `[n]` twice."""
        one, other = self.random.integers(0, POINTS, (2, 2 * number))
        kept = np.flatnonzero(self.worth[one] != self.worth[other])[:number]
        return one[kept], other[kept]

    def covered(self, chances: Floats) -> float:
        """How many peaks are gone to, as many as would make the entropy over them if all were alike."""
        near = self.far <= SHARP
        mass = np.where(near, chances[:, None], 0.0).sum(0)
        share = mass / max(float(mass.sum()), 1e-9)
        return float(np.exp(-(share * np.log(np.maximum(share, 1e-12))).sum()))


class PointJudge(Writer):
    """A small transformer that reads one point or two, and of whose next word two are looked at."""

    def __init__(self, square: Square, hidden: int, seed: int) -> None:
        """Random weights, from `seed`."""
        super().__init__(seed, VOCABULARY, 4, hidden)
        self._tokens = torch.as_tensor(COORDINATE + square.cells + [0, GRID])

    def next_word(self, one: Ints, other: Ints | None) -> Tensor:
        """Logits of the next word after points `[n, V]`, the second of which may be left out."""
        first = self._tokens[one]
        second = torch.full_like(first, BLANK) if other is None else self._tokens[other] + 2 * GRID
        read = torch.cat([first, second], 1)
        return self.logits(read, read[:, :1])[:, 0]

    def score(self, one: Ints) -> Tensor:
        """The logit of "yes" after a point alone `[n]`: a score by the same weights."""
        return self.next_word(one, None)[:, YES]


def fitted(square: Square, hidden: int, yes: bool, seed: int) -> PointJudge:
    """Taught with pairs in both orders by the word "yes" or "no", or with scores by Bradley-Terry."""
    judge, random = PointJudge(square, hidden, seed), np.random.default_rng(1000 + seed)
    one, other = square.pairs(LEARNT)
    first = random.random(LEARNT) < 1 / (1 + np.exp(square.worth[other] - square.worth[one]))
    optimiser = torch.optim.Adam(judge.parameters(), 5e-3)
    for _ in range(STEPS):
        rows = random.integers(0, LEARNT, BATCH)
        a, b, better = one[rows], other[rows], first[rows]
        if yes:
            labels = torch.as_tensor(np.concatenate([better, ~better]))
            words = judge.next_word(np.concatenate([a, b]), np.concatenate([b, a]))
            loss = comparison_losses(words, labels, YES, NO).mean()
        else:
            loss = bradley_terry(judge.score(np.where(better, a, b)), judge.score(np.where(better, b, a))).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return judge


@torch.no_grad()
def preferences(judge: PointJudge, yes: bool) -> Tensor:
    """How likely each point is said to beat each other one `[POINTS, POINTS]`."""
    every = np.arange(POINTS)
    if not yes:
        scores = judge.score(every)
        return torch.sigmoid(scores[:, None] - scores[None, :])
    one, other = np.repeat(every, POINTS), np.tile(every, POINTS)
    return yes_probability(judge.next_word(one, other), YES, NO).view(POINTS, POINTS)


def generated(square: Square, preferred: Tensor, seed: int) -> tuple[Floats, float]:
    """Chances of each point, mean over the generators, and the late deviation of rewards within groups.

    The reward is how likely a point is said to beat the best of its group, the one that wins most against the others.
    """
    deviations: list[float] = []

    def judged(prompt: Ints, picked: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        at = torch.as_tensor(picked).view(ROWS, MEMBERS)
        among = preferred[at[:, :, None], at[:, None, :]]
        best = win_rates(among).argmax(1)
        rewards = among[torch.arange(ROWS), :, best]
        deviations.append(float(rewards.std(1).mean()))
        return {"score": Column.full(rewards.flatten().numpy())}

    start = np.random.default_rng(3000 + seed).normal(size=(ROWS, POINTS))
    chances = menu.trained(start, judged, grpo(), seed, UPDATES, ROWS, MEMBERS, rate=RATE)
    return chances.mean(0), float(np.mean(deviations[-LATE:]))


def said(seed: int, hidden: int, yes: bool) -> Mapping[str, float]:
    """How often a reward model of a size is right, and what a generator makes of its rewards.

    Args:
        seed: of everything.
        hidden: width of the model.
        yes: whether the reward is the chance of "yes", with a reference; else a score by Bradley-Terry.
    """
    square = Square(seed)
    preferred = preferences(fitted(square, hidden, yes, seed), yes)
    one, other = square.pairs(TESTED)
    better = square.worth[one] > square.worth[other]
    found = preferred.double().numpy()
    asked = pairs_in_both_orders(
        found[np.where(better, one, other), np.where(better, other, one)],
        found[np.where(better, other, one), np.where(better, one, other)],
    )
    chances, deviation = generated(square, preferred, seed)
    return {
        "right": ((asked.better_first.value or 0.0) + (asked.better_second.value or 0.0)) / 2,
        "liking of what is asked about": asked.shift or 0.0,
        "late deviation of rewards": deviation,
        "peaks covered": square.covered(chances),
        "cells from the next peak": float(chances @ square.far.min(1)),
    }


def _scales(found: Found) -> bool:
    """Right more often with each size, no less than Bradley-Terry at the largest, and rewards that keep telling."""
    small, middle, large = (f"yes, {size}" for size in SIZES)
    lead = found.difference(large, f"Bradley-Terry, {SIZES[-1]}", "right")
    return (
        found.above(middle, small, "right")
        and found.above(large, middle, "right")
        and (lead.low or 0.0) > -0.01
        and found.above(large, small, "late deviation of rewards")
        and found.above(large, small, "peaks covered")
    )


REWARD_DANCE = Check(
    row=73,
    name="generative-yes-probability-rm",
    claim="Of pairs of points near several peaks a reward model that says yes or no is right more often the larger it "
    "is (4, 12, 36 wide), at the largest size at most 0.01 less often than Bradley-Terry by the same weights; and "
    "generators that are trained by it have rewards that differ more in the end, and go to more peaks, with the "
    "largest than with the smallest.",
    arms={
        **{f"yes, {size}": partial(said, hidden=size, yes=True) for size in SIZES},
        **{f"Bradley-Terry, {size}": partial(said, hidden=size, yes=False) for size in SIZES},
    },
    holds=_scales,
    units={"right": "share of pairs", "liking of what is asked about": "probability", "peaks covered": "of 5 peaks"},
)
