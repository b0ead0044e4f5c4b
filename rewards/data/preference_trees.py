"""Answers that share their beginnings, to be compared: a tree of prefixes in place of answers from nothing.

Of depth D and branching b it has b^D leaves and b + b² + … + b^D segments, so that a leaf costs less than an answer of
its own (D segments), and two leaves differ only behind where they part. Comparing them says which of the last segments
is better, with all the rest held equal. How sure a set of comparisons makes a reward model is told by
`rewards.evaluation.inference_distance`.

Source: Reward Generalization in RLHF, A Topological Perspective (Qiu et al. 2024): reward models from preferences in
trees. Whole answers as what is compared, and pairs drawn alike from all of a tree, are chosen here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
Text = TypeVar("Text")


def tree_paths(branching: int, depth: int) -> Ints:
    """Number of the segment of each level that each leaf goes by, counted along the level `[b^D, D]`.

    Raises:
        ValueError: branching or depth below 1.
    """
    _require(branching, depth)
    leaves = np.arange(branching**depth)[:, None]
    return np.asarray(leaves // branching ** np.arange(depth - 1, -1, -1), np.int64)


def tree_segments(branching: int, depth: int) -> int:
    """Segments that are written for a tree, each once.

    Raises:
        ValueError: branching or depth below 1.
    """
    _require(branching, depth)
    return sum(branching**level for level in range(1, depth + 1))


def grow(start: Text, write: Callable[[Sequence[Text]], Sequence[Text]], branching: int, depth: int) -> list[Text]:
    """Leaves of a tree of answers to one prompt, in the order of `tree_paths`.

    Args:
        start: the prompt.
        write: goes on by one segment from each beginning, all of a level at once.
        branching: b.
        depth: D.

    Raises:
        ValueError: branching or depth below 1, or other than one continuation of each beginning.
    """
    _require(branching, depth)
    level = [start]
    for _ in range(depth):
        begun = [text for text in level for _ in range(branching)]
        level = list(write(begun))
        if len(level) != len(begun):
            raise ValueError(f"got {len(level)} continuations of {len(begun)} beginnings; expected one of each")
    return level


def leaf_pairs(branching: int, depth: int, number: int, random: np.random.Generator, least: int = 0) -> Ints:
    """Pairs of different leaves to be compared, each pair once, drawn alike `[number, 2]`.

    Args:
        branching: b.
        depth: D.
        number: of pairs.
        random: of the draw, and of which leaf stands first.
        least: segments that the leaves of a pair share at least, from 0 to D − 1.

    Raises:
        ValueError: there are not so many pairs.
    """
    paths = tree_paths(branching, depth)
    every = np.stack(np.triu_indices(len(paths), 1), 1)
    every = every[shared_segments(paths, every) >= least]
    if not 0 <= number <= len(every):
        raise ValueError(
            f"got number={number}; expected at most {len(every)} pairs of leaves that share {least} segments"
        )
    chosen = every[random.permutation(len(every))[:number]]
    return np.asarray(random.permuted(chosen, axis=1), np.int64)


def shared_segments(paths: ArrayLike, pairs: ArrayLike) -> Ints:
    """Segments from the start on that both leaves of each pair go by `[n]`.

    Args:
        paths: as of `tree_paths` `[leaves, D]`.
        pairs: numbers of leaves `[n, 2]`.
    """
    of, both = np.asarray(paths), np.asarray(pairs)
    same = of[both[:, 0]] == of[both[:, 1]]
    found: Ints = np.cumprod(same, axis=1).sum(axis=1)
    return found


def _require(branching: int, depth: int) -> None:
    if min(branching, depth) < 1:
        raise ValueError(f"got branching={branching} and depth={depth}; expected at least 1")
