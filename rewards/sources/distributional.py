"""Rewards of whole sets of samples, not of single ones: how near a set is to exemplars, and how diverse it is.

    FD(D, E) = |μ_D − μ_E|² + tr(S_D + S_E − 2 (S_E^½ S_D S_E^½)^½)        Vendi(D) = exp(−Σ_j λ_j log λ_j)

μ and S are mean and covariance of embeddings; λ are the eigenvalues of the matrix of their cosines over how many there
are. −FD rewards a set. Of one sample with several embeddings, as of the frames of a sound, it rewards that sample; one
embedding alone has no covariance, and is paid for being near the mean of the exemplars.

Source: DRAGON, Distributional Rewards Optimize Diffusion Generative Models; FD as in Heusel et al. 2017, Vendi as in
Friedman and Dieng 2023. Covariances are divided by N, so that one embedding has one too; chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.cosines import cosines

Floats = NDArray[np.float64]


class Gaussian(NamedTuple):
    """Mean `[..., d]` and covariance `[..., d, d]` of embeddings."""

    mean: Floats
    covariance: Floats


def gaussian(embeddings: ArrayLike) -> Gaussian:
    """Mean and covariance of sets of embeddings `[..., N, d]`.

    Raises:
        ValueError: no embeddings, or numbers that are not finite.
    """
    x = np.asarray(embeddings, np.float64)
    if x.ndim < 2 or not x.size or not np.isfinite(x).all():
        raise ValueError(f"got embeddings of shape {x.shape}; expected finite numbers [..., N, d], and at least one")
    mean = x.mean(-2)
    centred = x - mean[..., None, :]
    return Gaussian(mean, np.swapaxes(centred, -1, -2) @ centred / x.shape[-2])


def frechet_distance(made: Gaussian, exemplars: Gaussian) -> Floats:
    """FD of sets from the exemplars `[...]`, as many as `made` has; at least 0.

    Args:
        made: of the sets.
        exemplars: of one set, `[d]` and `[d, d]`.

    Raises:
        ValueError: embeddings of another size.
    """
    if made.mean.shape[-1:] != exemplars.mean.shape:
        raise ValueError(
            f"got embeddings of size {made.mean.shape[-1:]} and exemplars {exemplars.mean.shape}; expected the same"
        )
    values, vectors = np.linalg.eigh(exemplars.covariance)
    root = vectors * np.sqrt(values.clip(min=0))  # S_E = root rootᵀ; the trace asks for no symmetric root
    between = np.linalg.eigvalsh(root.T @ made.covariance @ root).clip(min=0)
    spread = np.trace(made.covariance, axis1=-2, axis2=-1) + values.sum() - 2 * np.sqrt(between).sum(-1)
    found: Floats = np.square(made.mean - exemplars.mean).sum(-1) + spread
    return found.clip(min=0)


def vendi_score(embeddings: ArrayLike) -> float:
    """How many different samples a set `[N, d]` is worth: 1 where all are alike, N where all are at right angles.

    Raises:
        ValueError: no embeddings, one of zeros, or numbers that are not finite.
    """
    x = np.asarray(embeddings, np.float64)
    if x.ndim != 2 or not len(x) or not np.isfinite(x).all() or not x.any(1).all():
        raise ValueError(f"got embeddings of shape {x.shape}; expected finite numbers [N, d], and none of zeros alone")
    if len(x) <= x.shape[1]:
        values = np.linalg.eigvalsh(cosines(x, x) / len(x))
    else:  # the smaller matrix has the same eigenvalues, but for zeros
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        values = np.linalg.eigvalsh(unit.T @ unit / len(x))
    share = values[values > 0]
    return float(np.exp(-(share * np.log(share)).sum()))
