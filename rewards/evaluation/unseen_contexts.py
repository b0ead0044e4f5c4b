"""Unseen contexts: of how many contexts that were left out of training a generator makes more of what was wanted.

    share(c) = share of the designs for context c whose score is above a threshold
    raised   = share of the contexts with share_after(c) > share_before(c)
    increase = mean over contexts of share_after(c) / share_before(c) − 1

Source: PaccMann^RL on SARS-CoV-2 (Born et al. 2020): leave-one-out over 41 proteins, of which 35 were raised, by 83 %
on average. A context without any such design before has no increase, and is left out of that mean: chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.evaluation.accuracy import Rate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class UnseenContexts:
    """What training did for contexts that it did not see.

    Attributes:
        before: share of the designs above the threshold, of each context `[C]`; NaN where no score is known.
        after: likewise, after training `[C]`.
    """

    before: Floats
    after: Floats

    @property
    def raised(self) -> Rate:
        """Share of the contexts with more of them than before, of those where both are known."""
        known = ~np.isnan(self.before + self.after)
        return Rate.of(int((self.after > self.before)[known].sum()), int(known.sum()))

    @property
    def increase(self) -> float | None:
        """How much more there are, relative to before, on average; None where there were none anywhere."""
        had = self.before > 0
        ratios = self.after[had] / self.before[had] - 1
        ratios = ratios[~np.isnan(ratios)]
        return float(ratios.mean()) if len(ratios) else None


def unseen_contexts(before: ArrayLike, after: ArrayLike, threshold: float) -> UnseenContexts:
    """Compare designs for contexts that training did not see.

    Args:
        before: scores of designs by the generator before training, by context `[C, N]`; NaN where NULL, as of a design
            that is not valid.
        after: by the trained generator `[C, M]`.
        threshold: above which a design is wanted.

    Raises:
        ValueError: other contexts after than before.
    """
    first, second = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second):
        raise ValueError(f"got scores {first.shape} and {second.shape}; expected [C, N] and [C, M], the same contexts")
    return UnseenContexts(_shares(first, threshold), _shares(second, threshold))


def _shares(scores: Floats, threshold: float) -> Floats:
    known = (~np.isnan(scores)).sum(1)
    return np.where(known > 0, (scores > threshold).sum(1) / np.maximum(known, 1), np.nan)
