from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.sources.agreement import NONE, majority, majority_reward, shuffled_agreement


def test_the_others_majority_pays_and_the_same_samples_as_voters_are_ones_own_majority():
    answers, rewritten = [[5, 5, 7, NONE]], [[7, 7, 5, 9]]
    assert majority_reward(answers, rewritten).tolist() == [[0, 0, 1, 0]]
    assert majority_reward(rewritten, answers).tolist() == [[0, 0, 1, 0]]
    assert majority_reward(answers, answers).tolist() == majority_reward(answers).tolist() == [[1, 1, 0, 0]]


def test_ties_go_to_the_first_and_nobody_agrees_with_no_answer():
    assert majority([[3, 2, 2, 3], [NONE, 4, 4, NONE], [NONE] * 4]).tolist() == [3, 4, NONE]
    assert majority_reward([[NONE, NONE], [1, 2]], [[NONE, 3], [NONE, NONE]]).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(ValueError, match="expected as many"):
        majority_reward([[1]], [[1], [2]])
    with pytest.raises(ValueError, match="at least one member"):
        majority([[]])


def test_unanimous_answers_all_earn_one_also_where_they_are_always_the_same():
    assert majority_reward(np.full((3, 4), 6), np.full((3, 5), 6)).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_majority_is_a_mode_and_names_of_answers_do_not_matter(seed):
    given_answers = np.random.default_rng(seed).integers(0, 4, (5, 7))
    found = majority(given_answers)
    for row, mode in zip(given_answers, found, strict=True):
        assert (row == mode).sum() == np.bincount(row).max()
    assert majority(given_answers + 10).tolist() == (found + 10).tolist()


def test_with_the_same_order_it_is_accuracy_and_a_shortcut_by_place_is_paid_in_part():
    given, truth = [1, 2, 3, -1], [1, 0, 3, 0]
    assert shuffled_agreement(given, given, truth).tolist() == [1, 0, 1, 0]
    assert shuffled_agreement([1, 1, 0, 0], [1, 0, 1, 0], [1] * 4).tolist() == [1.0, 0.5, 0.25, 0.0]
    with pytest.raises(ValueError, match="lucky ≤ partial"):
        shuffled_agreement([0], [0], [0], partial=0.1, lucky=0.5)
