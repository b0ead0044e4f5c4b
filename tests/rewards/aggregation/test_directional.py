from __future__ import annotations

import numpy as np
import pytest

from rewards.aggregation.directional import Directional, direction_text
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.part import Table
from rewards.views.view import Config, RewardView

LAYOUT = Layout.of(steps=[1] * 4, group=[0, 0, 1, 1])
LEVELS = {"a": "episode", "b": "episode", "va": "group", "vb": "group"}


def column(*values):
    return Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))


def projected(a, b, va, vb):
    shown = Table({"a": column(*a), "b": column(*b), "va": column(*va), "vb": column(*vb)}, LAYOUT, LEVELS)
    found = Directional(directions={"a": "va", "b": "vb"}).apply(shown, {})
    return [round(float(v), 5) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_along_an_axis_it_is_that_reward_and_along_others_the_projection():
    assert projected((1, 2, 3, 4), (5, 6, 7, 8), (1, 0), (0, 2)) == [1, 2, 7, 8]
    assert projected((1, 0, 5, 1), (0, 1, 0, 1), (3, -1), (4, 1)) == [0.6, 0.8, -3.53553, 0]


def test_a_direction_that_points_nowhere_or_a_reward_that_is_not_known_is_null():
    assert projected((1, None, 3, 4), (1, 1, 1, 1), (1, 0), (0, 0)) == [1, None, None, None]
    assert projected((1, 1, 3, 4), (1, 1, 1, 1), (None, 1), (0, 0)) == [None, None, 3, 4]


def test_along_an_axis_the_best_of_a_group_is_the_best_by_that_reward():
    view = RewardView(
        Config.model_validate(
            {
                "name": "dpa",
                "components": LEVELS,
                "parts": [
                    {"part": "directional", "directions": {"a": "va", "b": "vb"}},
                    {"part": "best_of_group", "of": "reward"},
                ],
            }
        )
    )
    columns = {"a": column(1, 2, 4, 3), "b": column(9, 1, 1, 9), "va": column(1, 1), "vb": column(0, 0)}
    found = view.apply(columns, LAYOUT)
    assert found.advantage.values.tolist() == [0, 1, 1, 0]


def test_a_direction_is_written_in_hundredths():
    assert direction_text({"helpfulness": 0.8, "verbosity": 0.6}) == "helpfulness: 80, verbosity: 60"
    with pytest.raises(ValueError, match="expected a unit vector"):
        direction_text({"helpfulness": 1, "verbosity": 1})
