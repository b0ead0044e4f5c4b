from __future__ import annotations

import numpy as np
import pytest

from rewards.sources.predictors import predicted_design

NAN = float("nan")


def gradient(policy, rewards):
    """E[R ∇ log π] of a softmax over all designs there are, exactly: Σ_x π(x) R(x) (e_x − π)."""
    return policy * rewards - policy * (policy @ rewards)


def test_predictors_that_say_the_same_of_every_design_leave_the_generator_as_it_is():
    policy = np.array([0.5, 0.3, 0.15, 0.05])
    flat = predicted_design(np.full(4, 0.7), {"tox21": np.full((4, 2), 0.1)}, {"tox21": 0.5})
    assert gradient(policy, flat) == pytest.approx(np.zeros(4), abs=1e-15)
    told = predicted_design([0.7, 0.7, 0.7, 0.9], {"tox21": np.full((4, 2), 0.1)}, {"tox21": 0.5})
    assert gradient(policy, told)[3] > 0 > gradient(policy, told)[0]


def test_by_hand():
    risks = {"tox21": [[0.1, 0.5], [0.1, 0.6], [0.9, 0.9]], "sider": [[0.2], [0.2], [0.8]]}
    found = predicted_design([0.4, 0.8, 1.0], risks, {"tox21": 0.5, "sider": 0.25})
    assert found == pytest.approx([0.4 + 0.5 + 0.25, 0.8 + 0.25, 1.0])
    assert predicted_design([0.4], {}, {}, affinity_weight=2) == pytest.approx([0.8])


def test_what_nobody_predicted_is_null_unless_it_does_not_count():
    risks = {"tox21": [[0.1, NAN], [0.1, 0.2]]}
    assert np.isnan(predicted_design([0.4, NAN], risks, {"tox21": 1.0})).all()
    assert predicted_design([0.4, 0.6], risks, {"tox21": 0.0}) == pytest.approx([0.4, 0.6])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="a weight of at least 0 for each"):
        predicted_design([0.4], {"tox21": [[0.1]]}, {"sider": 1.0})
    with pytest.raises(ValueError, match=r"expected \[B\] and \[B, assays\]"):
        predicted_design([0.4], {"tox21": [0.1]}, {"tox21": 1.0})
    with pytest.raises(ValueError, match="outside"):
        predicted_design([0.4], {"tox21": [[1.1]]}, {"tox21": 1.0})
