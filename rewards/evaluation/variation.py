"""How much success depends on a task's parameters, apart from chance: each set of parameters is tried several times.

    across = Var_p(mean_k r_pk) − mean_p(Var_k(r_pk) / K_p)

Attempts at one and the same task differ by chance too; their mean differs by Var / K, which is no doing of the
parameters. What is left is unbiased, and may be a little below 0 where parameters do not matter.

Source: AndroidWorld, A Dynamic Benchmarking Environment for Autonomous Agents (Rawles et al. 2024), which compares the
spread of success over parameters with that over repetitions of one task; the analysis of variance is chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewards.columns import Column

Floats = NDArray[np.float64]


class Variation(NamedTuple):
    """Of each template; NaN where too little is known.

    Attributes:
        mean: over parameters, of the mean of their attempts `[T]`.
        across: variance that is due to parameters `[T]`.
        within: variance of attempts at one and the same task, on average `[T]`.
    """

    mean: Floats
    across: Floats
    within: Floats


def variation(rewards: Column) -> Variation:
    """Mean and variances of rewards. NULL attempts are in none of them.

    A variance is NaN where fewer than two sets of parameters were tried at least twice.

    Args:
        rewards: of templates, parameters and attempts `[T, P, K]`.

    Raises:
        ValueError: another number of axes.
    """
    if rewards.values.ndim != 3:
        raise ValueError(f"got rewards of shape {rewards.values.shape}; expected [T, P, K]")
    values, count = np.where(rewards.valid, rewards.values, 0.0).astype(np.float64), rewards.valid.sum(-1)
    mean = values.sum(-1) / np.maximum(count, 1)
    apart = np.where(rewards.valid, values - mean[..., None], 0.0)
    within = (apart**2).sum(-1) / np.maximum(count - 1, 1)
    several, number = count > 1, (count > 1).sum(-1)
    spread = _mean((mean - _mean(mean, several)[:, None]) ** 2, several) * number / np.maximum(number - 1, 1)
    across = spread - _mean(within / np.maximum(count, 1), several)
    enough = number > 1
    return Variation(
        _mean(mean, count > 0),
        np.where(enough, across, np.nan),
        np.where(enough, _mean(within, several), np.nan),
    )


def _mean(values: Floats, known: NDArray[np.bool_]) -> Floats:
    number = known.sum(-1)
    found: Floats = np.where(number > 0, np.where(known, values, 0.0).sum(-1) / np.maximum(number, 1), np.nan)
    return found
