"""`Tally`: numbers told of micro-batches, as numbers of the batch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from learners.language.world import ALONE, World


class Tally:
    """Numbers of micro-batches that add up to those of a batch."""

    def __init__(self) -> None:
        """Start at nothing."""
        self._seen: list[dict[str, Tensor]] = []

    def add(self, numbers: Mapping[str, Tensor]) -> None:
        """What one micro-batch contributes: scalars. Of names that end with `_max` the highest is kept."""
        self._seen.append({name: value.detach() for name, value in numbers.items()})

    def total(self, world: World = ALONE) -> dict[str, float]:
        """Sums, and maxima, over micro-batches and processes."""
        names = list(self._seen[0]) if self._seen else []
        highest = [name for name in names if name.endswith("_max")]
        additive = [name for name in names if name not in highest]
        found: dict[str, float] = {}
        if additive:
            sums = torch.stack([torch.stack([one[name].float() for one in self._seen]).sum() for name in additive])
            found |= dict(zip(additive, world.sum(sums).tolist(), strict=True))
        if highest:
            tops = torch.stack([torch.stack([one[name].float() for one in self._seen]).max() for name in highest])
            found |= dict(zip(highest, world.largest(tops).tolist(), strict=True))
        return found
