"""Sums for the tiny language: `a + b`, answered by digits, from a policy that half knows them already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate

DIGIT, PLUS, VOCABULARY = 1, 11, 12
"""Token of the digit 0, token of the sign, and how many tokens there are with END."""
LENGTH = 4


def prompts(random: np.random.Generator, number: int, largest: int = 20) -> NDArray[np.int64]:
    """Sums of two numbers below `largest` `[n, 5]`: two digits each, and the sign between."""
    return written(random.integers(0, largest, (2, number)).T)


def written(terms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of numbers below 100 `[n, k]` as prompts `[n, 3k − 1]`."""
    signs = np.full(terms.shape, PLUS)
    return np.stack([DIGIT + terms // 10, DIGIT + terms % 10, signs], axis=-1).reshape(len(terms), -1)[:, :-1]


def value(asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """What sums come to `[n]`."""
    digits = asked - DIGIT
    found: NDArray[np.int64] = (digits[:, 0::3] * 10 + digits[:, 1::3]).sum(axis=1)
    return found


def answers(asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """The right completions `[n, LENGTH]`: digits from the last to the first, so that carries come in their order."""
    total, found = value(asked), np.full((len(asked), LENGTH), END)
    for place in range(LENGTH - 1):
        left = total // 10**place
        found[:, place] = np.where((left > 0) | (place == 0), DIGIT + left % 10, END)
    return found


def said(completions: NDArray[np.int64]) -> NDArray[np.float64]:
    """The number that is written, from its last digit to its first, before the first END; NaN where none is `[n]`."""
    before = np.cumsum(completions == END, axis=1) == 0
    digits = np.where(before, completions - DIGIT, 0)
    number = (digits * 10.0 ** np.arange(completions.shape[1])).sum(axis=1)
    none = ~before[:, 0] | (before & (completions >= PLUS)).any(axis=1)
    return np.where(none, np.nan, number)


def right(writing: Writing) -> NDArray[np.float32]:
    """1 where the whole answer is right, 0 elsewhere `[B]`."""
    found: NDArray[np.float32] = (
        (writing.completions[:, :LENGTH] == answers(writing.prompts)).all(-1).astype(np.float32)
    )
    return found


def correct_digits(writing: Writing) -> NDArray[np.float32]:
    """Share of an answer's places that are right `[B]`."""
    found: NDArray[np.float32] = (
        (writing.completions[:, :LENGTH] == answers(writing.prompts)).mean(-1).astype(np.float32)
    )
    return found


def beginner(seed: int, steps: int = 150, largest: int = 20) -> TinyPolicy:
    """A policy that was taught for `steps`: at 150 it gets about a third of the sums below 20 + 20 right."""
    policy = TinyPolicy(VOCABULARY, seed)
    asked = prompts(np.random.default_rng(1000 + seed), 256, largest)
    imitate(policy, asked, answers(asked), steps)
    return policy
