"""`Sample`: items that were drawn together, `Given` as it was decided; `Inserted`: what came together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.storage.writers import Key
from learners.replay.units import Pieces

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Given(NamedTuple):
    """A sample that has been decided.

    Attributes:
        learner_version: of the learner that asked.
        population: items that could be drawn.
        ids: of the items, in order, `[n]`.
        probabilities: of each when it was drawn, `[n]`.
    """

    learner_version: int
    population: int
    ids: Ints
    probabilities: Floats


@dataclass(frozen=True)
class Sample:
    """Items that were drawn together.

    Attributes:
        number: of the sample.
        learner_version: of the learner that asked for it first.
        ids: of the items, in order, `[n]`.
        probabilities: of each when it was drawn, `[n]`.
        population: items that could be drawn then.
        lost: items of it that have been lost since; they are not among `ids`.
        redelivered: whether it was given before.
    """

    number: int
    learner_version: int
    ids: Ints
    probabilities: Floats
    population: int
    lost: int = 0
    redelivered: bool = False
    pieces: Pieces = field(repr=False, compare=False, kw_only=True)

    def __len__(self) -> int:
        return len(self.ids)

    def weights(self, beta: float) -> NDArray[np.float32]:
        """Importance weights, float32 `[n]`, the largest of them 1 (Schaul et al. 2016, section 3.4).

        Args:
            beta: how much of the bias of prioritised sampling is corrected; 1: all. It is annealed towards 1.
        """
        least = self.probabilities.min(initial=np.inf)  # of the largest weight, by which all are divided
        weights: NDArray[np.float32] = ((self.probabilities / least) ** -beta).astype(np.float32)
        return weights


@dataclass(frozen=True)
class Inserted:
    """What came in one insert.

    Attributes:
        key: who wrote it.
        policy_version: oldest weights that acted in it.
        meta: what the writer said of it.
    """

    key: Key
    policy_version: int
    meta: Mapping[str, Any]
