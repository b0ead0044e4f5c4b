"""Mimic reward: how nearly a reference is followed, in all that is told of it: the body, the object, and the two.

    r = Σ_k w_k exp(−‖e_k‖² / σ_k²)

e_k is the error of one thing: where the body is, where the object is, where the one is from the other, and whether they
touch (0 or 1). σ_k is the error at which a term is worth 1/e: what a reference shows badly has a large one. Without any
error r is Σ_k w_k, and nothing of it is about a task.

Source: DeepMimic (Peng et al. 2018), which multiplies errors by factors where σ is here; SUGAR (Wu et al. 2026), with
terms of contact and of what is between body and object, the same for all of its tasks.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from rewards.columns import Column


def mimic_reward(errors: Mapping[str, ArrayLike], weights: Mapping[str, float], scales: Mapping[str, float]) -> Column:
    """The reward of each frame `[...]`; NULL where an error is not known, as of an object that is out of sight.

    Args:
        errors: e_k by what they are of, `[..., d_k]`; NaN where it is not known.
        weights: w_k, at least 0.
        scales: σ_k, above 0, in the unit of the error.

    Raises:
        ValueError: no errors, names or shapes that do not fit, an infinite error, or a weight or scale out of range.
    """
    if not errors or not errors.keys() == weights.keys() == scales.keys():
        raise ValueError(
            f"got errors of {sorted(errors)}, weights of {sorted(weights)} and scales of {sorted(scales)}; "
            "expected the same names in all three, one at least"
        )
    if not all(0 <= weights[k] < np.inf and 0 < scales[k] < np.inf for k in errors):
        raise ValueError(f"got weights {dict(weights)} and scales {dict(scales)}; expected at least 0, and above 0")
    apart = {name: np.asarray(error, np.float64) for name, error in errors.items()}
    shapes = {name: error.shape for name, error in apart.items()}
    if () in shapes.values() or len({shape[:-1] for shape in shapes.values()}) > 1:
        raise ValueError(f"got errors of shapes {shapes}; expected [..., d], alike but for d")
    if unbounded := [name for name, error in apart.items() if np.isinf(error).any()]:
        raise ValueError(f"got an infinite error of {unbounded}; expected numbers, and NaN where it is not known")
    total = sum(weights[k] * np.exp(-np.square(e / scales[k]).sum(-1)) for k, e in apart.items())
    values = np.asarray(total, np.float32)
    return Column(values, ~np.isnan(values))
