"""A tree of conversations whose nodes are turns: where it is worth branching, and pairs of turns to learn from.

A pass begins at a node, says what comes after it to the end, and tells every turn on the way what it came to; a node's
value is the mean of that. Which node is next:

    of all that have a turn after the next one, less those that say nearly what an expanded one says,
    the most valuable, drawn by softmax of their values

A turn and its sibling say different things at the same place; the best and the worst of them are a pair for DPO where
the best is good enough and the worst is worse by enough.

Source: Optima (Chen et al. 2024) and its released code: a quarter of the longer text as nearly the same, the ten most
valuable, three passes a node, bounds of 0.2 and 0.4, and the better half of all pairs is kept.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

from actors.search.tree import Node

Turn = tuple[Hashable, ...]
"""Tokens of an utterance."""
Tree = Node[None, Turn]


class TurnPair(NamedTuple):
    """Two turns after the same beginning.

    Attributes:
        before: the turns that were said.
        chosen: the turn that came to more.
        rejected: the turn that came to less.
        value: of the chosen one.
    """

    before: tuple[Turn, ...]
    chosen: Turn
    rejected: Turn
    value: float


def value(node: Tree) -> float:
    """Mean reward of the passes through a node; 0 before the first."""
    return float(np.mean(node.returns)) if node.returns else 0.0


def all_nodes(root: Tree) -> list[Tree]:
    """Every node, parents first."""
    found = [root]
    for node in found:  # it grows
        found += node.children
    return found


def add(node: Tree, turns: Sequence[Turn], reward: float) -> None:
    """A pass: turns that were said after a node, to the end, and what the conversation came to.

    Raises:
        ValueError: nothing was said, or a reward that is not finite.
    """
    if not turns or not np.isfinite(reward):
        raise ValueError(f"got {len(turns)} turns that came to {reward}; expected at least one, and a finite reward")
    for turn in turns:
        node.children.append(Node([None], turn, parent=node))
        node = node.children[-1]
    node.ended = True
    above: Tree | None = node
    while above is not None:
        above.returns.append(reward)
        above = above.parent


def next_node(
    root: Tree, expanded: Sequence[Tree], random: np.random.Generator, alike: float = 0.25, most: int = 10
) -> Tree:
    """The node that passes begin at next; the root before the first pass, and where nothing else is left.

    Args:
        root: of the tree.
        expanded: nodes that passes began at.
        random: of the draw.
        alike: edit distance, as a share of the longer text, below which a turn says what an expanded one says.
        most: how many of the most valuable may be drawn.

    Raises:
        ValueError: a share that is not from 0 to 1, or none that may be drawn.
    """
    if not 0 <= alike <= 1 or most < 1:
        raise ValueError(f"got alike={alike} and most={most}; expected 0 to 1, and at least 1")
    left = [
        node
        for node in all_nodes(root)
        if any(child.children for child in node.children)
        and node not in expanded
        and not any(_distance(node, other) < alike for other in expanded)
    ]
    if not left:
        return root
    left = sorted(left, key=value, reverse=True)[:most]
    chances = np.exp([value(node) for node in left])
    return left[random.choice(len(left), p=chances / chances.sum())]


def turn_pairs(root: Tree, least: float = 0.2, gap: float = 0.4, share: float = 0.5) -> list[TurnPair]:
    """The best and the worst turn after each node, the most valuable first.

    Args:
        root: of the tree.
        least: what the best must be worth more than.
        gap: by how much more than the worst.
        share: of the pairs, rounded up, that is kept: those whose chosen turn is worth most.

    Raises:
        ValueError: a negative gap, or a share that is not from 0 to 1.
    """
    if gap < 0 or not 0 <= share <= 1:
        raise ValueError(f"got gap={gap} and share={share}; expected at least 0, and 0 to 1")
    found = []
    for node in all_nodes(root):
        turns = [(value(child), child.action) for child in node.children if child.action is not None]
        if len(turns) < 2:
            continue
        (high, chosen), (low, rejected) = max(turns, key=lambda one: one[0]), min(turns, key=lambda one: one[0])
        if high > least and high - low > gap and chosen != rejected:
            found.append(TurnPair(tuple(node.actions), chosen, rejected, high))
    found.sort(key=lambda pair: pair.value, reverse=True)
    return found[: int(np.ceil(share * len(found)))]


def _distance(node: Tree, other: Tree) -> float:
    return float(Levenshtein.normalized_distance(node.action or (), other.action or ()))
