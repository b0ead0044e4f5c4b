from __future__ import annotations

import numpy as np
import pytest

from rewards.data.curation import consistent, retrieval_counts, retrieved

NULL = float("nan")


def test_without_noise_everything_is_kept_and_nothing_turned_round():
    right = np.random.default_rng(0).uniform(0.51, 1.0, (2, 50))
    found = consistent(right[0], right[1])
    assert found.kept.all() and not found.flipped.any()
    assert found.soft_labels.tolist() == found.weights.tolist() == [1.0] * 50


def test_what_both_contradict_is_turned_round_and_where_they_differ_it_is_dropped():
    found = consistent([0.9, 0.2, 0.9, 0.2, 0.5], [0.8, 0.1, 0.3, 0.7, 0.5])
    assert found.kept.tolist() == [True, False, False, False, False]
    assert found.flipped.tolist() == [False, True, False, False, False]
    np.testing.assert_array_equal(found.soft_labels, [1.0, 0.0, NULL, NULL, NULL])
    assert found.weights.tolist() == [1, 1, 0, 0, 0]


def test_turning_labels_round_swaps_what_is_kept_and_what_is_turned_round():
    best, gold = np.random.default_rng(1).random((2, 40))
    as_given, turned = (consistent(*chances, confidence=0.6) for chances in ((best, gold), (1 - best, 1 - gold)))
    assert (as_given.kept == turned.flipped).all() and (as_given.flipped == turned.kept).all()


def test_an_annotator_stands_in_for_the_best_model_but_not_for_the_verified_one():
    found = consistent([0.1, 0.1, 0.1, NULL], [0.9, 0.1, 0.1, 0.9], annotated=[1.0, 1.0, 0.0, NULL])
    assert found.kept.tolist() == [True, False, False, False]
    assert found.flipped.tolist() == [False, False, True, False]


def test_a_model_without_a_score_keeps_nothing_and_turns_nothing_round():
    found = consistent([0.9, 0.1, NULL], [NULL, NULL, NULL])
    assert not found.weights.any()


def test_more_is_looked_for_where_the_model_errs():
    assert retrieval_counts([0.0, 0.5, 0.51, 0.8, 1.0]).tolist() == [8, 8, 4, 2, 0]


def test_the_nearest_that_are_not_taken_are_found_once():
    pool = [[1.0, 0.0], [0.9, 0.1], [0.0, 2.0], [-1.0, 0.0]]
    assert retrieved([[2.0, 0.0], [0.0, 1.0]], pool, [2, 1]).tolist() == [0, 1, 2]
    assert retrieved([[2.0, 0.0], [3.0, 0.0]], pool, [1, 1]).tolist() == [0]
    assert retrieved([[2.0, 0.0]], pool, [1], taken=[True, False, False, False]).tolist() == [1]
    assert retrieved([[2.0, 0.0]], pool, [9], taken=[True, True, True, False]).tolist() == [3]
    assert not len(retrieved([[2.0, 0.0]], pool, [0]))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="one chance a pair"):
        consistent([0.5], [0.5, 0.5])
    with pytest.raises(ValueError, match="not the scores themselves"):
        consistent([2.0], [0.5])
    with pytest.raises(ValueError, match="below 1"):
        consistent([0.5], [0.5], confidence=0.4)
    with pytest.raises(ValueError, match="leave NULLs out"):
        retrieval_counts([NULL])
    with pytest.raises(ValueError, match=r"\[G, D\]"):
        retrieved([[1.0]], [[1.0, 0.0]], [1])
