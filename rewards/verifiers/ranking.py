"""An order of things against a better order: NDCG, reciprocal rank, Kendall's tau.

The completion is a JSON list of names, best first. Names that do not exist and names that come twice are faults of the
policy: paid as mere mistakes, they would be a way to try everything at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rewards.functions import PolicyFault, reward
from rewards.verifiers.structure import read_json


def ranking(completion: str, known: Sequence[str]) -> list[str]:
    """The names of a completion, best first.

    Raises:
        PolicyFault: it is no JSON list of different known names.
    """
    value = read_json(completion)
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise PolicyFault("got no list of names; expected a JSON list of strings, best first")
    if unknown := [name for name in value if name not in known]:
        raise PolicyFault(f"got {unknown[0][:100]!r} in the ranking, which is not among the {len(known)} to be ranked")
    if len(set(value)) != len(value):
        raise PolicyFault("got a name twice in the ranking")
    return value


@reward(subject="episode")
def ndcg(completion: str, relevance: Mapping[str, float], top: int | None = None) -> float | None:
    """Normalised discounted cumulative gain (Järvelin and Kekäläinen, 2002), gain linear, discount log2 of 1 + place.

    Args:
        completion: names, best first; those left out gain nothing.
        relevance: of each name, at least 0; abstains where all are 0.
        top: how many places count; all by default.

    Raises:
        ValueError: a relevance is negative or not finite.
    """
    if any(not math.isfinite(gain) or gain < 0 for gain in relevance.values()):
        raise ValueError(f"got relevances {sorted(set(relevance.values()))[:5]}; expected finite ones, at least 0")
    best = _gain(sorted(relevance.values(), reverse=True), top)
    if best == 0:
        return None
    return _gain([relevance[name] for name in ranking(completion, list(relevance))], top) / best


@reward(subject="episode")
def reciprocal_rank(completion: str, relevance: Mapping[str, float]) -> float | None:
    """One over the place of the first relevant name, 0 without one; abstains where nothing is relevant."""
    if not any(relevance.values()):
        return None
    ranked = ranking(completion, list(relevance))
    return next((1 / place for place, name in enumerate(ranked, start=1) if relevance[name] > 0), 0.0)


@reward(subject="episode")
def kendall_tau(completion: str, answer: Sequence[str]) -> float | None:
    """Agreement in pairs with the right order, from -1 to 1 (Kendall, 1938); abstains for fewer than two names.

    Raises:
        PolicyFault: names are missing, besides the faults of `ranking`: no order has been said of them.
    """
    if len(answer) < 2:
        return None
    ranked = ranking(completion, answer)
    if len(ranked) != len(answer):
        raise PolicyFault(f"got {len(ranked)} names; expected all {len(answer)}")
    place = {name: number for number, name in enumerate(ranked)}
    pairs = [(one, other) for k, one in enumerate(answer) for other in answer[k + 1 :]]
    agreed = sum(place[one] < place[other] for one, other in pairs)
    return 2 * agreed / len(pairs) - 1


def _gain(gains: Sequence[float], top: int | None) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains[:top], start=1))
