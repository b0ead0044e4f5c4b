"""How far a world model that generates can be trusted: does it follow, keep to what is possible, stay near, and rank?

    instruction_gain   P(read_i = asked_i) − P(read_i = asked_j), j ≠ i      0 for who does not listen
    violations         share of imagined steps whose residual is beyond the 1 − α quantile of real ones
    drift              mean ‖x̂_t − x_t‖ over rollouts from the same beginning, by step t
    ranking            rank correlation of what policies earn in the model and in the world, and the regret of choosing

What is read of a rollout, and how far a step is from a law, somebody else tells: an inverse dynamics model, a judge, a
balance of energy. Without any law, a residual may be how unlike real ones a discriminator finds a step.

Source: the failures and the use for policy evaluation that Video Generation Models in Robotics (survey, 2026) names;
it has no formulas, these are chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.comparison.correlation import spearman

Floats = NDArray[np.float64]


class Ranking(NamedTuple):
    """How policies are told apart inside of a model.

    Attributes:
        correlation: of ranks; None where all earn the same in either.
        regret: what the best policy truly earns more than the one that is best in the model, at least 0.
    """

    correlation: float | None
    regret: float


def instruction_gain(read: ArrayLike, asked: ArrayLike) -> float:
    """How much more often what was asked is read out of a rollout than what was asked of another one, −1 to 1.

    A model that always shows the same, however often that is what was asked, gains exactly 0.

    Args:
        read: what is read out of each rollout, as numbers of choices `[G]`.
        asked: what was asked of it `[G]`.

    Raises:
        ValueError: shapes that differ, or fewer than two rollouts.
    """
    found, wanted = np.asarray(read), np.asarray(asked)
    if found.ndim != 1 or found.shape != wanted.shape or len(found) < 2:
        raise ValueError(
            f"got read {found.shape} and asked {wanted.shape}; expected the same [G], two rollouts or more"
        )
    same = found[:, None] == wanted[None]
    own = np.eye(len(found), dtype=np.bool_)
    return float(same[own].mean() - same[~own].mean())


def violations(imagined: ArrayLike, real: ArrayLike, alpha: float = 0.01) -> float:
    """Share of imagined steps that are further from a law than all but a share α of real ones; NULL steps do not count.

    Args:
        imagined: residuals of imagined steps, at least 0, of any shape; NaN where NULL.
        real: of real steps, whose noise tells what is no violation.
        alpha: α, in (0, 1).

    Raises:
        ValueError: no step of either that is known, or α out of range.
    """
    made, known = (np.asarray(one, np.float64) for one in (imagined, real))
    made, known = made[~np.isnan(made)], known[~np.isnan(known)]
    if not len(made) or not len(known) or not 0 < alpha < 1:
        raise ValueError(
            f"got {len(made)} imagined and {len(known)} real steps that are known, and alpha={alpha}; expected one at "
            "least of each, and alpha in (0, 1)"
        )
    return float((made > np.quantile(known, 1 - alpha)).mean())


def drift(imagined: ArrayLike, real: ArrayLike) -> Floats:
    """Mean distance of imagined states from real ones after each step `[T]`; NaN where no rollout is that long.

    Args:
        imagined: states of rollouts by the model `[G, T, D]`; NaN behind the end of either.
        real: what the same actions lead to from the same beginning `[G, T, D]`.

    Raises:
        ValueError: shapes that differ.
    """
    made, true = np.asarray(imagined, np.float64), np.asarray(real, np.float64)
    if made.ndim != 3 or made.shape != true.shape:
        raise ValueError(f"got imagined {made.shape} and real {true.shape}; expected the same [G, T, D]")
    apart = np.linalg.norm(made - true, axis=-1)
    there = ~np.isnan(apart)
    total, count = np.where(there, apart, 0.0).sum(0), there.sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def trusted_steps(by_step: ArrayLike, tolerance: float) -> int:
    """For how many steps drift stays within a tolerance; what is not known is not trusted.

    Args:
        by_step: as of `drift` `[T]`.
        tolerance: in the unit of states.
    """
    within = np.asarray(by_step, np.float64) <= tolerance
    return int(within.cumprod().sum())


def ranking(imagined: ArrayLike, real: ArrayLike) -> Ranking:
    """Whether policies that are evaluated inside of the model are ranked as in the world.

    Args:
        imagined: return of each policy in the model `[P]`; of equals, the first is chosen.
        real: in the world `[P]`.

    Raises:
        ValueError: shapes that differ, fewer than two policies, or a return that is not known.
    """
    made, true = np.asarray(imagined, np.float64), np.asarray(real, np.float64)
    if made.ndim != 1 or made.shape != true.shape or len(made) < 2 or not np.isfinite(made + true).all():
        raise ValueError(
            f"got imagined {made.shape} and real {true.shape}; expected the same [P], two at least, all of them known"
        )
    return Ranking(spearman(made, true), float(true.max() - true[made.argmax()]))
