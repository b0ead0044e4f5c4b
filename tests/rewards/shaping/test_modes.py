from __future__ import annotations

import numpy as np
import pytest

from rewards.columns import Column
from rewards.shaping.length_contrast import LengthContrast
from rewards.shaping.mode_balance import ModeBalance
from rewards.views.layout import Layout
from rewards.views.part import Table


def table(**columns):
    size = len(next(iter(columns.values())))
    layout = Layout.of(np.ones(size), np.zeros(size))
    filled = {k: Column.full(np.nan_to_num(v)).map(np.asarray(v, np.float32), ~np.isnan(v)) for k, v in columns.items()}
    return Table(filled, layout, dict.fromkeys(columns, "episode"))


def test_a_balanced_batch_is_paid_by_mode_and_a_batch_of_one_mode_is_paid_less():
    part = ModeBalance(part="mode_balance", of="right")
    even = part.apply(table(right=[1.0, 0.0, 1.0, 0.0], thought=[1.0, 1.0, 0.0, 0.0]), {})
    assert even.values.tolist() == [1, 0, 2, -1]
    assert part.apply(table(right=[1.0, 0.0], thought=[1.0, 1.0]), {}).values.tolist() == [0, -1]
    assert part.apply(table(right=[1.0, 0.0], thought=[0.0, 0.0]), {}).values.tolist() == [1, -2]
    # three of four think: δ = 2 (0.75 − 0.5)
    some = part.apply(table(right=[1.0, 1.0, 0.0, 1.0], thought=[1.0, 1.0, 1.0, 0.0]), {})
    assert some.values.tolist() == [0.5, 0.5, -0.5, 2.0]


def test_without_balance_it_is_the_base_and_what_is_not_known_is_in_no_share():
    base = ModeBalance(of="right", share=1.0)
    assert base.apply(table(right=[1.0, 1.0], thought=[1.0, 1.0]), {}).values.tolist() == [1, 1]
    found = ModeBalance(of="right").apply(table(right=[1.0, 1.0, np.nan], thought=[1.0, 0.0, 1.0]), {})
    assert found.valid.tolist() == [True, True, False] and found.values[:2].tolist() == [1, 2]


def test_length_adds_nothing_at_the_mean_or_without_weights_and_by_hand():
    columns = table(r=[2.0, 2.0, -1.0], right=[1.0, 1.0, 0.0], n=[10.0, 20.0, 7.0])
    part = LengthContrast(of="r", length="n")
    # of the right ones z is −1 and 1; the only wrong one is its own mean
    np.testing.assert_allclose(part.apply(columns, {}).values, [1 + np.exp(0.05), 1 + np.exp(-0.05), -1], rtol=1e-6)
    np.testing.assert_allclose(
        LengthContrast(of="r", length="n", alpha=0, beta=0).apply(columns, {}).values, [2, 2, -1]
    )


def test_a_long_wrong_answer_is_worth_more_than_a_short_one():
    columns = table(r=[0.0, 0.0], right=[0.0, 0.0], n=[3.0, 9.0])
    short, long = LengthContrast(of="r", length="n").apply(columns, {}).values
    assert long > 0 > short
    with pytest.raises(ValueError, match="greater than or equal"):
        LengthContrast(of="r", alpha=-1.0)
