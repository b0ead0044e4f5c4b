from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.evaluation.failure_modes import failures, most_influential

MARGINS = st.lists(st.floats(-20, 20), min_size=1, max_size=12)


def test_the_pairs_with_the_smallest_margins_pull_most_and_null_is_not_among_them():
    chosen, rejected = [1.0, 0.0, np.nan, 5.0, 2.0], [0.0, 3.0, 0.0, 0.0, 2.0]
    assert most_influential(chosen, rejected, 0.5).tolist() == [1, 4]  # margins 1, -3, NaN, 5, 0
    assert most_influential(chosen, rejected, 0.01).tolist() == [1]
    assert most_influential(chosen, rejected, 1.0).tolist() == [1, 4, 0, 3]


@given(MARGINS)
def test_influence_is_the_slope_of_the_bradley_terry_loss(margins):
    slopes = 1 / (1 + np.exp(margins))
    found = most_influential(margins, np.zeros(len(margins)), 1.0)
    assert (np.diff(slopes[found]) <= 1e-12).all() and sorted(found.tolist()) == list(range(len(margins)))


def test_a_good_answer_below_the_rejected_and_a_bad_one_above_the_chosen_fool_the_model():
    found = failures([1.0, 1.0, 1.0, np.nan], [0.0, 0.0, 0.0, 0.0], [-1.0, 0.0, 2.0, 1.0], [2.0, 1.0, np.nan, 9.0])
    assert found.low.tolist() == [True, False, False, False]
    assert found.high.tolist() == [True, False, False, False]  # a tie fools nobody, and what is not known neither
    assert found.success.value == pytest.approx(2 / 6) and found.success.n == 6


def test_a_model_that_tells_the_kinds_apart_is_never_fooled():
    assert failures([2.0, 3.0], [0.0, 1.0], [1.5, 4.0], [-1.0, 0.5]).success.value == 0.0


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="got share=0"):
        most_influential([1.0], [0.0], 0)
    with pytest.raises(ValueError, match="of 0 known pairs"):
        most_influential([np.nan], [0.0])
    with pytest.raises(ValueError, match="as many good and bad"):
        failures([1.0], [0.0], [1.0, 2.0], [0.0, 0.0])
