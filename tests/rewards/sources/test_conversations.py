from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rewards.advantages.best_of_group import BestOfGroup
from rewards.columns import Column
from rewards.sources.conversations import best_conversations, conversation_rewards, largest_loss
from rewards.views.layout import Layout
from rewards.views.part import Table

nan = float("nan")


@given(arrays(np.float64, (3, 4), elements=st.sampled_from([0.0, 1.0])))
def test_without_the_two_terms_the_chosen_ones_are_those_of_raft(right):
    rewards = conversation_rewards(right, np.ones((3, 4)), np.ones((3, 4)), token_weight=0, loss_weight=0)
    assert (rewards == right).all()
    layout = Layout.of(np.ones(12), np.repeat(np.arange(3), 4))
    raft = BestOfGroup(of="r").apply(Table({"r": Column.full(right.ravel())}, layout, {"r": "episode"}), {})
    best = best_conversations(rewards, least=0.0)
    solved = right.any(1)
    assert (best[~solved] == -1).all()
    assert best[solved].tolist() == raft.values.reshape(3, 4).argmax(1)[solved].tolist()


def test_the_three_terms_by_hand():
    found = conversation_rewards([[1, 0]], [[10, 40]], [[2, 4]])
    assert found[0].tolist() == pytest.approx([1 - 0.6 / 4 + 1 / 2, 0 - 0.6 + 1 / 4])
    assert conversation_rewards([[1, 0]], [[10, 40]], [[2, 4]], most=[80])[0, 1] == pytest.approx(-0.3 + 0.25)


def test_what_is_not_known_is_null_and_what_does_not_count_need_not_be_known():
    found = conversation_rewards([[1, 1, nan]], [[4, nan, 8]], [[1, 1, 1]])
    assert np.isnan(found[0, 1:]).all() and found[0, 0] == pytest.approx(1 - 0.3 + 1)
    assert conversation_rewards([[1.0]], [[nan]], [[nan]], token_weight=0, loss_weight=0).tolist() == [[1.0]]
    assert best_conversations(found, 0.5).tolist() == [0] and best_conversations([[nan]], 0.0).tolist() == [-1]


def test_the_largest_loss_is_of_the_least_likely_utterance():
    logs = np.log([[[0.5, 0.5], [0.25, 0.9]]])
    mask = [[[True, True], [True, False]]]
    assert largest_loss(logs, mask).tolist() == pytest.approx([math.log(4)])
    assert largest_loss(logs, [[[True, True], [False, False]]]).tolist() == pytest.approx([math.log(2)])
    assert np.isnan(largest_loss(logs, np.zeros((1, 2, 2)))).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="losses above 0"):
        conversation_rewards([[1]], [[1]], [[0]])
    with pytest.raises(ValueError, match="three times"):
        conversation_rewards([1], [1], [1])
    with pytest.raises(ValueError, match="n of at least 1"):
        best_conversations(np.zeros((2, 0)), 0.0)
    with pytest.raises(ValueError, match="twice"):
        largest_loss([[1.0]], [[True]])
