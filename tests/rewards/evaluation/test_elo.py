from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.evaluation.elo import beaten, rated

NUMBERS = st.lists(st.integers(0, 5), min_size=2, max_size=8)


def test_a_draw_of_equals_changes_nothing_and_a_win_over_an_equal_is_half_of_the_gain():
    assert rated([1500, 1500], [1, 1]).tolist() == [1500, 1500]
    assert rated([1500, 1500], [1, 0], gain=32).tolist() == [1516, 1484]
    assert rated([1900, 1500], [1, 0], gain=11).tolist() == pytest.approx([1901, 1499])


@given(NUMBERS)
def test_ratings_sum_to_what_they_did_and_shares_to_a_half_of_all(scores):
    ratings = [1000.0 + 50 * place for place in range(len(scores))]
    assert sum(rated(ratings, scores)) == pytest.approx(sum(ratings))
    assert beaten(scores).mean() == pytest.approx(0.5)


def test_shares_by_hand_and_what_cannot_be():
    assert beaten([3, 1, 1]).tolist() == [1.0, 0.25, 0.25]
    with pytest.raises(ValueError, match="two finite numbers"):
        beaten([1.0])
    with pytest.raises(ValueError, match="expected"):
        rated([1500], [1, 0])
