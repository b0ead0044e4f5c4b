from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rewards.columns import Column
from rewards.shaping.process_reward import ProcessReward
from rewards.views.layout import Layout
from rewards.views.part import Table


def column(*values):
    return Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))


def paid(scores, steps, ended=None, began=None, **settings):
    table = Table({"p": column(*scores)}, Layout.of(steps=steps, ended=ended, began=began))
    found = ProcessReward(of="p", **settings).apply(table, {})
    return [round(float(v), 6) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_clip_delta_and_both_by_hand():
    scores = (0.9, 0.5, 0.7, 0.2)
    assert paid(scores, [4], clip=0.6, delta=False) == [0, -0.1, 0, -0.4]
    assert paid(scores, [4], clip=None, delta=True) == [0.4, -0.2, 0.7, 0]  # the last step is for the outcome to pay
    assert paid(scores, [4], clip=0.6, delta=True) == [0.1, -0.1, 0, 0]
    assert paid(scores, [1, 3], clip=None, delta=True) == [0, -0.2, 0.7, 0]
    assert paid((0.2, 0.6), [2], clip="mean", delta=False) == [-0.2, 0]


@settings(max_examples=25, deadline=None)
@given(scores=st.lists(st.floats(0, 1, width=16), min_size=2, max_size=8), again=st.integers(1, 5))
def test_steps_that_are_repeated_earn_nothing_more(scores, again):
    total = sum(paid(scores, [len(scores)], clip=None))
    assert total == pytest.approx(scores[0], abs=1e-5)
    longer = scores[:1] * again + scores
    assert sum(paid(longer, [len(longer)], clip=None)) == pytest.approx(scores[0], abs=1e-5)
    clipped = paid(longer, [len(longer)], clip=0.5, delta=False)
    assert max(clipped) <= 0 and sum(clipped) <= sum(paid(scores, [len(scores)], clip=0.5, delta=False)) + 1e-5


def test_a_difference_to_what_is_not_known_is_not_known():
    assert paid((0.9, None, 0.7, 0.2), [4], clip=None) == [None, None, 0.7, 0]
    assert paid((0.9, 0.5, None), [3], clip=None) == [0.4, 0.5, None]
    assert paid((0.2, None, 0.6), [3], clip="mean", delta=False) == [-0.2, None, 0]


def test_where_an_episode_was_cut_the_last_difference_is_not_known_and_no_score_is_paid_whole():
    rows = {"steps": [2, 2], "ended": [False, True], "began": [True, False]}
    assert paid((0.9, 0.8, 0.7, 0.6), **rows, clip=None) == [0.1, None, 0.7, 0]


def test_settings_that_do_nothing_are_refused():
    with pytest.raises(ValidationError, match="neither clip nor delta"):
        ProcessReward(of="p", clip=None, delta=False)
    with pytest.raises(ValidationError, match="finite"):
        ProcessReward(of="p", clip=float("inf"))
