from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.search.bayesian import posterior, where_to_look

weights = st.lists(st.floats(0.01, 9), min_size=2, max_size=6)


def tried(place, chance, places):
    return np.eye(places)[place] * chance


@given(weights, st.floats(0, 0.99), st.data())
def test_after_a_try_in_vain_the_place_is_less_likely_by_bayes_rule_and_the_others_gain_in_proportion(prior, d, data):
    place = data.draw(st.integers(0, len(prior) - 1))
    p, found = np.array(prior) / sum(prior), posterior(prior, [tried(place, d, len(prior))])
    assert found[place] == pytest.approx(p[place] * (1 - d) / (1 - d * p[place]))
    others = np.arange(len(p)) != place
    np.testing.assert_allclose(found[others], p[others] / (1 - d * p[place]))
    assert found.sum() == pytest.approx(1)


def test_tries_multiply_in_any_order_and_without_any_it_is_the_prior():
    one, other = tried(0, 0.5, 3), tried(1, 0.25, 3)
    np.testing.assert_allclose(posterior([1, 1, 2], [one, other]), np.array([0.5, 0.75, 2]) / 3.25)
    np.testing.assert_array_equal(posterior([1, 1, 2], [one, other]), posterior([1, 1, 2], [other, one]))
    assert posterior([1, 1, 2], np.zeros((0, 3))).tolist() == [0.25, 0.25, 0.5]


def test_what_is_forgotten_was_not_tried():
    tries = [tried(0, 1.0, 2), tried(1, 0.5, 2)]
    assert posterior([1, 1], tries, memory=1).tolist() == pytest.approx([2 / 3, 1 / 3])
    assert posterior([1, 1], tries).tolist() == [0, 1]


def test_the_next_look_is_where_value_and_belief_are_high_together():
    assert where_to_look([0.9, 0.5, 0.1], [0.1, 0.4, 0.5]) == 1
    assert where_to_look([1, 1, 1], [0.1, 0.4, 0.5]) == 2


def test_what_is_no_belief_is_refused():
    with pytest.raises(ValueError, match="no place"):
        posterior([1, 0], [tried(0, 1.0, 2)])
    for prior in ([0, 0], [-1, 2], [np.nan, 1]):
        with pytest.raises(ValueError, match="prior"):
            posterior(prior, np.zeros((0, 2)))
    for detection, memory in (([[1.5, 0]], None), ([[0, 0]], 0)):
        with pytest.raises(ValueError, match="chances"):
            posterior([1, 1], detection, memory)
    with pytest.raises(ValueError, match=r"expected \[N\] and \[T, N\]"):
        posterior([1, 1], [0.5, 0])
    with pytest.raises(ValueError, match="none below 0"):
        where_to_look([-1, 1], [0.5, 0.5])
