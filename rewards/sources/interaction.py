"""CoMAS: agents that discuss a question reward each other, and nobody else is asked.

One solves, one looks for flaws of the solution, and a third scores what the two have said, from 1 (a fatal flaw was
found) to 3 (it is right, and the evaluation found nothing). Solver and evaluator play for the same 1; the scorer is
neutral, as long as its score can be read:

    r(s_i, e_ij) = (τ_ij − 1) / 2        r(e_ij) = 1 − r(s_i, e_ij)        r(τ_ij) = 0, or −1 where it cannot be read

Whose score cannot be read has said nothing of the pair: both rewards are NULL. Each agent learns from its own rows, of
all roles, by REINFORCE++ (`reinforce_plus_plus`, and `Kl` paid in the reward).

Source: CoMAS, Co-Evolving Multi-Agent Systems via Interaction Rewards (Xue et al. 2025). Chosen here: the mean where a
solution is evaluated more than once, and NULL where its released code has 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Interaction(NamedTuple):
    """What is earned; NaN where it is not known.

    Attributes:
        solution: by each solution, the mean of its pairs `[S]`.
        pair: by each solution against each of its evaluations `[S, E]`.
        evaluation: by each evaluation, what its solution does not earn `[S, E]`.
        scoring: by each score `[S, E]`.
    """

    solution: Floats
    pair: Floats
    evaluation: Floats
    scoring: Floats


def interaction_rewards(scores: ArrayLike, there: ArrayLike | None = None, highest: float = 3.0) -> Interaction:
    """Rewards of solvers, evaluators and scorers.

    Args:
        scores: τ of each solution with each of its evaluations, from 1 to `highest`; NaN where what a scorer wrote
            cannot be read `[S, E]`.
        there: which evaluations there are, where solutions have unequally many `[S, E]`; None: all.
        highest: the best score.

    Raises:
        ValueError: shapes that do not fit, or a score out of its range.
    """
    given = np.asarray(scores, np.float64)
    asked = np.ones(given.shape, np.bool_) if there is None else np.asarray(there, np.bool_)
    if given.ndim != 2 or asked.shape != given.shape or not highest > 1:
        raise ValueError(
            f"got scores {given.shape}, of which {asked.shape} are there, up to {highest}; expected [S, E] twice, and "
            "a highest score above 1"
        )
    read = asked & ~np.isnan(given)
    if ((given[read] < 1) | (given[read] > highest)).any():
        raise ValueError(f"got scores from {given[read].min()} to {given[read].max()}; expected 1 to {highest}, or NaN")
    pair = np.where(read, (given - 1.0) / (highest - 1.0), np.nan)
    count = read.sum(1)
    solution = np.where(count > 0, np.where(read, pair, 0.0).sum(1) / np.maximum(count, 1), np.nan)
    return Interaction(solution, pair, 1.0 - pair, np.where(asked, np.where(read, 0.0, -1.0), np.nan))
