"""From easy to hard: which examples a model is taught with, as teaching goes on.

At a share p of the steps, batches are drawn from the easiest max(c₀, √(c₀² + p (1 − c₀²))) of the examples: much is
added at first, and less later, when each new one is harder. With c₀ = 1 all are drawn from at all times, in any order.

Source: competence and its square root as in Platanios et al. 2019 (Competence-based Curriculum Learning); as how
reward models of several aspects are taught, RESTL (Fang et al. 2025), of which no schedule is known here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray


def competence(progress: float, first: float = 0.1) -> float:
    """Share of the examples that are drawn from.

    Args:
        progress: p, share of the steps that are done, 0 to 1.
        first: c₀, share at the beginning, above 0 and at most 1.

    Raises:
        ValueError: a share that is none.
    """
    if not 0 <= progress <= 1 or not 0 < first <= 1:
        raise ValueError(f"got progress={progress} and first={first}; expected 0 to 1, and above 0 and at most 1")
    return math.sqrt(first**2 + progress * (1 - first**2))


def batches(
    difficulty: ArrayLike, steps: int, batch: int, random: np.random.Generator, first: float = 0.1
) -> Iterator[NDArray[np.int64]]:
    """Examples of each step, drawn with replacement from the easiest ones `[batch]`.

    Args:
        difficulty: of each example `[N]`; of equals the earlier ones are the easier.
        steps: how many.
        batch: examples of a step.
        random: draws.
        first: c₀; 1 is no curriculum.

    Raises:
        ValueError: no examples, or a difficulty that is not known.
    """
    hard = np.asarray(difficulty, np.float64)
    if hard.ndim != 1 or not len(hard) or np.isnan(hard).any():
        raise ValueError(f"got difficulties {hard.shape}; expected [N], one or more, all of them known")
    order = np.argsort(hard, kind="stable")
    for step in range(steps):
        known = math.ceil(competence(step / max(steps - 1, 1), first) * len(order))
        yield order[random.integers(0, known, batch)]
