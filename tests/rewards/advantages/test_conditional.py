from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.advantages.conditional import Conditional
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.part import Table

GROUP = Layout.of(steps=[1] * 4, group=[0] * 4)


def column(*values):
    return Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))


def advantages(reward, metric, state=None, **settings):
    shown = Table({"r": column(*reward), "m": column(*metric)}, GROUP, {"r": "episode", "m": "episode"})
    found = Conditional(of="r", metric="m", **settings).apply(shown, state or {"batches": 1})
    return [round(float(v), 5) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_by_hand():
    reward, metric = (1, 0, 1, 1), (9, 2, 8, 3)  # C⁻: the second and fourth, mean 1/2; C⁺: the others, mean 1
    assert advantages(reward, metric) == [0.5, -1, 0.5, 0]
    assert advantages(reward, metric, mu=0.0) == [0, -0.5, 0, 0.5]
    assert advantages(reward, metric, alpha=0.5) == [0, -0.5, 0, 0.5]  # α < 1 favours the lower half
    assert advantages((1, None, 1, 0), (9, 2, 8, None)) == [0, None, 0, None]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-9, 9, width=16), min_size=4, max_size=4),
    st.lists(st.floats(0, 9, width=16), min_size=4, max_size=4),
)
def test_with_equal_halves_the_mean_of_both_is_dr_grpo(reward, metric):
    found = advantages(reward, metric, mu=0.5)
    np.testing.assert_allclose(found, np.array(reward) - np.mean(reward), atol=2e-5)


def test_a_schedule_goes_from_start_to_end_and_a_cosine_starts_again():
    linear = Conditional(of="r", metric="m", schedule="linear", period=4, mu=1, mu_end=0)
    assert [linear.weight(k) for k in (1, 3, 5, 9)] == [1, 0.5, 0, 0]
    cosine = Conditional(of="r", metric="m", schedule="cosine", period=4, mu=1, mu_end=0)
    assert [round(cosine.weight(k), 6) for k in (1, 3, 5, 7)] == [1, 0.5, 1, 0.5]
    with pytest.raises(ValueError, match="expected a period"):
        Conditional(of="r", metric="m", schedule="linear")


def test_one_alone_has_no_rival():
    assert advantages((1, None, None, None), (1, 1, 1, 1)) == [None] * 4
