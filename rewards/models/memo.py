"""`ScoreMemo`: scores of captions, computed once per model version."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rewards.models.model import NO_CAPTION

Scores = tuple[NDArray[np.float32], NDArray[np.bool_]]


class ScoreMemo:
    """Remembers valid scores until the version changes; a NULL is asked again, since captions become known."""

    def __init__(self) -> None:
        """Nothing remembered."""
        self._version = -1
        self._values: dict[int, float] = {}

    def scores(self, caption_ids: NDArray[np.int64], version: int, compute: Callable[[list[int]], Scores]) -> Scores:
        """Scores `[K]` of ids `[K]`, with `compute` called for distinct ids that are not remembered.

        Args:
            caption_ids: `[K]`.
            version: of the model.
            compute: values and validity of distinct, non-zero ids.
        """
        if version != self._version:
            self._version, self._values = version, {NO_CAPTION: 0.0}
        distinct, inverse = np.unique(np.asarray(caption_ids, np.int64), return_inverse=True)
        missing = [identity for identity in distinct.tolist() if identity not in self._values]
        if missing:
            values, valid = compute(missing)
            self._values.update((missing[k], float(values[k])) for k in np.flatnonzero(valid))
        found = np.array([self._values.get(identity, np.nan) for identity in distinct.tolist()], np.float32)
        scores = found[inverse.reshape(np.shape(caption_ids))]
        return scores, ~np.isnan(scores)
