from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewards.models.progress.near_misses import NearMisses, near_misses
from rewards.models.progress.token_pruning import changed, distinct
from rewards.models.progress.trace_success import Traced, TraceSuccess


@given(st.integers(0, 2**32 - 1))
def test_with_threshold_0_nothing_is_pruned_of_a_recording_in_which_all_changes(seed):
    tokens = np.random.default_rng(seed).random((4, 3, 2)) + 2.0 * np.arange(4)[:, None, None]
    assert changed(tokens).all()
    screen = np.arange(12.0).reshape(3, 4, 1)
    assert distinct(screen, largest=1).all()


def test_what_did_not_change_is_left_out_but_not_of_the_first_frame():
    tokens = np.array([[0.0, 0.0], [0.0, 1.0], [0.1, 1.0]])[..., None]
    assert changed(tokens).tolist() == [[True, True], [False, True], [True, False]]
    assert changed(tokens, threshold=0.5).tolist() == [[True, True], [False, True], [False, False]]
    assert np.array_equal(changed(np.stack([tokens, tokens]))[1], changed(tokens))


def test_regions_by_hand():
    screen = np.array([[0, 0, 1], [2, 0, 0], [3, 3, 0]], float)[..., None]
    assert distinct(screen, largest=4).astype(int).tolist() == [[0, 0, 1], [1, 0, 0], [1, 1, 0]]
    assert distinct(screen, largest=5).all()
    # a snake is one region, however it winds
    snake = np.array([[0, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1]], float)[..., None]
    assert distinct(snake, largest=8).all()
    assert np.array_equal(distinct(snake, largest=7), snake[..., 0] == 1)
    both = distinct(np.stack([screen, np.zeros((3, 3, 1))]), largest=5)
    assert both[0].all() and not both[1].any()


def test_a_near_miss_differs_in_one_sub_goal_that_was_not_asked_for():
    asked = np.array([[1, 2, 3]] * 200)
    found = near_misses(asked, [1, 2, 3, 4, 5], np.random.default_rng(0))
    apart = found.instructions != asked
    assert (apart.sum(1) == 1).all() and (apart.argmax(1) == found.changed).all()
    assert set(found.instructions[apart]) == {4, 5} and set(found.changed) == {0, 1, 2}
    with pytest.raises(ValueError, match="contains every sub-goal"):
        near_misses([[1, 2]], [1, 2], np.random.default_rng(0))


def test_the_first_failing_step_is_where_the_old_sub_goal_was_achieved():
    found = NearMisses(np.array([[1, 9], [9, 2]]), np.array([1, 0]))
    assert found.first_failing([[2, 5], [3, 4]]).tolist() == [5, 3]


def test_the_loss_by_hand():
    told = Traced(torch.zeros(2), torch.tensor([[0.0, 0.0, -torch.inf]] * 2))
    found = told.loss(torch.tensor([1.0, 0.0]), torch.tensor([-1, 1]))
    assert found.tolist() == pytest.approx([math.log(2), 2 * math.log(2)])


def test_what_is_pruned_and_what_comes_after_the_end_is_not_read():
    model, asked = TraceSuccess(4, 2, patches=3, features=2, hidden=8), torch.tensor([[1, 2], [1, 2]])
    tokens, kept = torch.rand(1, 4, 3, 2).repeat(2, 1, 1, 1), torch.ones(2, 4, 3, dtype=torch.bool)
    kept[:, 1, 2] = False
    tokens[1, 1, 2] = 9.0
    tokens[1, 3] = 9.0
    found = model(asked, tokens, kept, torch.tensor([3, 3]))
    torch.testing.assert_close(found.success[0], found.success[1])
    torch.testing.assert_close(found.failing[0], found.failing[1])
    assert torch.isinf(found.failing[:, 3]).all() and torch.isfinite(found.failing[:, :3]).all()
    other = model(torch.tensor([[2, 1]]), tokens[:1], kept[:1], torch.tensor([3]))
    assert not torch.allclose(other.success, found.success[:1])
