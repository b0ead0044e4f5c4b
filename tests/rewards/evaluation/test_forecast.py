from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.evaluation.forecast import by_level, forecast_score, foretold, number_score, ranking_score


def test_an_exact_number_gives_one_and_one_sigma_off_gives_nothing():
    assert number_score([3, 5, 1, 4, 9], 3, 2).tolist() == [1, 0, 0, 0.75, 0]
    assert math.isnan(number_score(math.nan, 3, 2))
    with pytest.raises(ValueError, match="above 0"):
        number_score(1, 1, 0)


def test_names_are_right_or_not_or_as_many_as_are_right():
    assert (forecast_score("choice", "a", "a"), forecast_score("choice", "a", "b")) == (1, 0)
    assert forecast_score("choices", ["a", "b"], ["b", "c"]) == 0.5
    assert forecast_score("number", 4, 3, sigma=2) == 0.75
    with pytest.raises(ValueError, match="expected one of"):
        forecast_score("essay", "", "")


def test_a_ranking_in_another_order_gets_four_fifths_of_what_it_names():
    assert ranking_score("abc", "abc") == 1
    assert ranking_score("bac", "abc") == pytest.approx(0.8)
    assert ranking_score("axy", "abc") == pytest.approx(0.8 / 3)
    assert ranking_score("xyzabc", "abc") == 0  # naming more is no help
    with pytest.raises(ValueError, match="each once"):
        ranking_score("a", "aa")


def test_levels_count_by_weight_as_far_as_they_are_known():
    assert by_level([1, 0, 1, 0, 0.5], [1, 1, 2, 3, 4]) == pytest.approx(0.1 * 0.5 + 0.2 + 0.4 * 0.5)
    assert by_level([1, math.nan], [1, 4]) == 1
    assert by_level([0, 1], [1, 4]) == pytest.approx(0.8)
    assert by_level([math.nan], [1]) is None
    with pytest.raises(ValueError, match="one each"):
        by_level([1], [5])
    with pytest.raises(ValueError, match=r"\[N\]"):
        by_level([1, 1], [1])


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 4)), min_size=1, max_size=20), st.randoms())
def test_the_order_of_questions_does_not_matter(questions, random):
    shuffled = random.sample(questions, len(questions))
    assert by_level(*zip(*questions, strict=True)) == pytest.approx(by_level(*zip(*shuffled, strict=True)))


def test_what_came_after_the_event_or_from_later_pages_was_not_foretold():
    found = foretold([1, 5, 1, 1, 1], [5, 5, 5, 5, 5], [0, 0, 1, 2, np.nan])
    assert found.tolist() == [True, False, True, False, True]
