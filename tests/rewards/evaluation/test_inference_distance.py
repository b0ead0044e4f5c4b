from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.evaluation.inference_distance import difference_variance, effective_resistance


def incidence(pairs, answers):
    corners = np.eye(answers)
    return corners[pairs[:, 0]] - corners[pairs[:, 1]]


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_chain_of_k_comparisons_has_distance_k(length):
    pairs = np.stack([np.arange(length), np.arange(1, length + 1)], 1)
    found = effective_resistance(pairs, length + 1)
    assert found[0, length] == pytest.approx(length)
    places = np.arange(length + 1)
    assert found == pytest.approx(np.abs(places[:, None] - places))


def test_side_by_side_they_help_each_other():
    assert effective_resistance([[0, 1], [1, 0]], 2)[0, 1] == pytest.approx(0.5)
    assert effective_resistance([[0, 1], [1, 2], [2, 0]], 3)[0, 1] == pytest.approx(2 / 3)
    assert effective_resistance([[0, 1]], 2, [4.0])[0, 1] == pytest.approx(0.25)


def test_what_nothing_connects_is_infinitely_far():
    found = effective_resistance([[0, 1], [2, 3]], 5)
    assert found[0, 1] == pytest.approx(1.0) and found[2, 3] == pytest.approx(1.0)
    assert np.isinf(found[0, 2]) and np.isinf(found[4, 0]) and found[4, 4] == 0.0
    assert np.isinf(effective_resistance([], 2)[0, 1])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 3))
def test_least_squares_has_the_variance_of_the_resistance(seed, noise):
    random = np.random.default_rng(seed)
    ring = np.stack([np.arange(6), (np.arange(6) + 1) % 6], 1)
    more = np.array([random.choice(6, 2, replace=False) for _ in range(4)])
    pairs = np.concatenate([ring, more])
    design = incidence(pairs, 6)
    estimator = np.linalg.pinv(design)  # r of the comparisons' outcomes, each with the same noise
    asked = incidence(np.array([[0, 3], [1, 2], [5, 4]]), 6)
    variance = noise**2 * ((asked @ estimator) ** 2).sum(1)
    resistance = effective_resistance(pairs, 6)
    assert variance == pytest.approx(noise**2 * resistance[[0, 1, 5], [3, 2, 4]])
    assert difference_variance(design, asked, noise) == pytest.approx(variance)


def test_a_belief_beforehand_makes_surer_and_what_is_not_compared_stays_as_it_was():
    design, asked = [[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 2.0]]
    assert difference_variance(design, asked).tolist() == pytest.approx([0.5, np.inf])
    assert difference_variance(design, asked, precision=2.0).tolist() == pytest.approx([1 / 4, 4 / 2])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="two different numbers from 0 to below 2"):
        effective_resistance([[0, 2]], 2)
    with pytest.raises(ValueError, match="two different"):
        effective_resistance([[1, 1]], 2)
    with pytest.raises(ValueError, match="one above 0 for each"):
        effective_resistance([[0, 1]], 2, [0.0])
    with pytest.raises(ValueError, match=r"expected \[n, F\] and \[q, F\]"):
        difference_variance([[1.0]], [[1.0, 2.0]])
    with pytest.raises(ValueError, match="got noise=0"):
        difference_variance([[1.0]], [[1.0]], noise=0)
