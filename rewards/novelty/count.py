"""Count-based novelty: 1 / √N, where N is how often the same observation was seen in the whole run.

Observations are told apart by a 64-bit hash. Sources: Strehl & Littman (2008); Bellemare et al. (2016); hashing as in
Tang et al. (2017), "#Exploration", here of the exact observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from envs.specs import Observation
from rewards.novelty.novelty import pick


class Config(BaseModel):
    """What is counted.

    Attributes:
        kind: names the source in a recipe.
        keys: observation arrays that make two observations the same; empty for all. None: NetHack's "chars" where
            there are any (the turn counter would make every observation new), and all otherwise.
        seed: of the hash.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["count"] = "count"
    keys: tuple[str, ...] | None = None
    seed: int = 0


class ObservationHash:
    """64-bit hashes of observations, vectorised: each word is mixed, times an odd number of its own, and summed."""

    def __init__(self, seed: int) -> None:
        """Multipliers that `seed` determines."""
        self._seed = seed
        self._odd: NDArray[np.uint64] = np.zeros(0, np.uint64)

    def __call__(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint64]:
        """Hashes `[S]` of arrays `[S, …]`, joined in the order of the mapping."""
        columns = [np.ascontiguousarray(a).reshape(len(a), -1).view(np.uint8) for a in arrays.values()]
        size = sum(c.shape[1] for c in columns)
        padded = np.zeros((len(columns[0]), -(-size // 8) * 8), np.uint8)
        np.concatenate(columns, axis=1, out=padded[:, :size])
        words = padded.view(np.uint64)  # [S, W]
        odd = self._multipliers(words.shape[1])
        mixed = (words ^ (words >> np.uint64(31))) * odd
        mixed = (mixed ^ (mixed >> np.uint64(29))) * odd[::-1]
        hashes: NDArray[np.uint64] = (mixed ^ (mixed >> np.uint64(32))).sum(1, dtype=np.uint64)
        return hashes

    def _multipliers(self, words: int) -> NDArray[np.uint64]:
        if len(self._odd) != words:
            numbers = np.random.default_rng(self._seed).integers(0, 2**64, words, dtype=np.uint64)
            self._odd = numbers | np.uint64(1)
        return self._odd


class CountNovelty:
    """Lifelong counts. The memory grows by about 100 bytes per distinct observation."""

    def __init__(self, config: Config | None = None) -> None:
        """Nothing counted."""
        self.config = config or Config()
        self._hash = ObservationHash(self.config.seed)
        self._counts: dict[int, int] = {}

    def score(self, observation: Observation) -> NDArray[np.float32]:
        """1 / √N `[S]`; never counted is as good as counted once."""
        distinct, inverse, _ = self._distinct(observation)
        counts = np.array([self._counts.get(key, 1) for key in distinct], np.float64)
        bonus: NDArray[np.float32] = (counts**-0.5).astype(np.float32)[inverse]
        return bonus

    def update(self, observation: Observation) -> dict[str, float]:
        """Count observations `[S, …]`."""
        distinct, _, times = self._distinct(observation)
        before = len(self._counts)
        for key, n in zip(distinct, times.tolist(), strict=True):
            self._counts[key] = self._counts.get(key, 0) + n
        found = len(self._counts) - before
        return {"distinct": float(len(self._counts)), "new_share": found / max(1, int(times.sum()))}

    def _distinct(self, observation: Observation) -> tuple[list[int], NDArray[np.int64], NDArray[np.int64]]:
        keys = self.config.keys
        if keys is None:
            keys = ("chars",) if "chars" in observation else ()
        hashes = self._hash(pick(observation, keys))
        distinct, inverse, times = np.unique(hashes.view(np.int64), return_inverse=True, return_counts=True)
        return distinct.tolist(), inverse.reshape(-1), times

    def state_dict(self) -> dict[str, Any]:
        """Hashes and their counts as tensors."""
        return {
            "hashes": torch.tensor(list(self._counts), dtype=torch.int64),
            "counts": torch.tensor(list(self._counts.values()), dtype=torch.int64),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` saved."""
        self._counts = dict(zip(state["hashes"].tolist(), state["counts"].tolist(), strict=True))
