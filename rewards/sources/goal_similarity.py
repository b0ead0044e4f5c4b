"""How near what is seen is to a goal in words, by embeddings of both in one space."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def goal_baseline(seen: ArrayLike, goals: ArrayLike, baselines: ArrayLike, alpha: float = 0.5) -> Floats:
    """1 − ½ ‖(x − g) P‖² with P = α dᵀd / ‖d‖² + (1 − α) I and d = g − b, `[...]`.

    What is seen is compared with the goal along the line from a baseline ("a room") to the goal ("a tidy room"), the
    more so the larger α is: what else there is to be seen counts for less. With α = 0 and one goal it is the cosine;
    with α = 1 only the coordinate along d counts.

    Source: VLM-RM, Vision-Language Models are Zero-Shot Reward Models for RL (Rocamonde et al. 2023), Definition 1; of
    several prompts the mean of their unit embeddings is taken.

    Args:
        seen: embeddings of what is seen `[..., D]`, of any length but 0.
        goals: embeddings of what is wished for `[P, D]`, or `[D]`.
        baselines: of the usual state, the same.
        alpha: of the regularisation, 0 to 1.

    Raises:
        ValueError: shapes or alpha that do not fit, an embedding of zeros, or a baseline that is the goal.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"got alpha {alpha}; expected 0 to 1")
    x, goal, baseline = _unit(seen), _prompt(goals), _prompt(baselines)
    if not x.shape[-1] == len(goal) == len(baseline):
        raise ValueError(f"got embeddings of {x.shape[-1]}, {len(goal)} and {len(baseline)} numbers; expected the same")
    way, off = goal - baseline, x - goal
    length = float(way @ way)
    if length < 1e-12:
        raise ValueError("got a baseline that is the goal; expected one that says less")
    along = (off @ way)[..., None] * way / length
    found: Floats = 1.0 - 0.5 * ((alpha * along + (1 - alpha) * off) ** 2).sum(-1)
    return found


def contrasting_goals(seen: ArrayLike, wanted: ArrayLike, unwanted: ArrayLike, alpha: float = 0.5) -> Floats:
    """α cos(x, g⁺) − (1 − α) cos(x, g⁻) `[...]`: nearer to what is wished for than to its opposite.

    Whatever both prompts share with a picture cancels out. Between −1 and 1; 0 where both prompts are one, at α = ½.

    Source: VLM-RL (contrasting language goals). The paper's weights sum to 1; its released code takes the plain
    difference, which is twice that of α = ½.

    Args:
        seen: embeddings of what is seen `[..., D]`, of any length but 0.
        wanted: embedding of what is wished for `[D]`.
        unwanted: of its opposite `[D]`.
        alpha: weight of the former, 0 to 1.

    Raises:
        ValueError: as `goal_baseline`.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"got alpha {alpha}; expected 0 to 1")
    found: Floats = _unit(seen) @ (alpha * _prompt(wanted) - (1 - alpha) * _prompt(unwanted))
    return found


def safe_speed(
    likeness: ArrayLike, speed: ArrayLike, fastest: float, low: float, high: float, factors: ArrayLike = ()
) -> Floats:
    """(1 − |v − v*| / v_max) · all factors, with v* = v_max · (likeness, cut to `low` and `high`, as 0 to 1) `[...]`.

    What a model says of the scene decides how fast one ought to be, and factors of how well one keeps to the road, each
    0 to 1, discount it: a hierarchy, where a sum of both could be earned by either. A crash is charged instead of this.

    Source: VLM-RL; low and high are 0 and 0.03 in its released code, in the units of its encoder.

    Args:
        likeness: such as `contrasting_goals`, larger where the road is clear `[...]`.
        speed: `[...]`, 0 to `fastest`.
        fastest: what is driven where the road is clear.
        low: likeness at which one ought to stand.
        high: likeness at which one ought to be fastest.
        factors: `[..., F]`, 0 to 1 each.

    Raises:
        ValueError: a highest that is not above the lowest, or factors beyond 0 and 1.
    """
    found, parts = np.asarray(likeness, np.float64), np.asarray(factors, np.float64)
    if not (high > low and fastest > 0):
        raise ValueError(
            f"got low {low}, high {high} and fastest {fastest}; expected high above low, and fastest above 0"
        )
    if ((parts < 0) | (parts > 1)).any():
        raise ValueError(f"got factors from {parts.min()} to {parts.max()}; expected 0 to 1")
    wished = fastest * (np.clip(found, low, high) - low) / (high - low)
    kept = 1.0 - np.abs(np.asarray(speed, np.float64) - wished) / fastest
    product: Floats = kept * parts.prod(-1) if parts.size else kept
    return product


def _unit(vectors: ArrayLike) -> Floats:
    found = np.asarray(vectors, np.float64)
    length = np.linalg.norm(found, axis=-1, keepdims=True)
    if not (np.isfinite(length).all() and (length > 0).all()):
        raise ValueError("got an embedding of zeros, or one that is not finite; expected a direction")
    unit: Floats = found / length
    return unit


def _prompt(vectors: ArrayLike) -> Floats:
    found = np.atleast_2d(np.asarray(vectors, np.float64))
    if found.ndim != 2 or not len(found):
        raise ValueError(f"got prompts of shape {np.shape(vectors)}; expected [P, D] or [D]")
    mean: Floats = _unit(found).mean(0)
    return mean
