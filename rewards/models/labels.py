"""`Labels`: what a reward model learns from, by what it is about; to draw takes as long from a million as from ten."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

K = TypeVar("K", bound=Hashable)


class Labels(Generic[K]):
    """One number for each key, at the place at which the key came first."""

    def __init__(self, keys: Iterable[K] = (), values: Iterable[float] = ()) -> None:
        """Begin with these.

        Raises:
            ValueError: there are more of the ones than of the others.
        """
        self._places: dict[K, int] = {}
        self._keys: list[K] = []
        self._values = array("d")
        for key, value in zip(keys, values, strict=True):
            self.put(key, value)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._keys)

    @property
    def keys(self) -> list[K]:
        """All keys, in the order in which they came."""
        return list(self._keys)

    @property
    def values(self) -> list[float]:
        """All values, in the order of their keys."""
        return self._values.tolist()

    def put(self, key: K, value: float) -> None:
        """Take one in; of a key that is there, a later value replaces the earlier one."""
        place = self._places.setdefault(key, len(self._keys))
        if place < len(self._keys):
            self._values[place] = value
        else:
            self._keys.append(key)
            self._values.append(value)

    def take(self, places: NDArray[np.int64]) -> tuple[list[K], Tensor]:
        """Keys and values `[K]` at these places `[K]`."""
        values = np.frombuffer(self._values)[places]
        return [self._keys[place] for place in places.tolist()], torch.from_numpy(values.astype(np.float32))

    def share(self, holds: Callable[[NDArray[np.float64]], NDArray[np.bool_]]) -> float:
        """Share of the values, of which there must be some, for which something holds."""
        return float(holds(np.frombuffer(self._values)).mean())
