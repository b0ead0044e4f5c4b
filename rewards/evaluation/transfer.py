"""Transfer between domains: what training on some of them does to each of them, and whether they stand in the way.

    T[S, d] = accuracy on d after training on S − accuracy on d before
    I[d]    = T[all, d] − max over single domains s of T[s, d]

T of the empty set is 0. Where I is below 0, training on everything is worse for a domain than the best of its single
teachers. All runs begin with the same model and take equally long. As rows of a long table (`rows`), results of other
beginnings, seeds, templates, rewards or curricula stand beside each other.

Source: Can One Domain Help Others? (Li et al. 2025), whose protocol this is.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Subset = frozenset[str]
BEFORE: Subset = frozenset()
"""Training on nothing."""


def training_sets(domains: Sequence[str]) -> list[Subset]:
    """What is to be trained on: nothing, each domain, each two of them, and so on to all."""
    return [frozenset(chosen) for size in range(len(domains) + 1) for chosen in combinations(domains, size)]


@dataclass(frozen=True)
class Transfer:
    """What came of runs that began with the same model.

    Attributes:
        domains: D of them, in an order.
        accuracy: by what was trained on, accuracy on each domain; BEFORE is among them. NaN is NULL: not measured.
    """

    domains: tuple[str, ...]
    accuracy: Mapping[Subset, Mapping[str, float]]

    def __post_init__(self) -> None:
        """Check that all runs are of these domains.

        Raises:
            ValueError: a run on other domains, one that was not evaluated on all, or none before training.
        """
        if BEFORE not in self.accuracy:
            raise ValueError("got no accuracy before training; expected that of the empty set, from which gains count")
        for trained, found in self.accuracy.items():
            if not trained <= set(self.domains) or set(found) != set(self.domains):
                raise ValueError(
                    f"got a run on {sorted(trained)} with accuracies on {sorted(found)}; expected some of "
                    f"{list(self.domains)}, and an accuracy on each: NaN where it was not measured"
                )

    def gain(self, trained: Collection[str], on: str) -> float:
        """T, of a training set on a domain.

        Raises:
            ValueError: no such run, or no such domain.
        """
        found = self.accuracy.get(frozenset(trained))
        if found is None or on not in found:
            raise ValueError(
                f"got a run on {sorted(trained)} and the domain {on!r}; expected one of "
                f"{[sorted(one) for one in self.accuracy]} and one of {list(self.domains)}"
            )
        return found[on] - self.accuracy[BEFORE][on]

    def matrix(self) -> NDArray[np.float64]:
        """T of all runs, in their order `[S, D]`."""
        return np.array([[self.gain(trained, on) for on in self.domains] for trained in self.accuracy])

    def interference(self) -> dict[str, float]:
        """I of each domain; NaN where an accuracy that it needs is NULL.

        Raises:
            ValueError: the run on all domains or on one of them is missing.
        """
        single = {on: np.array([self.gain([one], on) for one in self.domains]) for on in self.domains}
        return {on: self.gain(self.domains, on) - float(single[on].max()) for on in self.domains}

    def across(self) -> float:
        """Mean T of single domains on each other; NaN where there is only one.

        Raises:
            ValueError: the run on one of them is missing.
        """
        others = [self.gain([one], on) for one in self.domains for on in self.domains if one != on]
        return float(np.mean(others)) if others else math.nan


def rows(runs: Mapping[tuple[str, int], Transfer]) -> list[dict[str, str | int | float]]:
    """A long table: one row for each beginning, seed, training set and domain.

    Args:
        runs: by beginning (such as base or instruct) and seed.
    """
    return [
        {
            "init": init,
            "seed": seed,
            "train": "+".join(domain for domain in found.domains if domain in trained),
            "domain": on,
            "accuracy": found.accuracy[trained][on],
            "gain": found.gain(trained, on),
        }
        for (init, seed), found in runs.items()
        for trained in found.accuracy
        for on in found.domains
    ]
