"""An order of things against a better order: NDCG, reciprocal rank, Kendall's tau, rank-biased overlap.

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


@reward(subject="episode", version="2")
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


@reward(subject="episode", version="2")
def reciprocal_rank(completion: str, relevance: Mapping[str, float]) -> float | None:
    """One over the place of the first relevant name, 0 without one; abstains where nothing is relevant."""
    if not any(relevance.values()):
        return None
    ranked = ranking(completion, list(relevance))
    return next((1 / place for place, name in enumerate(ranked, start=1) if relevance[name] > 0), 0.0)


@reward(subject="episode", version="2")
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


def rank_biased_overlap(written: Sequence[str], wanted: Sequence[str], persistence: float = 0.9) -> float:
    """Rank-biased overlap of two orders without repetitions, extrapolated: 1 where they are the same.

    RBO = X_k p^k / k + (1 − p) / p Σ_{d ≤ k} (X_d / d) p^d, X_d how many things the first d of both have in common and
    k the length of the shorter order (Webber, Moffat and Zobel, 2010, equation 30).

    Raises:
        ValueError: an empty order, or a persistence that is not between 0 and 1.
    """
    depth = min(len(written), len(wanted))
    if not depth or not 0 < persistence < 1:
        raise ValueError(
            f"got orders of {len(written)} and {len(wanted)} and persistence={persistence}; expected 0 < p < 1"
        )
    total, shared = 0.0, 0
    for d in range(1, depth + 1):
        shared = len(set(written[:d]) & set(wanted[:d]))
        total += shared / d * persistence**d
    return shared / depth * persistence**depth + (1 - persistence) / persistence * total


@reward(subject="episode", version="2")
def multi_view_ranking(
    completion: str,
    relevance: Mapping[str, float],
    answer: Sequence[str],
    top: int = 10,
    recall_weight: float = 0.1,
    overlap_weight: float = 0.1,
) -> float | None:
    """NDCG of the first `top`, plus 0.1 of the recall among them, plus 0.1 of the rank-biased overlap with an order.

    For a ranker that goes over a list in windows it is enough that what is good moves up (recall), and a full order
    says more than which names are relevant (overlap). A list that is no permutation of the names earns 0; that a
    completion without its form earns −1 is a `gate`.

    Source: ReasonRank (weights of the paper; its released code has 0.2 for the recall).

    Args:
        completion: a JSON list of names, best first; a policy fault where it cannot be read.
        relevance: of each name, at least 0; abstains where all are 0.
        answer: the better order, of the same names.
        top: how many places count for NDCG and recall.
        recall_weight: of the recall.
        overlap_weight: of the overlap.
    """
    best = _gain(sorted(relevance.values(), reverse=True), top)
    if best == 0:
        return None
    value = read_json(completion)
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise PolicyFault("got no list of names; expected a JSON list of strings, best first")
    if sorted(value) != sorted(relevance):
        return 0.0
    relevant = [name for name in relevance if relevance[name] > 0]
    recall = sum(name in value[:top] for name in relevant) / min(len(relevant), top)
    gain = _gain([relevance[name] for name in value], top) / best
    return gain + recall_weight * recall + overlap_weight * rank_biased_overlap(value, answer)


def _gain(gains: Sequence[float], top: int | None) -> float:
    return sum(gain / math.log2(place + 1) for place, gain in enumerate(gains[:top], start=1))
