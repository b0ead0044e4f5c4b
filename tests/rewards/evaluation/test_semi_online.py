from __future__ import annotations

import pytest

from rewards.evaluation.semi_online import semi_online_performance


def test_by_hand():
    match = [[1, 1, 0, 1], [1, 1, 1, 0], [0, 1, 1, 1]]
    found = semi_online_performance(match, [4, 3, 4])
    assert found.progress == pytest.approx((0.5 + 1 + 0) / 3) and found.success == pytest.approx(1 / 3)
    assert found.score == pytest.approx((0.5 + 1 / 3) / 2)


def test_the_extremes():
    assert semi_online_performance([[1, 1]], [2]).score == 1
    assert semi_online_performance([[0, 1]], [2]).score == 0
    with pytest.raises(ValueError, match="from 1 to T"):
        semi_online_performance([[1, 1]], [3])
