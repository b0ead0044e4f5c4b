from __future__ import annotations

import numpy as np

from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.part import Table
from rewards.views.parts import part_of


def test_steps_are_compared_with_those_at_their_place():
    layout = Layout.of(steps=[2, 3, 2], group=[0, 0, 1])
    columns = {"r": Column.full([1.0, 4.0, 3.0, 8.0, 5.0, 2.0, 2.0])}
    found = part_of({"part": "position_relative", "preset": "centred", "of": "r"}).apply(Table(columns, layout), {})
    assert found.values[:4].tolist() == [-1, -2, 1, 2]
    assert found.valid.tolist() == [True] * 4 + [False] * 3  # alone at their place: nothing to compare with
    scaled = part_of({"part": "position_relative", "preset": "tp_grpo", "of": "r"}).apply(Table(columns, layout), {})
    np.testing.assert_allclose(scaled.values[:4], [-np.sqrt(0.5), -np.sqrt(0.5), np.sqrt(0.5), np.sqrt(0.5)], rtol=1e-4)


def staged(scores, answers):
    """SS-GRPO of three attempts at one task: advantages of their stages `[3, K]`."""
    layout = Layout.of(steps=np.full(3, np.shape(scores)[1]), group=[0, 0, 0])
    columns = {"stage": Column.full(np.ravel(scores)), "answer": Column.full(answers)}
    table = Table(columns, layout, {"stage": "step", "answer": "episode"})
    own = part_of({"part": "position_relative", "preset": "ss_grpo", "of": "stage"}).apply(table, {})
    last = part_of({"part": "group_relative", "preset": "grpo", "of": "answer"}).apply(table, {})
    return own.values.reshape(np.shape(scores)), last.values


def test_one_stage_is_grpo_and_a_stage_of_equals_teaches_nothing():
    answers = [0.2, 0.9, 0.4]
    own, last = staged([[r] for r in answers], answers)
    np.testing.assert_array_equal(own[:, 0], last)
    own, _ = staged([[0.7, 0.1], [0.7, 0.3], [0.7, 0.2]], answers)
    assert own[:, 0].tolist() == [0, 0, 0]
    np.testing.assert_allclose(own[:, 1], [-1, 1, 0], atol=1e-4)
