"""What more answers bring: accuracy by tokens of a proposer and a verifier, from one set of answers for all methods.

    oracle    a right answer is among n                      pass@n
    best      the answer that a verifier scores highest      best-of-n
    majority  the answer that was given most often           self-consistency

Each is an expectation over which n of the K answers were given, so that curves of methods differ by the method and not
by luck. Scores of steps become one number of a path by their last, least, mean or product. A verifier that knows
nothing chooses as one answer does; what it is above that is what it knows.

Source: Liu et al. 2025, "Bag of Tricks for Inference-time Computation of LLM Reasoning": methods at equal budgets, and
what the reward is. Beam search, the best of n at each step and tree search ask as they go on: `actors.search`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.evaluation.accuracy import best_of_n
from rewards.evaluation.pass_at_k import pass_at_k_of
from rewards.sources.agreement import majority

Floats = NDArray[np.float64]
OfSteps = Literal["last", "least", "mean", "product"]


@dataclass(frozen=True)
class AtBudget:
    """Accuracy with n answers a problem; None where no problem has as many.

    Attributes:
        answers: n.
        tokens: what they cost, the mean over problems.
        oracle: pass@n.
        best: of the answer that the verifier prefers.
        majority: of the answer given most often.
    """

    answers: int
    tokens: float
    oracle: float | None
    best: float | None
    majority: float | None


def path_scores(steps: ArrayLike, how: OfSteps) -> Floats:
    """One score of each path from those of its steps `[…]`; NaN of a path without steps.

    Args:
        steps: scores in order, NaN behind the end of a path `[…, S]`; products and means are of those that are there.
        how: which.

    Raises:
        ValueError: a way that there is not, or a NaN between steps.
    """
    scores = np.asarray(steps, np.float64)
    there = ~np.isnan(scores)
    if (there[..., 1:] & ~there[..., :-1]).any():
        raise ValueError("got NaN between the steps of a path; expected it behind the last step alone")
    count = there.sum(-1)
    if how == "last":
        found = np.take_along_axis(scores, np.maximum(count - 1, 0)[..., None], -1)[..., 0]
    elif how == "least":
        found = np.where(there, scores, np.inf).min(-1)
    elif how == "mean":
        found = np.where(there, scores, 0.0).sum(-1) / np.maximum(count, 1)
    elif how == "product":
        found = np.where(there, scores, 1.0).prod(-1)
    else:
        raise ValueError(f"got {how!r}; expected one of {get_args(OfSteps)}")
    return np.where(count > 0, found, np.nan)


def majority_of_n(answers: ArrayLike, right: ArrayLike, n: int, random: np.random.Generator, draws: int = 4) -> float:
    """Accuracy of the most frequent of n answers, mean over problems; a tie is decided by chance.

    The n are neighbours in a circle of all K in random order, from each place once: so each answer is drawn as often as
    another, and one answer, or two, are exactly as accurate as a single sample.

    Args:
        answers: as numbers, `rewards.sources.agreement.NONE` where there is none `[P, K]`.
        right: 1 where one is right, else 0 `[P, K]`; equal answers are equally right.
        n: from 1 to K.
        random: of the orders.
        draws: orders for each problem.

    Raises:
        ValueError: shapes that differ, n outside of 1 to K, or no order.
    """
    given, truth = np.asarray(answers, np.int64), np.asarray(right, np.float64)
    if given.ndim != 2 or given.shape != truth.shape or not 1 <= n <= given.shape[1] or draws < 1:
        raise ValueError(
            f"got answers {given.shape}, right {truth.shape}, n={n} and draws={draws}; expected both [P, K], n from 1 "
            "to K, and at least one order"
        )
    problems, k = given.shape
    circle = (np.arange(k)[:, None] + np.arange(n)) % k
    order = np.argsort(random.random((problems, draws, k)), axis=-1)[..., circle].reshape(-1, n)
    row = np.repeat(np.arange(problems), draws * k)[:, None]
    chosen = majority(given[row, order])
    worth = (truth[row, order] * (given[row, order] == chosen[:, None])).max(axis=1)
    return float(worth.mean())


def accuracy_by_budget(
    answers: ArrayLike,
    right: ArrayLike,
    scores: ArrayLike,
    tokens: ArrayLike,
    sizes: Sequence[int],
    random: np.random.Generator,
) -> list[AtBudget]:
    """The three methods with more and more answers.

    Args:
        answers: of each problem, as numbers `[P, K]`.
        right: 1 where one is right, else 0 `[P, K]`.
        scores: of the verifier, NaN where it failed: such an answer is not chosen from `[P, K]`.
        tokens: that each answer took `[P, K]`.
        sizes: n, each from 1 to K.
        random: of the orders for the majority.

    Raises:
        ValueError: shapes that differ, or n outside of 1 to K.
    """
    truth, judged, cost = (np.asarray(values, np.float64) for values in (right, scores, tokens))
    if not truth.shape == judged.shape == cost.shape:
        raise ValueError(f"got right {truth.shape}, scores {judged.shape}, tokens {cost.shape}; expected all [P, K]")
    return [
        AtBudget(
            answers=n,
            tokens=n * float(cost.mean()),
            oracle=pass_at_k_of(truth, n),
            best=best_of_n(judged.tolist(), truth.tolist(), n),
            majority=majority_of_n(answers, truth, n, random),
        )
        for n in sizes
    ]
