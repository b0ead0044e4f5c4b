from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.sources.checklists import first_met, turn_scores
from rewards.views.layout import Layout
from rewards.views.part import Table
from rewards.views.parts import part_of

TURN = [0, 0, 0, 1, 1]
MET = [[1, 0], [1, 0], [0, 1], [0, 1], [0, 0]]


def test_all_criteria_give_exactly_one_at_the_end_of_the_turn_and_one_met_twice_counts_once():
    assert turn_scores(MET, [3, 1], TURN).tolist() == [0, 0, 1, 0, 0.25]
    assert turn_scores(MET, [3, 1], TURN, sparse=False).tolist() == [0.75, 0, 0.25, 0.25, 0]


def test_one_turn_and_one_criterion_are_a_binary_reward():
    assert turn_scores([[0], [1], [1]], [2.0], [0, 0, 0]).tolist() == [0, 0, 1]
    assert turn_scores([[0], [0], [0]], [2.0], [0, 0, 0]).tolist() == [0, 0, 0]


def test_a_criterion_counts_when_all_it_depends_on_is_met_too():
    found = first_met([[0, 1], [1, 0], [0, 0], [0, 1], [0, 0]], TURN, {1: [0]})
    assert found.tolist() == [[0, 0], [1, 1], [0, 0], [0, 0], [0, 0]]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_sparse_and_dense_assignment_pay_the_same_in_each_turn(seed):
    random = np.random.default_rng(seed)
    turn = np.repeat(np.arange(3), random.integers(1, 4, 3))
    told, weights = random.random((len(turn), 4)) < 0.4, random.random(4) + 0.1
    sums = [np.bincount(turn, turn_scores(told, weights, turn, {2: [0]}, sparse)) for sparse in (True, False)]
    assert sums[0] == pytest.approx(sums[1]) and (sums[0] <= 1 + 1e-9).all()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="smaller numbers"):
        first_met([[1, 1]], [0], {0: [1]})
    for turn in ([0, 2], [1, 1], [1, 0], [0]):
        with pytest.raises(ValueError, match="in order"):
            first_met([[1], [1]], turn)
    for weights in ([0.0], [-1.0], [1.0, 1.0]):
        with pytest.raises(ValueError, match="none below 0"):
            turn_scores([[1]], weights, [0])


def test_turns_are_compared_where_more_than_four_of_a_group_have_reached_them():
    # Five dialogues of two turns, of which the last breaks off after one; steps are turns here.
    layout = Layout.of(steps=[2, 2, 2, 2, 1], group=[0] * 5)
    table = Table({"r": Column.full([1, 0, 1, 1, 0, 0, 0, 0, 0.5])}, layout)
    part = part_of({"part": "position_relative", "preset": "cm2", "of": "r"})
    found = part.apply(table, {})
    first = np.array([0, 2, 4, 6, 8])
    scores = np.array([1, 1, 0, 0, 0.5])
    np.testing.assert_allclose(found.values[first], (scores - 0.5) / scores.std(ddof=1), rtol=1e-5)
    assert found.valid.tolist() == [True, False] * 4 + [True]
