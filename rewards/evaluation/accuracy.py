"""How often a judge is right, one to one and one to many: pairs as in RewardBench, ranks as in RewardMATH."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.shares import wilson

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % interval (Wilson); None of nothing."""

    value: float | None
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, hits: float, n: int) -> Rate:
        """`hits` of `n`; halves (ties) count as halves, and round for the interval."""
        low, high = wilson(round(hits), n)
        return cls(hits / n if n else None, low, high, n)


def pair_accuracy(chosen: ArrayLike, rejected: ArrayLike) -> Rate:
    """Share of pairs whose chosen one scores higher; a tie is half right, a NULL (NaN) is left out.

    Source: Lambert et al. 2024, "RewardBench"; ties as in its generative judges.

    Args:
        chosen: scores `[N]`.
        rejected: of the other of each pair `[N]`.
    """
    a, b = np.asarray(chosen, np.float64), np.asarray(rejected, np.float64)
    both = ~(np.isnan(a) | np.isnan(b))
    return Rate.of(float((a[both] > b[both]).sum() + 0.5 * (a[both] == b[both]).sum()), int(both.sum()))


@dataclass(frozen=True)
class OneToMany:
    """One right answer among many wrong ones.

    Attributes:
        accuracy: share of problems where the right one scores above all wrong ones.
        mean_reciprocal_rank: of the right one; a tie counts as behind. None of nothing.
        random: accuracy of chance.
    """

    accuracy: Rate
    mean_reciprocal_rank: float | None
    random: float | None


def one_to_many(right: Sequence[float], wrong: Sequence[Sequence[float]]) -> OneToMany:
    """Score N problems (Kim et al. 2024, "RewardMATH": one correct against nine incorrect solutions).

    Args:
        right: score of the right answer of each `[N]`; NaN: NULL, and the problem is left out.
        wrong: scores of its wrong answers; NULLs among them are left out, and a problem where none is left.
    """
    ranks, sizes = [], []
    for score, others in zip(right, wrong, strict=True):
        known = [other for other in others if not np.isnan(other)]
        if np.isnan(score) or not known:
            continue
        ranks.append(1 + sum(other >= score for other in known))
        sizes.append(1 + len(known))
    n = len(ranks)
    return OneToMany(
        Rate.of(sum(rank == 1 for rank in ranks), n),
        float(np.mean([1 / rank for rank in ranks])) if n else None,
        float(np.mean([1 / size for size in sizes])) if n else None,
    )


def one_to_many_of_pairs(preferred: Sequence[Sequence[float]]) -> OneToMany:
    """Score N problems by a judge of pairs: the right answer stands against each wrong one, and a tie is lost.

    Source: Kim et al. 2024, "RewardMATH", for judges that compare; its rank counts the comparisons that were not won.

    Args:
        preferred: probability that the right answer is preferred, to each wrong one of each problem; NULLs (NaN) are
            left out.
    """
    return one_to_many([0.5] * len(preferred), [[1 - one for one in own] for own in preferred])


def best_of_n(scores: Sequence[Sequence[float]], gold: Sequence[Sequence[float]], n: int) -> float | None:
    """Expected gold of the best-scored of `n` answers drawn without replacement, mean over problems, exactly.

    The answer of rank r (from 0, worst first) is the best of n with probability C(r, n−1)/C(K, n) (as the estimator of
    Nakano et al. 2021, "WebGPT", appendix I). Answers with a NULL are left out, and problems with fewer than n.

    Args:
        scores: of each problem's answers.
        gold: what each is worth.
        n: answers to choose from.

    Raises:
        ValueError: n is below 1.
    """
    if n < 1:
        raise ValueError(f"got n={n}; expected at least 1")
    found = []
    for own, worth in zip(scores, gold, strict=True):
        known = [(s, g) for s, g in zip(own, worth, strict=True) if not (np.isnan(s) or np.isnan(g))]
        if len(known) < n:
            continue
        # of equals each is as likely: the mean worth of those that tie stands for each of them
        tied = {s: float(np.mean([g for t, g in known if t == s])) for s, _ in known}
        total = comb(len(known), n)
        ordered = sorted(known)
        found.append(sum(comb(rank, n - 1) / total * tied[s] for rank, (s, _) in enumerate(ordered)))
    return float(np.mean(found)) if found else None
