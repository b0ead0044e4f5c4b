from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.sources.distributional import Gaussian, frechet_distance, gaussian, vendi_score


def normal(seed, number=40, size=3):
    random = np.random.default_rng(seed)
    return random.normal(size=(number, size)) @ random.normal(size=(size, size)) + random.normal(size=size)


@given(st.integers(0, 10_000))
def test_a_set_is_at_no_distance_from_itself_and_as_far_from_another_as_that_from_it(seed):
    one, other = gaussian(normal(seed)), gaussian(normal(seed + 1, 50))
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(one, other) == pytest.approx(float(frechet_distance(other, one)), rel=1e-6)


def test_the_distance_by_hand():
    one = Gaussian(np.array([1.0, 0.0]), np.diag([4.0, 1.0]))
    other = Gaussian(np.array([0.0, 2.0]), np.diag([1.0, 9.0]))
    # Covariances that commute: the squares of the differences of the deviations, (2 − 1)² + (1 − 3)².
    assert frechet_distance(one, other) == pytest.approx(1 + 4 + 1 + 4)
    turned = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert frechet_distance(*(Gaussian(turned @ m, turned @ s @ turned.T) for m, s in (one, other))) == pytest.approx(
        10
    )


def test_one_embedding_alone_has_no_covariance_and_is_paid_for_being_near_the_mean():
    exemplars = gaussian([[0.0, 0.0], [2.0, 0.0]])  # mean (1, 0), variance 1 along the first
    found = frechet_distance(gaussian(np.array([[[1.0, 0.0]], [[1.0, 3.0]]])), exemplars)
    assert found.tolist() == [1.0, 10.0]


def test_a_vendi_score_counts_what_is_different():
    assert vendi_score([[2.0, 0.0]] * 5) == pytest.approx(1)
    assert vendi_score(np.eye(4)) == pytest.approx(4)
    assert vendi_score([[1.0, 0.0], [1.0, 0.0], [0.0, 3.0]]) == pytest.approx(
        np.exp(-2 / 3 * np.log(2 / 3) - np.log(1 / 3) / 3)
    )


def test_bad_sets_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        gaussian(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="finite"):
        gaussian([[np.nan, 0.0]])
    with pytest.raises(ValueError, match="expected the same"):
        frechet_distance(gaussian(np.zeros((3, 2))), gaussian(np.zeros((3, 4))))
    with pytest.raises(ValueError, match="none of zeros"):
        vendi_score([[0.0, 0.0], [1.0, 0.0]])
