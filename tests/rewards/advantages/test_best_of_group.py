from __future__ import annotations

import numpy as np
import pytest

from rewards.advantages.best_of_group import BestOfGroup
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.part import Table


def test_the_first_of_the_best_is_taken_and_null_never_is():
    values = np.array([1, 3, 3, np.nan, -2, -1], np.float32)
    layout = Layout.of(steps=[1] * 6, group=[0, 0, 0, 1, 1, 1])
    shown = Table({"r": Column(values, np.isfinite(values))}, layout, {"r": "episode"})
    found = BestOfGroup(of="r").apply(shown, {})
    assert found.values[found.valid].tolist() == [0, 1, 0, 0, 1]
    assert found.valid.tolist() == [True, True, True, False, True, True]


def test_a_column_of_groups_has_no_rivals():
    with pytest.raises(ValueError, match="a group has no rival"):
        BestOfGroup(of="r").level({"r": "group"})
