"""Formulas gone wrong by so many edits, and formulas that say the same at greater length: negatives for reward models.

An edit changes one place: a comparison's signal, its direction or its bound; an operator into the one it is mistaken
for (G and F, & and |); the first or the last step of an interval. Many edits are easily told, one is hard to tell. A
redundant formula means the same: some part of it is negated twice, or joined with itself.

Source: RESTL (Fang et al. 2025) teaches reward models from easy to hard; which edits there are is chosen here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import numpy as np

from rewards.verifiers.temporal_logic import Formula, Operator

MISTAKEN: dict[Operator, Operator] = {">": "<", "<": ">", "G": "F", "F": "G", "&": "|", "|": "&"}
PROPOSITION, SYMBOL = ("name", "direction", "bound"), ("operator", "first", "last")
Place = tuple[int, str]
"""Number of a node, in the order of `Formula.nodes`, and what of it is changed."""


def places(formula: Formula, kinds: Sequence[str] = PROPOSITION + SYMBOL) -> list[Place]:
    """Where a formula can be edited.

    Args:
        formula: to be edited.
        kinds: of edits, some of PROPOSITION and SYMBOL.
    """
    found = []
    for number, node in enumerate(formula.nodes()):
        own = PROPOSITION if not node.of else [*(["operator"] if node.operator in MISTAKEN else []), *_timed(node)]
        found += [(number, kind) for kind in own if kind in kinds]
    return found


def edited(
    formula: Formula, at: Sequence[Place], random: np.random.Generator, names: Sequence[str], most: int
) -> Formula:
    """A formula that differs in the given places, and nowhere else.

    Args:
        formula: to be edited.
        at: places, each once; none gives the formula itself.
        random: draws what stands there instead.
        names: of signals, two at least.
        most: bounds and steps are drawn from 0 to this.

    Raises:
        ValueError: fewer than two names, or a place that cannot be changed.
    """
    if len(names) < 2 or most < 1 or not set(at) <= set(places(formula)):
        raise ValueError(
            f"got places {list(at)}, names {list(names)} and most={most}; expected some of {places(formula)}, two "
            "names or more, and at least 1"
        )

    def change(number: int, node: Formula) -> Formula:
        for place, kind in at:
            if place == number:
                node = _changed(node, kind, random, names, most)
        return node

    return _mapped(formula, change)


def redundant(formula: Formula, times: int, random: np.random.Generator) -> Formula:
    """A formula that means the same, with some part of it negated twice or joined with itself, so many times."""
    for _ in range(times):
        target, negated = int(random.integers(sum(1 for _ in formula.nodes()))), bool(random.random() < 0.5)

        def change(number: int, node: Formula, target: int = target, negated: bool = negated) -> Formula:
            if number != target:
                return node
            return Formula("!", (Formula("!", (node,)),)) if negated else Formula("&", (node, node))

        formula = _mapped(formula, change)
    return formula


def _mapped(formula: Formula, change: Callable[[int, Formula], Formula]) -> Formula:
    """Every node through `change`, with its number; parts before what they are parts of."""
    numbers = count()

    def walked(node: Formula) -> Formula:
        number = next(numbers)
        return change(number, replace(node, of=tuple(walked(part) for part in node.of)))

    return walked(formula)


def _timed(node: Formula) -> Sequence[str]:
    return SYMBOL[1:] if node.operator in "GFU" else ()


def _changed(node: Formula, kind: str, random: np.random.Generator, names: Sequence[str], most: int) -> Formula:
    if kind in ("direction", "operator"):
        return replace(node, operator=MISTAKEN[node.operator])
    if kind == "name":
        return replace(node, name=str(random.choice([name for name in names if name != node.name])))
    if kind == "bound":
        return replace(node, bound=float(random.choice([value for value in range(most + 1) if value != node.bound])))
    first, last = node.interval
    step = int(random.choice([value for value in range(most + 1) if value != node.interval[kind == "last"]]))
    interval = (step, max(step, last)) if kind == "first" else (min(first, step), step)
    return replace(node, interval=interval)
