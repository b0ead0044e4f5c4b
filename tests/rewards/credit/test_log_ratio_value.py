from __future__ import annotations

import numpy as np
import pytest

from rewards.columns import Column
from rewards.credit.log_ratio_value import LogRatioValue
from rewards.views.layout import Layout
from rewards.views.part import Table

LAYOUT = Layout.of(steps=[2, 1], tokens=[2, 3, 2])
RATIO = np.array([0.5, -1.0, 2.0, 0.25, -0.5, 1.0, 3.0])
LEVELS = {"advantage": "episode", "log_probs": "token", "reference": "token"}


def values(advantage=(1.0, -2.0), ratio=RATIO, valid=True, **settings):
    ours = Column(ratio - 2.0, np.broadcast_to(valid, ratio.shape))
    columns = {"advantage": Column.full(advantage), "log_probs": ours, "reference": Column.full(np.full(7, -2.0))}
    found = LogRatioValue(of="advantage", **settings).apply(Table(columns, LAYOUT, LEVELS), {})
    return [round(float(v), 6) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_values_by_hand_of_tokens_of_chunks_and_of_steps():
    token = [1 - 1.25 / 2, 1 - 0.75 / 2, 1 - 1.75 / 2, 1 + 0.25 / 2, 1 + 0.5 / 2, -2 - 4 / 2, -2 - 3 / 2]
    assert values(eta=2.0, chunk=1) == pytest.approx(token)
    assert values(eta=2.0, chunk=2) == pytest.approx([token[i] for i in (1, 1, 3, 3, 4, 6, 6)])
    assert values(eta=2.0, chunk=None) == pytest.approx([token[i] for i in (1, 1, 4, 4, 4, 6, 6)])
    assert values(eta=2.0, chunk=256) == pytest.approx([token[i] for i in (4, 4, 4, 4, 4, 6, 6)])


def test_without_a_ratio_or_without_a_price_it_is_the_advantage():
    plain = [1.0] * 5 + [-2.0] * 2
    assert values(ratio=np.zeros(7)) == plain
    assert values(eta=1e12, chunk=1) == pytest.approx(plain)


def test_the_value_of_a_first_token_is_what_the_whole_answer_pays():
    found = values(eta=4.0, chunk=1)
    assert found[0] == pytest.approx(1 - RATIO[:5].sum() / 4) and found[5] == pytest.approx(-2 - RATIO[5:].sum() / 4)


def test_sums_that_look_through_an_unknown_token_are_not_known():
    known = np.array([True, True, False, True, True, True, True])
    found = values(valid=known, chunk=1)
    assert [v is None for v in found] == [True, True, True, False, False, False, False]
    assert [v is None for v in values(valid=known, chunk=None)] == [True, True, False, False, False, False, False]
