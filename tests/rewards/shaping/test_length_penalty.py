from __future__ import annotations

import math

import numpy as np
import pytest

from rewards.columns import Column
from rewards.shaping.length_penalty import LengthPenalty
from rewards.views.layout import Layout
from rewards.views.part import Table

LAYOUT = Layout.of(steps=[1] * 6, group=[0, 0, 0, 1, 1, 1])


def paid(correct, length, **settings):
    columns = {"right": column(*correct), "length": column(*length)}
    levels = {"right": "episode", "length": "episode"}
    found = LengthPenalty(of="right", **settings).apply(Table(columns, LAYOUT, levels), {})
    return [float(v) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def column(*values):
    return Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))


def test_a_share_of_nothing_pays_only_for_being_right_and_a_share_of_all_penalises_everywhere():
    correct, length = (1, 1, 0, 1, 0, 0), (2, 4, 9, 5, 1, 1)
    assert paid(correct, length, share=0.0) == list(correct)
    expected = [1 - 0.2 / (1 + math.e), 1 - 0.2 / (1 + 1 / math.e), 0, 0.9, 0, 0]  # z = -1, 1; one alone has z = 0
    assert paid(correct, length, share=1.0) == pytest.approx(expected, rel=1e-6)


def test_only_the_groups_that_are_right_most_often_are_penalised():
    correct, length = (1, 0, 0, 1, 1, 0), (5, 1, 1, 2, 4, 9)
    found = paid(correct, length, share=0.5)
    assert found[:3] == [1, 0, 0] and found[3] > found[4] and found[5] == 0


def test_wrong_answers_earn_nothing_whatever_their_length_and_unknown_ones_are_in_no_mean():
    assert paid((0, 0, 0, 0, 0, 0), (1, 2, 3, 4, 5, 6), share=1.0) == [0] * 6
    found = paid((1, None, 1, 1, 1, 1), (2, 100, 4, None, 3, 3), share=1.0)
    assert found[1] is None and found[3] is None
    assert found[0] == pytest.approx(1 - 0.2 / (1 + math.e)) and found[4] == found[5] == pytest.approx(0.9)
