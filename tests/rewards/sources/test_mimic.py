from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.sources.mimic import mimic_reward

WEIGHTS, SCALES = {"body": 0.25, "object": 0.5}, {"body": 2.0, "object": 0.5}


def test_without_any_error_it_is_the_sum_of_the_weights():
    found = mimic_reward({"body": np.zeros((3, 2)), "object": np.zeros((3, 1))}, WEIGHTS, SCALES)
    assert found.valid.all() and found.values.tolist() == [0.75, 0.75, 0.75]


def test_by_hand():
    found = mimic_reward({"body": [[0.0, 2.0], [2.0, 2.0]], "object": [[0.5], [0.0]]}, WEIGHTS, SCALES)
    expected = [0.75 * math.exp(-1), 0.25 * math.exp(-2) + 0.5]
    assert found.values.tolist() == pytest.approx(expected, rel=1e-6)


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(1.1, 3))
def test_a_larger_error_is_never_paid_more_and_nothing_more_than_the_weights(body, thing, factor):
    near = mimic_reward({"body": [body], "object": [thing]}, WEIGHTS, SCALES).values
    far = mimic_reward({"body": [factor * body], "object": [thing]}, WEIGHTS, SCALES).values
    assert 0 <= far <= near <= 0.75


def test_what_is_not_known_is_null_and_not_nothing():
    found = mimic_reward({"body": [[0.0], [0.0]], "object": [[0.0], [np.nan]]}, WEIGHTS, SCALES)
    assert found.valid.tolist() == [True, False] and np.isnan(found.values[1])


def test_what_does_not_fit_is_refused():
    right = {"body": [0.0], "object": [0.0]}
    with pytest.raises(ValueError, match="the same names"):
        mimic_reward({"body": [0.0]}, WEIGHTS, SCALES)
    with pytest.raises(ValueError, match="the same names"):
        mimic_reward({}, {}, {})
    with pytest.raises(ValueError, match="alike but for d"):
        mimic_reward({**right, "body": [[0.0]]}, WEIGHTS, SCALES)
    with pytest.raises(ValueError, match="infinite error"):
        mimic_reward({**right, "body": [np.inf]}, WEIGHTS, SCALES)
    for weights, scales in (({**WEIGHTS, "body": -1.0}, SCALES), (WEIGHTS, {**SCALES, "body": 0.0})):
        with pytest.raises(ValueError, match="at least 0, and above 0"):
            mimic_reward(right, weights, scales)
