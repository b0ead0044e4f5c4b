from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.objectives.influence import influences, reweighted


def test_orthogonal_gradients_of_equal_size_leave_the_weights_and_the_others_follow_row_sums():
    assert torch.allclose(reweighted([0.2, 0.3, 0.5], influences(2 * torch.eye(3)), 0.7), torch.tensor([0.2, 0.3, 0.5]))
    # G Gᵀ = [[1, 0.5], [0.5, 4.25]]
    found = influences(torch.tensor([[1.0, 0.0], [0.5, 2.0]]))
    assert found.tolist() == [1.5, 4.75]
    # log-odds rise by 0.2 · (4.75 − 1.5)
    weights = reweighted([0.5, 0.5], found, 0.2)
    assert torch.log(weights[1] / weights[0]).item() == pytest.approx(0.65)


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=3), st.floats(0, 2))
def test_weights_stay_on_the_simplex(values, rate):
    weights = reweighted([0.1, 0.2, 0.7], torch.tensor(values, dtype=torch.float64), rate)
    assert weights.sum().item() == pytest.approx(1.0) and bool((weights >= 0).all())


def test_what_is_not_finite_or_not_on_the_simplex_is_refused():
    with pytest.raises(ValueError, match="finite"):
        influences(torch.tensor([[float("nan"), 0.0]]))
    with pytest.raises(ValueError, match="sum to 1"):
        reweighted([0.5, 0.6], torch.zeros(2), 0.1)
