"""A bench of evaluators of trajectories: pairs of a right trajectory and one that nearly is, and who tells them apart.

Every evaluator is made to decide between two, so that all are measured alike: one that scores prefers the higher score
(`by_scores`); one that compares is asked in both orders, and wins the pair by halves (`by_judge`), so that a preference
for a place is worth nothing. A tie is half right. `report` gives accuracy by family of tasks, by length of the right
trajectory and by what is wrong with the other one.

Source: Plan-RewardBench (Wang et al. 2026): families, pairs in both orders, mean over families. Buckets of lengths are
counted in steps here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.data.trajectory_edits import Trajectory
from rewards.evaluation.accuracy import Rate

Floats = NDArray[np.float64]
Group = TypeVar("Group", bound=Hashable)


@dataclass(frozen=True)
class TrajectoryPair:
    """One pair.

    Attributes:
        task: what was asked; whoever evaluates knows how to read it.
        preferred: a right trajectory.
        distractor: one that is nearly right.
        family: of tasks, such as planning or recovery.
        edit: what is wrong with the distractor.
    """

    task: object
    preferred: Trajectory
    distractor: Trajectory
    family: str
    edit: str


@dataclass(frozen=True)
class TrajectoryReport:
    """Accuracy of an evaluator.

    Attributes:
        accuracy: over all pairs that were decided.
        mean: of the families, each counting the same; None where one has no pair.
        families: of each.
        lengths: of each bucket of lengths, in their order; a bucket without pairs has a Rate of nothing.
        edits: of each kind of mistake: what an evaluator does not see.
    """

    accuracy: Rate
    mean: float | None
    families: Mapping[str, Rate]
    lengths: tuple[Rate, ...]
    edits: Mapping[str, Rate]


def by_scores(preferred: ArrayLike, distractor: ArrayLike) -> Floats:
    """Pairs won by scores `[N]`: 1, ½ for a tie, 0; NaN where a score is NULL.

    Args:
        preferred: scores of right trajectories `[N]`.
        distractor: of the others `[N]`.

    Raises:
        ValueError: shapes that differ.
    """
    a, b = np.asarray(preferred, np.float64), np.asarray(distractor, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"got values of shapes {a.shape} and {b.shape}; expected [N] for both")
    found: Floats = (1 + np.sign(a - b)) / 2
    return found


def by_judge(forward: ArrayLike, backward: ArrayLike) -> Floats:
    """Pairs won by a judge that compares `[N]`: the mean of both orders; NaN where one of them is NULL.

    Args:
        forward: probability that the first is better, asked as (preferred, distractor) `[N]`.
        backward: the same, asked as (distractor, preferred) `[N]`.

    Raises:
        ValueError: shapes that differ.
    """
    half = np.full(np.shape(forward), 0.5)
    return (by_scores(forward, half) + by_scores(half, backward)) / 2


def report(pairs: Sequence[TrajectoryPair], won: ArrayLike, edges: Sequence[int]) -> TrajectoryReport:
    """Accuracy of one evaluator, as a whole and by what the pairs are of.

    Args:
        pairs: `[N]`.
        won: by the evaluator, 0 to 1 `[N]`; NaN is NULL, and the pair is left out.
        edges: the longest length of each bucket but the last, which has no end; rising.

    Raises:
        ValueError: other numbers of results than of pairs, results out of their range, or edges that do not rise.
    """
    found = np.asarray(won, np.float64)
    if found.shape != (len(pairs),) or ((found < 0) | (found > 1)).any():
        raise ValueError(f"got results of shape {found.shape} of {len(pairs)} pairs; expected one each, 0 to 1 or NaN")
    if list(edges) != sorted(set(edges)):
        raise ValueError(f"got edges {list(edges)}; expected lengths that rise")
    families = _rates(found, [pair.family for pair in pairs])
    buckets = _rates(found, [bisect_left(edges, len(pair.preferred)) for pair in pairs])
    means = [rate.value for rate in families.values()]
    known = [value for value in means if value is not None]
    return TrajectoryReport(
        _rate(found),
        float(np.mean(known)) if known and len(known) == len(means) else None,
        families,
        tuple(buckets.get(bucket, Rate.of(0, 0)) for bucket in range(len(edges) + 1)),
        _rates(found, [pair.edit for pair in pairs]),
    )


def _rate(won: Floats) -> Rate:
    known = won[~np.isnan(won)]
    return Rate.of(float(known.sum()), len(known))


def _rates(won: Floats, groups: Sequence[Group]) -> dict[Group, Rate]:
    """By group, in the order in which they come."""
    return {group: _rate(won[[one == group for one in groups]]) for group in dict.fromkeys(groups)}
