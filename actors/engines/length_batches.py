"""`length_batches`: texts of similar length together, so that little of a batch is padding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def length_batches(tokens: NDArray[np.int64], left_out: NDArray[np.bool_], most_tokens: int) -> list[list[int]]:
    """Places of texts in batches, the shortest first, equal ones in their order.

    Args:
        tokens: of each text `[N]`.
        left_out: texts that are in no batch `[N]`.
        most_tokens: padded tokens in a batch; a longer text has one to itself.
    """
    batches: list[list[int]] = []
    for place in np.argsort(tokens, kind="stable").tolist():
        if left_out[place]:
            continue
        if batches and (len(batches[-1]) + 1) * tokens[place] <= most_tokens:  # this one is the longest so far
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches
