"""Where two rewards differ most, as texts for people to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

EXAMPLES = 8


@dataclass(frozen=True)
class Example:
    """A step or an answer on which the rewards differ, each in deviations from its mean."""

    text: str
    a: float
    b: float
    times: int


def most_apart(a: Values, b: Values, where: NDArray[np.int64], texts: Sequence[str]) -> tuple[Example, ...]:
    """Texts on which two rewards `[N]` differ most, both in deviations, weighted by how often they were met.

    Args:
        a: a reward.
        b: another.
        where: which text each is about `[N]`.
        texts: `[K]`.
    """
    times = np.bincount(where, minlength=len(texts))
    means = []
    for values in (a, b):
        spread = values.std()
        scaled = (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)
        means.append(np.bincount(where, scaled, len(texts)) / np.maximum(times, 1))
    weight = np.abs(means[0] - means[1]) * times
    order = np.argsort(-weight, kind="stable")[:EXAMPLES]
    return tuple(
        Example(texts[k].replace("\n", " | ")[:200], float(means[0][k]), float(means[1][k]), int(times[k]))
        for k in order
        if weight[k] > 1e-9
    )
