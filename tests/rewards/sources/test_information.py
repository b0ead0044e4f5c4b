from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.sources.information import belief_gain, reconstruction_likelihood, self_aligned, thought_gain


def test_an_answer_that_does_not_depend_on_its_question_has_no_gain_and_by_hand():
    logs = np.log([[0.5, 0.25]])
    assert self_aligned(logs, logs, [[1, 1]]).tolist() == [0.0]
    # PPL 2 with the question, 8 without: 1 − 2/8
    assert self_aligned(np.log([[0.5, 0.5]]), np.log([[0.125, 0.125]]), [[1, 1]])[0] == pytest.approx(0.75)
    assert self_aligned(np.log([[0.01]]), np.log([[0.5]]), [[1]])[0] == -1
    assert np.isnan(self_aligned(logs, logs, [[0, 0]])[0])


def test_prompts_drawn_from_the_reader_are_worth_minus_its_entropy():
    p = np.array([0.5, 0.3, 0.2])
    each = reconstruction_likelihood(np.log(p)[:, None], np.ones((3, 1)))
    assert (p * each).sum() == pytest.approx((p * np.log(p)).sum()) and (each <= 0).all()


def test_an_empty_thought_gains_nothing_and_the_mean_gain_is_what_cross_entropy_loses():
    before = np.log([0.2, 0.5])
    assert not thought_gain(before[:, None], before).any()
    gain = thought_gain(np.log([[0.4, 0.1], [0.5, 1.0]]), before)
    np.testing.assert_allclose(np.exp(gain), [[2, 0.5], [1, 2]])
    with pytest.raises(ValueError, match="none above 0"):
        thought_gain([[0.1]], [-1.0])


def test_halving_an_even_belief_tells_log_two_and_asking_again_nothing():
    even, half = np.full(8, 1 / 8), np.repeat([0.25, 0.0], 4)
    assert belief_gain(even, half) == pytest.approx(np.log(2)) and belief_gain(half, half) == 0
    assert belief_gain([0.9, 0.1], [0.5, 0.5]) < 0, "a noisy answer may leave less sure"
    with pytest.raises(ValueError, match="summing to 1"):
        belief_gain([0.5, 0.4], [0.5, 0.5])


@given(st.lists(st.lists(st.floats(0.01, 1), min_size=4, max_size=4), min_size=2, max_size=6))
def test_gains_telescope(weights):
    beliefs = np.array(weights) / np.sum(weights, axis=1, keepdims=True)
    gains = belief_gain(beliefs[:-1], beliefs[1:])
    assert gains.sum() == pytest.approx(float(belief_gain(beliefs[0], beliefs[-1])), abs=1e-9)
