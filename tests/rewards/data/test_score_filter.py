from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.language.reward_losses import bradley_terry
from rewards.columns import Column
from rewards.data.score_filter import length_balanced, lowest
from rewards.evaluation.accuracy import best_of_n
from rewards.groups import group_advantages

NULL = float("nan")


@pytest.mark.parametrize("constant", [-8.0, 0.25, 1024.0])
def test_a_constant_added_to_all_scores_changes_no_loss_no_choice_no_advantage_and_no_filter(constant):
    scores = np.random.default_rng(0).integers(-16, 16, (6, 4)) / 8  # sums are exact
    moved, worth = scores + constant, np.random.default_rng(1).random((6, 4)).tolist()
    pairs, moved_pairs = (torch.as_tensor(values[:, :2].T.copy()) for values in (scores, moved))
    assert torch.equal(bradley_terry(*pairs), bradley_terry(*moved_pairs))
    for n in (1, 2, 4):
        assert best_of_n(scores.tolist(), worth, n) == best_of_n(moved.tolist(), worth, n)
    advantages = [group_advantages(Column.full(values)).values for values in (scores, moved)]
    np.testing.assert_allclose(*advantages, atol=1e-5)
    assert (lowest(scores.ravel(), 0.3) == lowest(moved.ravel(), 0.3)).all()


def test_the_lowest_share_is_of_what_is_known_and_null_is_not_low():
    assert lowest([3.0, NULL, 1.0, 2.0, NULL], 0.34).tolist() == [False, False, True, False, False]
    assert lowest([1.0, 1.0, 1.0, 1.0], 0.5).tolist() == [True, True, False, False]
    assert lowest(np.arange(100.0), 0.29).sum() == 29
    assert not lowest([NULL, NULL], 1.0).any() and not len(lowest([], 0.5))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.floats(0, 1))
def test_nothing_left_out_scores_above_what_stays(scores, share):
    found, given_scores = lowest(scores, share), np.array(scores)
    assert found.sum() <= share * len(scores) + 1e-6
    if found.any() and not found.all():
        assert given_scores[found].max() <= given_scores[~found].min()


def test_a_pair_whose_chosen_answer_is_much_longer_is_left_out():
    assert length_balanced([10, 21, 5, 0], [10, 10, 50, 0]).tolist() == [True, False, True, True]
    assert length_balanced([10, 11], [10, 10], ratio=1.0).tolist() == [True, False]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"a share in \[0, 1\]"):
        lowest([1.0], 2.0)
    with pytest.raises(ValueError, match="ratio of at least 1"):
        length_balanced([1], [1], ratio=0.5)
    with pytest.raises(ValueError, match="at least 0"):
        length_balanced([NULL], [1])
