"""The gap between the log-probabilities of engine and learner."""

import numpy as np
import pytest

from actors.language.mismatch import mismatch


def test_equal_log_probs_have_no_gap():
    same = np.log([0.5, 0.25])
    assert mismatch(same, same, [True, True]) == (2, 0, 0, 0, 0, 1)


def test_numbers_worked_by_hand():
    found = mismatch(np.log([0.5, 0.5, 1.0]), np.log([0.25, 1.0, 1e-9]), [True, True, False])
    assert found.tokens == 2
    assert found.mean_abs == pytest.approx(np.log(2)) and found.max_abs == pytest.approx(np.log(2))
    assert found.kl_k1 == pytest.approx(0)  # one is likelier by as much as the other is not
    assert found.kl_k3 == pytest.approx((0.5 - 1 + np.log(2) + 2 - 1 - np.log(2)) / 2)
    assert found.ess == pytest.approx(2.5**2 / (2 * 4.25))


def test_k3_estimates_the_divergence_of_two_distributions():
    engine, learner = np.array([0.7, 0.2, 0.1]), np.array([0.5, 0.3, 0.2])
    tokens = np.random.default_rng(0).choice(3, size=200_000, p=engine)
    found = mismatch(np.log(engine)[tokens], np.log(learner)[tokens], np.ones(len(tokens), bool))
    expected = (engine * np.log(engine / learner)).sum()
    assert found.kl_k3 == pytest.approx(expected, rel=0.02) and found.kl_k1 == pytest.approx(expected, rel=0.05)


def test_the_share_of_effective_samples_does_not_overflow():
    found = mismatch([0.0, 0.0], [-2000.0, 2000.0], [True, True])
    assert found.ess == pytest.approx(0.5)


def test_nothing_sampled_is_none_and_not_a_number_is_refused():
    assert mismatch([0.0], [0.0], [False]) is None
    with pytest.raises(ValueError, match="1 log-probabilities that are NaN"):
        mismatch([0.0], [np.nan], [True])
    with pytest.raises(ValueError, match="expected one shape"):
        mismatch([0.0], [0.0, 0.0], [True])
