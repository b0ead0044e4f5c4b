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
    a, b = random.integers(0, largest, (2, number))
    return np.stack([DIGIT + a // 10, DIGIT + a % 10, np.full(number, PLUS), DIGIT + b // 10, DIGIT + b % 10], axis=1)


def answers(asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """The right completions `[n, LENGTH]`: digits from the last to the first, so that carries come in their order."""
    digits = asked - DIGIT
    total = digits[:, 0] * 10 + digits[:, 1] + digits[:, 3] * 10 + digits[:, 4]
    found = np.full((len(asked), LENGTH), END)
    for place in range(LENGTH - 1):
        left = total // 10**place
        found[:, place] = np.where((left > 0) | (place == 0), DIGIT + left % 10, END)
    return found


def right(writing: Writing) -> NDArray[np.float32]:
    """1 where the whole answer is right, 0 elsewhere `[B]`."""
    return (writing.completions[:, :LENGTH] == answers(writing.prompts)).all(-1).astype(np.float32)


def correct_digits(writing: Writing) -> NDArray[np.float32]:
    """Share of an answer's places that are right `[B]`."""
    return (writing.completions[:, :LENGTH] == answers(writing.prompts)).mean(-1).astype(np.float32)


def beginner(seed: int, steps: int = 150, largest: int = 20) -> TinyPolicy:
    """A policy that was taught for `steps`: at 150 it gets about a third of the sums below 20 + 20 right."""
    policy = TinyPolicy(VOCABULARY, seed)
    asked = prompts(np.random.default_rng(1000 + seed), 256, largest)
    imitate(policy, asked, answers(asked), steps)
    return policy
