from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.data.guided_retry import outcome_pairs, pooled, to_retry

NONE = np.nan
OUTCOMES = st.lists(st.lists(st.sampled_from([0.0, 1.0, NONE]), min_size=4, max_size=4), min_size=1, max_size=5)


def test_without_guidance_the_pairs_are_those_of_attempts_alone():
    alone = [[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]]
    pool = pooled(alone, np.full((2, 4), NONE))
    pairs = outcome_pairs(pool.right, 3, np.random.default_rng(0))
    assert np.array_equal(pairs, outcome_pairs(alone, 3, np.random.default_rng(0))) and len(pairs) == 3
    assert pool.solved.tolist() == [True, False] and not pool.guided[:, :4].any()


def test_what_is_known_to_have_failed_is_tried_again_and_what_then_succeeds_is_paired_with_it():
    first = np.array([[0.0, NONE], [1.0, 0.0], [0.0, 0.0]])
    assert to_retry(first).tolist() == [[True, False], [False, True], [True, True]]
    pool = pooled(first, [[1.0, NONE], [NONE, 1.0], [0.0, 0.0]])
    assert pool.solved.tolist() == [True, True, False]
    assert pool.guided.tolist() == [[False, False, True, True]] * 3
    pairs = outcome_pairs(pool.right, 9, np.random.default_rng(0))
    assert sorted(pairs.tolist()) == [[0, 2, 0], [1, 0, 1], [1, 3, 1]]


@given(OUTCOMES, st.integers(1, 4), st.integers(0, 9))
def test_no_pair_twice_none_of_equals_and_as_many_of_a_task_as_there_are_or_may_be(right, most, seed):
    known = np.array(right)
    pairs = outcome_pairs(known, most, np.random.default_rng(seed))
    assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)
    assert (known[pairs[:, 0], pairs[:, 1]] == 1).all() and (known[pairs[:, 0], pairs[:, 2]] == 0).all()
    number = np.minimum((known == 1).sum(1) * (known == 0).sum(1), most)
    assert np.array_equal(np.bincount(pairs[:, 0], minlength=len(known)), number)
    assert (np.diff(pairs[:, 0]) >= 0).all()


def test_shapes_and_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"expected \[P, G\] and \[P, H\]"):
        pooled(np.zeros((2, 3)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="at least 1"):
        outcome_pairs(np.zeros((2, 3)), 0, np.random.default_rng(0))
