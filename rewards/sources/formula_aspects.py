"""Aspects of a formula beside the one that was meant, exactly: propositions, symbols, and how short it is.

    propositions   F1 of the comparisons in both
    symbols        F1 of the other operators in both, with their intervals
    succinctness   min(1, size of the reference / size of the formula)

The first two do not see how a formula is put together, and the last one not what it says: what it means is told by
`rewards.verifiers.robustness.agreement` on signals.

Source: RESTL (Fang et al. 2025), which has learnt scorers of such aspects (`rewards.models.multi_aspect`); these
formulas are chosen here.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from rewards.verifiers.overlap import f1
from rewards.verifiers.temporal_logic import Formula


class Aspects(NamedTuple):
    """Of one formula, each between 0 and 1, and 1 of the reference itself."""

    propositions: float
    symbols: float
    succinctness: float


def aspects(formula: Formula, reference: Formula) -> Aspects:
    """How near a formula is to a reference, by each aspect."""
    size, wanted = (sum(1 for _ in each.nodes()) for each in (formula, reference))
    return Aspects(
        f1(_propositions(formula), _propositions(reference)),
        f1(_symbols(formula), _symbols(reference)),
        min(1.0, wanted / size),
    )


def _propositions(formula: Formula) -> Counter[Formula]:
    return Counter(node for node in formula.nodes() if not node.of)


def _symbols(formula: Formula) -> Counter[tuple[str, tuple[int, int]]]:
    return Counter((node.operator, node.interval) for node in formula.nodes() if node.of)
