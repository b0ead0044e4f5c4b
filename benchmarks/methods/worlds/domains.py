"""Three domains of questions for the tiny language: sums, puzzles that have a sum in them, and lists to be sorted.

    math      a b c d  → a + b
    puzzle    a b c d  → a + b, and whether that is more than c
    sorting   a b c d  → the same from the least to the most

A sum of SIZE is 0 again. Numbers come before the domain, so that one reading of them serves all. A question begins with
one of two templates, which mean nothing.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.worlds.language import END, TinyPolicy, imitate

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
SIZE, LENGTH = 5, 5
"""Numbers that there are, and tokens that an answer has room for."""
MATH, PUZZLE, SORTING = DOMAINS = "math", "puzzle", "sorting"
NUMBER, YES, NO = 1, 1 + SIZE, 2 + SIZE
"""Tokens: the number 0, and verdicts."""
DOMAIN, TEMPLATE, VOCABULARY = 3 + SIZE, 6 + SIZE, 8 + SIZE
"""Tokens: the first of the domains and of the two templates; and how many tokens there are."""


def questions(random: np.random.Generator, number: int, domains: Collection[str], template: int = 0) -> Ints:
    """Questions of domains drawn with equal chances `[n, 6]`: template, four numbers, domain."""
    kind = random.choice([DOMAINS.index(domain) for domain in DOMAINS if domain in domains], number)
    return worded(random.integers(0, SIZE, (number, 4)), kind, template)


def worded(numbers: Ints, kind: Ints | int, template: int) -> Ints:
    """Questions about numbers `[n, 4]`, each of a domain by its place, or all of one `[n, 6]`."""
    first, last = np.full(len(numbers), TEMPLATE + template), np.broadcast_to(DOMAIN + kind, len(numbers))
    return np.column_stack([first, NUMBER + numbers, last])


def answers(asked: Ints) -> Ints:
    """The right answers `[n, LENGTH]`."""
    kind, numbers = asked[:, -1] - DOMAIN, asked[:, 1:-1] - NUMBER
    total = (numbers[:, 0] + numbers[:, 1]) % SIZE
    found = np.full((len(asked), LENGTH), END)
    found[:, 0] = NUMBER + total
    found[:, 1] = np.where(kind == DOMAINS.index(PUZZLE), np.where(total > numbers[:, 2], YES, NO), END)
    sorts = kind == DOMAINS.index(SORTING)
    found[sorts, :4] = NUMBER + np.sort(numbers[sorts], 1)
    return found


def right(asked: Ints, written: Ints) -> Floats:
    """1 where all of an answer is right, 0 elsewhere `[n]`."""
    found: Floats = (written == answers(asked)).all(-1).astype(np.float32)
    return found


def partly(asked: Ints, written: Ints) -> Floats:
    """Share of an answer's places that are right, its END among them `[n]`."""
    wanted = answers(asked)
    there = np.cumsum(wanted == END, 1) <= 1
    found: Floats = (((written == wanted) & there).sum(-1) / there.sum(-1)).astype(np.float32)
    return found


def taught(seed: int, steps: int) -> TinyPolicy:
    """A policy that has seen answers of all domains in both templates, for so many steps."""
    random, policy = np.random.default_rng(1000 + seed), TinyPolicy(VOCABULARY, seed)
    asked = np.concatenate([questions(random, 256, DOMAINS, template) for template in range(2)])
    imitate(policy, asked, answers(asked), steps)
    return policy


def accuracy(policy: TinyPolicy, domain: str, template: int = 0) -> float:
    """Share of all questions of a domain to which the likeliest answer is right."""
    asked = worded(np.indices((SIZE,) * 4).reshape(4, -1).T, DOMAINS.index(domain), template)
    written = policy.write(torch.as_tensor(asked), LENGTH, torch.Generator(), greedy=True).numpy()
    return float(right(asked, written).mean())
