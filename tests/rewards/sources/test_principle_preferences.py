from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.sources.principle_preferences import both_orders, decided, drawn


@given(st.floats(-5, 5).filter(lambda score: score != 0), st.integers(0, 2))
def test_negating_the_only_principle_flips_the_preference(score, which):
    scores, signs = np.full((2, 3), 9.0), np.zeros((2, 3), np.int64)
    scores[:, which], signs[:, which] = score, (1, -1)
    found = decided(scores, signs)
    assert found.first.tolist() == [float(score > 0), float(score < 0)] and found.by.tolist() == [which, which]


def test_the_drawn_principle_that_tells_most_decides():
    scores = [[0.5, -2.0, 9.0]] * 4
    found = decided(scores, [[1, 1, 0], [1, -1, 0], [1, 0, -1], [0, 0, 0]])
    assert found.first[:3].tolist() == [0, 1, 0] and np.isnan(found.first[3])
    assert found.by.tolist() == [1, 1, 2, -1]


def test_a_null_decides_nothing_and_neither_does_a_score_of_zero():
    found = decided([[np.nan, 0.1], [np.nan, np.nan], [0.0, 0.0]], [[1, -1]] * 3)
    assert found.first[0] == 0 and found.by.tolist() == [1, -1, -1] and np.isnan(found.first[1:]).all()


def test_orders_that_contradict_each_other_say_nothing_and_each_principle_is_over_its_variance():
    forward, backward = [[2.0, 1.0], [-2.0, 3.0], [1.0, np.nan]], [[2.0, -1.0], [-2.0, 3.0], [-1.0, 1.0]]
    found = both_orders(forward, backward)
    # Variance of (2, −2, 1, 2, −2, −1) is 3, that of (1, 3, −1, 3, 1) is 2.24.
    assert found[:, 0].tolist() == pytest.approx([2 / 3, -2 / 3, 0])
    assert found[:2, 1].tolist() == pytest.approx([0, 3 / 2.24]) and np.isnan(found[2, 1])
    assert both_orders([[1.0], [1.0]], [[1.0], [1.0]]).tolist() == [[1.0], [1.0]]


def test_exchanging_the_answers_exchanges_the_preference():
    random = np.random.default_rng(0)
    scores, signs = random.normal(size=(50, 4)), drawn(random, 50, 4)
    assert (decided(-scores, signs).first == 1 - decided(scores, signs).first).all()


def test_as_many_are_drawn_as_the_bounded_geometric_distribution_says():
    signs = drawn(np.random.default_rng(0), 20_000, 12)
    sizes = np.bincount(np.abs(signs).sum(axis=1), minlength=13)
    expected = 0.8 ** np.arange(8) / (0.8 ** np.arange(8)).sum()
    assert sizes[0] == 0 and (sizes[9:] == 0).all()
    assert (sizes[1:9] / 20_000).tolist() == pytest.approx(expected.tolist(), abs=0.015)
    assert np.abs(signs.mean(axis=0)).max() < 0.02  # half of them are negated, of each principle
    assert np.ptp(np.abs(signs).mean(axis=0)) < 0.03
    assert (np.abs(drawn(np.random.default_rng(0), 9, 3, stop=1.0)).sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: both_orders([[1.0]], [[1.0, 2.0]]), "twice"),
        (lambda: decided([[1.0]], [[2]]), "signs of −1, 0 and 1"),
        (lambda: decided([[1.0]], [[1, 0]]), r"\(1, 1\)"),
        (lambda: decided(np.zeros((2, 0)), np.zeros((2, 0))), "no principles"),
        (lambda: drawn(np.random.default_rng(0), 3, 0), "0 principles"),
        (lambda: drawn(np.random.default_rng(0), 3, 2, stop=0), "stop=0"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
