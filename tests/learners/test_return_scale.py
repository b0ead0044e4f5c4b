"""The scale of returns: worked by hand, and what it undoes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.return_scale import ReturnScale


def test_moments_of_one_batch_are_its_own_and_later_ones_move_them_a_little():
    scale = ReturnScale()
    scale.see(4.0, 25.0)  # deviation 3
    assert (scale.mean, scale.deviation) == pytest.approx((4.0, 3.0))
    scale.see(6.0, 45.0)
    # mean (0.99 · 0.01 · 4 + 0.01 · 6) / (1 - 0.99²) = 0.0996 / 0.0199, of squares (0.2475 + 0.45) / 0.0199
    assert scale.mean == pytest.approx(5.005025, abs=1e-6)
    assert scale.deviation**2 == pytest.approx(35.050251 - 5.005025**2, abs=1e-5)


def test_before_anything_was_seen_every_value_stands_for_nothing():
    scale, value = ReturnScale(), torch.tensor([-1.0, 3.0])
    assert scale.returns(value).tolist() == [0.0, 0.0]
    assert scale.values(value).tolist() == value.tolist() and scale.gains(value).tolist() == value.tolist()


def test_returns_that_never_differ_have_values_of_nothing():
    scale = ReturnScale()
    scale.see(2.0, 4.0)
    assert scale.values(torch.tensor([2.0])).tolist() == [0.0]
    assert scale.returns(torch.tensor([0.0, 5.0])).tolist() == [2.0, 2.0]


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9), st.floats(-5, 5))
def test_values_and_returns_undo_each_other(returns, value):
    scale = ReturnScale()
    seen = torch.tensor(returns, dtype=torch.float64)
    scale.see(float(seen.mean()), float((seen**2).mean()))
    if scale.deviation < 1e-3:
        return
    there = scale.returns(torch.tensor(value, dtype=torch.float64))
    assert float(scale.values(there)) == pytest.approx(value, abs=1e-6)
    assert float(scale.gains(there - scale.mean)) == pytest.approx(value, abs=1e-6)


def test_a_scale_goes_on_where_another_was():
    scale, again = ReturnScale(), ReturnScale()
    scale.see(4.0, 25.0)
    scale.see(float("inf"), 1.0)
    again.load(scale.state())
    assert (again.mean, again.deviation) == (scale.mean, scale.deviation) == pytest.approx((4.0, 3.0))


def test_the_rounding_of_equal_returns_is_no_deviation():
    scale = ReturnScale()
    returns = torch.full((64,), 333.3).double()
    for _ in range(50):
        scale.see(float(returns.mean()), float((returns**2).mean()) * (1 + 1e-15))
    assert scale.deviation == 0.0
    assert scale.gains(torch.tensor([1.0])).tolist() == [1.0]
