from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.evaluation.overoptimisation import Law, Path, fit_law, optimised


def test_where_it_begins_all_answers_count_alike_and_far_off_the_best_one_alone():
    found = optimised([[0.0, 1.0, 3.0, 2.0]], [[0.0, 1.0, 0.25, 0.75]], [0.0, 1e4])
    assert found.kl.tolist() == pytest.approx([0.0, math.log(4)])
    assert found.gold.tolist() == pytest.approx([0.5, 0.25])


def test_between_by_hand():
    # weights of scores 0 and log 3 at sharpness 1 are 1/4 and 3/4
    found = optimised([[0.0, math.log(3)]], [[0.0, 1.0]], [1.0])
    assert found.gold[0] == pytest.approx(0.75)
    assert found.kl[0] == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))


def test_the_drop_is_what_is_lost_after_the_highest_point():
    path = Path(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.25, 0.75, 0.5, 0.375]))
    assert path.drop == 0.375 and path.at(1.5) == 0.625
    assert Path(path.kl, np.sort(path.gold)).drop == 0.0


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6), st.floats(-3, 3))
def test_a_model_that_is_the_gold_never_drops_and_its_zero_does_not_matter(worth, shift):
    slopes = [0.0, 0.5, 1.0, 4.0]
    path, moved = optimised([worth], [worth], slopes), optimised([np.add(worth, shift)], [worth], slopes)
    assert path.drop == pytest.approx(0.0, abs=1e-9)
    assert (np.diff(path.kl) > -1e-9).all() and path.kl[-1] <= math.log(len(worth)) + 1e-9
    np.testing.assert_allclose(moved.gold, path.gold, atol=1e-6)


def test_what_is_not_known_is_refused():
    with pytest.raises(ValueError, match="all of them known"):
        optimised([[0.0, np.nan]], [[0.0, 1.0]], [1.0])
    with pytest.raises(ValueError, match="rising numbers"):
        optimised([[0.0, 1.0]], [[0.0, 1.0]], [1.0, 0.5])


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_points_on_a_law_give_it_back(a, b):
    kl = np.array([0.0, 0.1, 0.5, 1.0, 4.0, 9.0])
    found = fit_law(kl, Law(a, b, None).at(kl))
    assert (found.a, found.b) == pytest.approx((a, b), abs=1e-9)


def test_the_peak_of_a_law_is_where_it_is_highest_and_there_is_none_without_a_loss():
    law = Law(2.0, 1.0, None)
    assert law.peak == pytest.approx(math.e)  # exp(2 / 1 − 1)
    top = law.at(math.e**2)
    assert top == pytest.approx(math.e)  # D b
    assert top > law.at(math.e**2 * 0.9) and top > law.at(math.e**2 * 1.1)
    assert law.at([0.0, 1.0]).tolist() == [0.0, 2.0]
    assert Law(2.0, 0.0, None).peak is None and Law(2.0, -1.0, None).peak is None


def test_a_fit_says_how_much_it_explains():
    kl = np.array([0.25, 1.0, 4.0])
    assert fit_law(kl, Law(1.0, 1.0, None).at(kl)).r2 == pytest.approx(1.0)
    assert fit_law(kl, [0.5, 0.5, 0.5]).r2 is None
    assert fit_law(np.tile(kl, 2), [1.0, 1.0, 1.0, -1.0, -1.0, -1.0]).r2 == pytest.approx(0.0)


def test_a_law_needs_two_policies_that_moved():
    with pytest.raises(ValueError, match="fewer than two different"):
        fit_law([0.0, 1.0, 1.0], [0.0, 0.5, 0.5])
    with pytest.raises(ValueError, match="all of them known"):
        fit_law([0.0, 1.0, 4.0], [0.0, np.nan, 0.5])
