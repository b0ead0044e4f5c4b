from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.data.preference_trees import grow, leaf_pairs, shared_segments, tree_paths, tree_segments


def test_a_tree_by_hand():
    assert tree_paths(2, 3).tolist() == [
        [0, 0, 0], [0, 0, 1], [0, 1, 2], [0, 1, 3], [1, 2, 4], [1, 2, 5], [1, 3, 6], [1, 3, 7],
    ]  # fmt: skip
    assert tree_segments(2, 3) == 2 + 4 + 8
    assert tree_paths(1, 3).tolist() == [[0, 0, 0]] and tree_segments(1, 3) == 3


@given(st.integers(1, 3), st.integers(1, 4))
def test_leaves_are_as_many_as_paths_and_segments_are_written_once(branching, depth):
    written = []

    def write(beginnings):
        written.extend(beginnings)
        return [(*text, len(written) - len(beginnings) + k) for k, text in enumerate(beginnings)]

    leaves = grow((), write, branching, depth)
    assert len(leaves) == branching**depth == len(tree_paths(branching, depth))
    assert len(written) == tree_segments(branching, depth)
    same = np.array(leaves)[:, None] == np.array(leaves)[None]
    paths = tree_paths(branching, depth)
    assert (same == (paths[:, None] == paths[None])).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 2))
def test_pairs_are_of_two_leaves_that_share_enough_and_none_comes_twice(seed, least):
    pairs = leaf_pairs(2, 3, 4, np.random.default_rng(seed), least)
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert len({tuple(sorted(pair)) for pair in pairs.tolist()}) == 4
    assert (shared_segments(tree_paths(2, 3), pairs) >= least).all()


def test_what_leaves_share():
    paths = tree_paths(2, 3)
    assert shared_segments(paths, [[0, 1], [1, 0], [0, 2], [3, 4], [5, 5]]).tolist() == [2, 2, 1, 0, 3]


def test_what_is_no_tree_is_refused():
    with pytest.raises(ValueError, match="expected at least 1"):
        tree_paths(0, 2)
    with pytest.raises(ValueError, match="expected at most 4 pairs of leaves that share 2"):
        leaf_pairs(2, 3, 5, np.random.default_rng(0), least=2)
    with pytest.raises(ValueError, match="got 1 continuations of 2"):
        grow("", lambda beginnings: ["x"], 2, 1)
