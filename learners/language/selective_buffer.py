"""`SelectiveSampleBuffer`: samples that had something to teach, kept for batches in which few have.

Where all answers to a prompt earn the same, their advantages are 0 and they teach nothing; the better a policy, the
more of its batch is lost that way. So samples with an advantage are kept, and a batch is filled up with them: drawn
with chances in proportion to |A|, so many that the share of samples with an advantage stays what it is to be. They are
learnt from with the advantage that they had and the log-probabilities of the policy that wrote them: the clip of the
loss bounds what the age does.

Source: Skywork R1V2 (Chris et al. 2025). How many are drawn, with replacement, and how old one may be is chosen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from learners.replay.samplers import Prioritised

Sample = TypeVar("Sample")


class SelectiveSampleBuffer(Generic[Sample]):
    """Holds up to `capacity` samples; what a sample is, is the caller's."""

    def __init__(self, capacity: int, max_age: int = 4, seed: int = 0) -> None:
        """Nothing held.

        Args:
            capacity: samples; for one more, the oldest goes.
            max_age: versions of the policy that a sample may be behind; older ones go.
            seed: of the draws.

        Raises:
            ValueError: no room, or a negative age.
        """
        if capacity < 1 or max_age < 0:
            raise ValueError(f"got capacity={capacity} and max_age={max_age}; expected at least 1 and at least 0")
        self._capacity, self._max_age = capacity, max_age
        self._random = np.random.default_rng(seed)
        self._held: dict[int, tuple[Sample, int]] = {}
        self._sampler, self._next = Prioritised(alpha=1.0), 0

    def __len__(self) -> int:
        """Samples held."""
        return len(self._held)

    def add(self, samples: Sequence[Sample], advantages: ArrayLike, version: int) -> int:
        """Keep those whose advantage is known and not 0.

        Args:
            samples: of a batch `[B]`.
            advantages: of each `[B]`; NaN where there is none.
            version: of the policy that wrote them.

        Returns:
            How many were kept: those of the batch that teach something.

        Raises:
            ValueError: not one advantage for each sample.
        """
        given = np.asarray(advantages, np.float64)
        if given.shape != (len(samples),):
            raise ValueError(f"got {len(samples)} samples and advantages {given.shape}; expected one for each")
        taught = np.flatnonzero(np.nan_to_num(given) != 0)
        for number in taught:
            slot = self._next % self._capacity
            self._next += 1
            self._held[slot] = (samples[int(number)], version)
            self._sampler.prioritise(np.array([slot]), np.abs(given[[number]]))
        return len(taught)

    def refill(self, effective: int, size: int, version: int, share: float = 1.0) -> list[Sample]:
        """Samples to be added to a batch; none where nothing is held, and one may come more than once.

        Call it before the batch itself is added, or some of it comes twice.

        Args:
            effective: samples of the batch with an advantage.
            size: of the batch.
            version: of the policy now.
            share: of the batch that is to have one.

        Raises:
            ValueError: a share that is none, or more samples than the batch has.
        """
        if not 0 <= share <= 1 or not 0 <= effective <= size:
            raise ValueError(f"got share={share} and {effective} of {size}; expected 0 to 1, and at most all of them")
        self._forget(version)
        lacking = round(share * size) - effective
        if lacking <= 0 or not self._held:
            return []
        slots, _ = self._sampler.draw(lacking, self._random)
        return [self._held[int(slot)][0] for slot in slots]

    def _forget(self, version: int) -> None:
        """Let go what is too old."""
        old = [slot for slot, (_, written) in self._held.items() if version - written > self._max_age]
        for slot in old:
            del self._held[slot]
        if old:
            self._sampler.remove(np.array(old))
