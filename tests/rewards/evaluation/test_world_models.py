from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.evaluation.world_models import drift, instruction_gain, ranking, trusted_steps, violations

CHOICES = st.lists(st.integers(0, 3), min_size=2, max_size=8)


@given(CHOICES, st.integers(0, 3))
def test_who_does_not_listen_gains_nothing_and_who_follows_gains_what_is_not_the_same_for_all(asked, always):
    assert instruction_gain([always] * len(asked), asked) == pytest.approx(0.0)
    same = np.mean([a == b for i, a in enumerate(asked) for j, b in enumerate(asked) if i != j])
    assert instruction_gain(asked, asked) == pytest.approx(1 - same)


def test_following_by_hand():
    assert instruction_gain([0, 1], [0, 1]) == 1.0
    assert instruction_gain([1, 0], [0, 1]) == -1.0
    # Two of three right; of six other pairs, read 0 meets the third's 0, and the third's 1 meets the second's.
    assert instruction_gain([0, 1, 1], [0, 1, 0]) == pytest.approx(2 / 3 - 2 / 6)


def test_what_real_steps_do_too_is_no_violation():
    real = np.linspace(0, 1, 101)
    assert violations(real, real, alpha=0.1) == pytest.approx(10 / 101)
    assert violations([0.5, 2.0, np.nan, 3.0], real, alpha=0.1) == pytest.approx(2 / 3)
    assert violations(np.zeros(5), real) == 0.0


def test_drift_is_by_step_and_ends_with_the_rollouts():
    real = np.zeros((2, 4, 2))
    imagined = np.array([[[0, 0], [3, 4], [6, 8], [np.nan] * 2], [[0, 0], [0, 1], [np.nan] * 2, [np.nan] * 2]])
    found = drift(imagined, real)
    np.testing.assert_allclose(found, [0, 3, 10, np.nan])
    assert [trusted_steps(found, tolerance) for tolerance in (-1.0, 0.0, 5.0, 50.0)] == [0, 1, 2, 3]
    assert trusted_steps([0.0, 9.0, 0.0], 1.0) == 1  # what comes back has been away


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=6, unique=True))
def test_a_model_that_only_scales_ranks_as_the_world_does_and_one_that_turns_round_chooses_the_worst(returns):
    true = np.array(returns, np.float64)
    assert ranking(3 * true + 1, true) == (pytest.approx(1.0), 0.0)
    assert ranking(-true, true) == (pytest.approx(-1.0), true.max() - true.min())


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="two rollouts or more"):
        instruction_gain([1], [1])
    with pytest.raises(ValueError, match="got 0 imagined and 1 real"):
        violations([np.nan], [1.0])
    with pytest.raises(ValueError, match=r"expected the same \[G, T, D\]"):
        drift(np.zeros((1, 2)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="all of them known"):
        ranking([1.0, np.nan], [1.0, 2.0])
