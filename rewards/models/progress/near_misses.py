"""Near-misses: what a trajectory did, beside an instruction that it fulfils all but one part of.

A trajectory is kept as it is and its instruction is rewritten. So a reward model sees the same frames with both labels
and has to read what was asked; and where the two part is known, which nobody has to look for.

Source: ExeVRM, Video-Based Reward Modeling for Computer-Use Agents (adversarial instruction translation, by a language
model). That instructions are sequences of sub-goals, of which one is replaced, is chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]


class NearMisses(NamedTuple):
    """Rewritten instructions.

    Attributes:
        instructions: `[N, K]`.
        changed: which sub-goal is another one `[N]`.
    """

    instructions: Ints
    changed: Ints

    def first_failing(self, achieved: ArrayLike) -> Ints:
        """The step at which each trajectory does what is no longer asked for `[N]`.

        Args:
            achieved: the step at which each sub-goal of the true instruction was achieved `[N, K]`.
        """
        found: Ints = np.asarray(achieved)[np.arange(len(self.changed)), self.changed]
        return found


def near_misses(instructions: ArrayLike, vocabulary: ArrayLike, random: np.random.Generator) -> NearMisses:
    """One sub-goal of each instruction, any of them, replaced by one that it does not contain.

    Whether a trajectory fulfils the new one by chance is for a checker to say: such a one is no negative.

    Args:
        instructions: sub-goals `[N, K]`.
        vocabulary: all sub-goals that there are `[V]`.
        random: draws.

    Raises:
        ValueError: shapes that do not fit, or an instruction that contains all sub-goals.
    """
    asked, words = np.asarray(instructions), np.asarray(vocabulary)
    if asked.ndim != 2 or words.ndim != 1:
        raise ValueError(f"got instructions {asked.shape} and a vocabulary {words.shape}; expected [N, K] and [V]")
    free = ~(asked[:, :, None] == words).any(1)
    if not free.any(1).all():
        raise ValueError("got an instruction that contains every sub-goal; expected one that something is left out of")
    changed = random.integers(0, asked.shape[1], len(asked))
    other = words[np.where(free, random.random(free.shape), -1.0).argmax(1)]
    found = asked.copy()
    found[np.arange(len(asked)), changed] = other
    return NearMisses(found, changed)
