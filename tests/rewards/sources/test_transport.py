import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from rewards.sources.transport import transport_plan, transport_rewards


@pytest.mark.slow
@settings(max_examples=25)
@given(arrays(float, (4, 6), elements=st.floats(0.1, 1)))
def test_a_plan_brings_all_of_one_to_all_of_the_other(costs):
    plan = transport_plan(costs, regularisation=0.5)
    np.testing.assert_allclose(plan.sum(0), 1 / 6, rtol=1e-6)
    np.testing.assert_allclose(plan.sum(1), 1 / 4, rtol=1e-3)


def test_with_little_regularisation_it_is_the_cheapest_assignment():
    costs = np.random.default_rng(3).random((5, 5))
    rows, columns = linear_sum_assignment(costs)
    found = float((costs * transport_plan(costs, 0.005, sweeps=4000)).sum())
    assert -1e-3 < found - costs[rows, columns].mean() < 0.01


def test_a_replayed_demonstration_costs_nothing_and_the_step_that_strays_pays():
    line = np.arange(6.0)
    assert transport_rewards(np.abs(line[:, None] - line), 0.01) == pytest.approx(np.zeros(6), abs=1e-3)
    strayed = line.copy()
    strayed[3] = 40.0
    found = transport_rewards(np.abs(strayed[:, None] - line), 0.01)
    assert found.argmin() == 3 and found[3] < -5


@pytest.mark.parametrize("costs", [[], [[np.inf]], [1.0]])
def test_costs_that_are_no_matrix_are_refused(costs):
    with pytest.raises(ValueError, match="expected a finite"):
        transport_plan(costs)
