"""`StepClassifier`: a reward that tells by a few features how far a task has come, learnt from few demonstrations.

For each step g the features are taken that tell it best from all others,

    z_i = α |μ_i⁺ − μ_i⁻| − (σ_i⁺ + σ_i⁻),

each a Gaussian inside of the step and one outside of it. The steps' chances p_g are added up with weights that double,
so that a later step counts for more than all before it together:

    R(o) = Σ_{g ≥ 2} 2^{g − 1} p_g(o),    p_g = σ( mean over the features of log N(o; in g) − log N(o; not in g) )

Source: Unsupervised Perceptual Rewards for Imitation Learning (Sermanet, Xu and Levine 2016): 32 features, α = 5. That
the mean of the log-ratios stands where naive Bayes has their sum is chosen here: features that say the same would make
it far too sure of itself, and the reward a step function.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LEAST = 1e-3
"""Least deviation of a Gaussian, in units of the feature's own: a feature that never moved in a step is not certain."""


@dataclass(frozen=True)
class StepClassifier:
    """Gaussians of the chosen features of each step.

    Attributes:
        chosen: features of each step `[G, M]`.
        mean: of these, inside of the step and outside `[2, G, M]`.
        deviation: likewise `[2, G, M]`.
    """

    chosen: Ints
    mean: Floats
    deviation: Floats

    def chances(self, features: ArrayLike) -> Floats:
        """Chances of each step, against all others `[..., G]`, of features `[..., d]`."""
        seen = np.asarray(features, np.float64)[..., self.chosen]
        inside, outside = (
            -0.5 * ((seen - mean) / deviation) ** 2 - np.log(deviation)
            for mean, deviation in zip(self.mean, self.deviation, strict=True)
        )
        ratio = (inside - outside).mean(-1).clip(-30, 30)
        found: Floats = 1.0 / (1.0 + np.exp(-ratio))
        return found

    def reward(self, features: ArrayLike) -> Floats:
        """R `[...]` of features `[..., d]`."""
        return step_reward(self.chances(features))


def step_reward(chances: ArrayLike) -> Floats:
    """R = Σ_{g ≥ 2} 2^{g − 1} p_g `[...]`, of chances `[..., G]`; being in the first step earns nothing."""
    p = np.asarray(chances, np.float64)
    weights = 2.0 ** np.arange(p.shape[-1])
    found: Floats = p[..., 1:] @ weights[1:]
    return found


def discriminative(features: ArrayLike, inside: ArrayLike, most: int = 32, alpha: float = 5.0) -> Ints:
    """The features that tell frames inside of a step best from those outside, the best first `[M]`.

    Args:
        features: of frames `[N, d]`.
        inside: which frames are of the step `[N]`, bool.
        most: M; of fewer features, all.
        alpha: what distance counts beside spread.

    Raises:
        ValueError: shapes that do not fit, or no frame on one of both sides.
    """
    seen, own = np.asarray(features, np.float64), np.asarray(inside, np.bool_)
    if seen.ndim != 2 or own.shape != seen.shape[:1] or own.all() or not own.any() or most < 1:
        raise ValueError(
            f"got features {seen.shape}, {int(own.sum())} of {own.shape} frames inside and most={most}; expected "
            "[N, d] and [N], frames on both sides, and one feature at least"
        )
    apart = np.abs(seen[own].mean(0) - seen[~own].mean(0))
    score = alpha * apart - (seen[own].std(0) + seen[~own].std(0))
    return np.argsort(-score, kind="stable")[:most]


def fit_steps(features: ArrayLike, step: ArrayLike, most: int = 32, alpha: float = 5.0) -> StepClassifier:
    """Choose features and fit Gaussians to frames whose steps are known, or were discovered.

    Args:
        features: of the frames of all demonstrations `[N, d]`.
        step: of each frame, 0 to G − 1 `[N]`; each occurs, and there are two at least.
        most: features of a step.
        alpha: as `discriminative`.

    Raises:
        ValueError: as `discriminative`.
    """
    seen, at = np.asarray(features, np.float64), np.asarray(step)
    sides = [at == g for g in range(int(at.max(initial=0)) + 1)]
    chosen = np.stack([discriminative(seen, own, most, alpha) for own in sides])
    least = LEAST * seen.std(0) + 1e-12
    mean, deviation = np.empty((2, *chosen.shape)), np.empty((2, *chosen.shape))
    for g, own in enumerate(sides):
        for side, frames in enumerate((own, ~own)):
            told = seen[frames][:, chosen[g]]
            mean[side, g], deviation[side, g] = told.mean(0), np.maximum(told.std(0), least[chosen[g]])
    return StepClassifier(chosen, mean, deviation)
