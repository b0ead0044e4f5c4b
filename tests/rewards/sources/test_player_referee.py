from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rewards.columns import Column
from rewards.sources.player_referee import referee_reward, self_scores
from rewards.views.layout import Layout
from rewards.views.part import Table
from rewards.views.parts import part_of

scores = arrays(np.int64, (6, 2), elements=st.integers(1, 5))


@given(scores)
def test_of_a_pair_the_referee_earns_the_sign_of_its_verdict_by_the_label(said):
    label = np.array([[1.0, 0.0], [0.0, 1.0]] * 3)
    expected = np.sign(said[:, 0] - said[:, 1]) * np.sign(label[:, 0] - label[:, 1])
    assert referee_reward(said, label).tolist() == expected.tolist()


def test_a_list_earns_kendalls_tau_and_a_judgement_without_its_form_the_least():
    order = [[3, 2, 1]] * 4
    found = referee_reward([[5, 4, 1], [4, 5, 1], [1, 2, 3], [5, 4, 1]], order, [True, True, True, False])
    assert found.tolist() == pytest.approx([1, 1 / 3, -1, -1])


def test_a_label_that_orders_nothing_is_null():
    assert np.isnan(referee_reward([[1, 2]], [[0.5, 0.5]])).all()


def test_own_scores_are_means_of_the_judgements_with_their_form():
    given_scores = [[[1.0, 5.0], [3.0, 3.0]], [[2.0, 4.0], [np.nan, 0.0]], [[1.0, 1.0], [1.0, 1.0]]]
    found = self_scores(given_scores, [[True, True], [True, False], [False, False]])
    assert found[:2].tolist() == [[2.0, 4.0], [2.0, 4.0]] and np.isnan(found[2]).all()


def test_rows_of_three_kinds_are_compared_within_their_groups_whatever_their_units():
    nan = float("nan")
    right, ranked, own = [1, 0, nan, nan, nan, nan], [nan, nan, -1, 1, nan, nan], [nan, nan, nan, nan, 30, 70]
    layout = Layout.of(np.ones(6), np.repeat(np.arange(3), 2))
    columns = {
        name: Column(np.array(values, np.float32), ~np.isnan(values))
        for name, values in {"right": right, "ranked": ranked, "own": own}.items()
    }
    first = part_of({"part": "first_known", "of": ["right", "ranked", "own"], "to": "reward"})
    reward = first.apply(Table(columns, layout, dict.fromkeys(columns, "episode")), {})
    grpo = part_of({"part": "group_relative", "preset": "grpo", "of": "reward"})
    found = grpo.apply(Table({"reward": reward}, layout, {"reward": "episode"}), {})
    half = 0.5**0.5
    assert found.values.tolist() == pytest.approx([half, -half, -half, half, -half, half], rel=1e-4)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"expected \[G, J, N\]"):
        self_scores([[1.0, 2.0]], [True])
    with pytest.raises(ValueError, match="not finite"):
        self_scores([[[np.nan, 1.0]]], [[True]])
