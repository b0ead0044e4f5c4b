from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rewards.columns import Column
from rewards.shaping.peaks import Peaks
from rewards.views.layout import Layout
from rewards.views.part import Table


def found(*episodes, **settings):
    """Peaks of tokens, a list for each episode of one step."""
    flat = [v for values in episodes for v in values]
    known = np.array([v is not None for v in flat])
    column = Column(np.array([np.nan if v is None else v for v in flat], np.float32), known)
    layout = Layout.of(steps=[1] * len(episodes), tokens=[len(values) for values in episodes])
    made = Peaks(of="d", **settings).apply(Table({"d": column}, layout, {"d": "token"}), {})
    return [float(v) if ok else None for v, ok in zip(made.values, made.valid, strict=True)]


def test_by_hand():
    assert found([2, 4, 12, 8], above=0.5) == pytest.approx([0, 0, 1, 0.6])
    assert found([2, 4, 12, 8], [0, 1], above=0.5, most=1) == pytest.approx([0, 0, 1, 0, 0, 1])
    assert found([0, 1, 1, 1], above=0, most=2) == [0, 1, 1, 0]  # of equals the first


def test_where_all_are_equal_nothing_stands_out_and_null_is_in_no_range():
    assert found([3, 3], [7]) == [0, 0, 0]
    assert found([None, 1, 3, None], [None], above=0) == [None, 0, 1, None, None]


@given(st.lists(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=6), min_size=1))
def test_what_stands_out_is_between_0_and_1_and_few_do(episodes):
    values = iter(found(*episodes, above=0.3, most=2))
    for episode in episodes:
        own = [next(values) for _ in episode]
        kept = [v for v in own if v]
        assert [v is None for v in own] == [v is None for v in episode]
        assert len(kept) <= 2 and all(0.3 < v <= 1 for v in kept)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValidationError, match="less than 1"):
        Peaks(of="d", above=1.0)
    with pytest.raises(ValueError, match="expected one of each step or token"):
        Peaks(of="d").level({"d": "episode"})
