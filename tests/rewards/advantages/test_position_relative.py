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
