from __future__ import annotations

import numpy as np
import pytest

from rewards.comparison.correlation import kendall
from rewards.evaluation.rank_disparity import rank_disparity

NAN = float("nan")
WINS = np.array([[0, 6, 9], [4, 0, 7], [1, 3, 0]])
"""The first is better than the second, and the second than the third."""


def test_tau_of_a_ranking_with_itself_is_1_and_with_its_reverse_minus_1():
    scores = [0.3, 0.9, 0.1, 0.4]
    assert kendall(scores, scores) == 1 and kendall(scores, [-score for score in scores]) == -1
    assert rank_disparity([[3.0], [2.0], [1.0]], WINS).tau == 1


def test_pairs_that_tie_in_one_order_are_left_out_of_its_scale():
    # Of six pairs four agree; one ties in the first and another in the second: 4 / √(5 · 5).
    assert kendall([1, 2, 2, 3], [1, 2, 3, 3]) == pytest.approx(0.8)
    assert kendall([1, 2, 2, 3], [1, 1, 1, NAN]) is None
    assert kendall([1, 1, 1], [1, 2, 3]) is None and kendall([NAN, 1], [1, NAN]) is None


def test_a_model_that_knows_a_benchmark_by_heart_stands_too_high_on_it():
    found = rank_disparity([[0.6, 0.6], [0.5, NAN], [0.9, 0.9]], WINS)
    assert found.static == pytest.approx([0.6, 0.5, 0.9]) and found.tau == pytest.approx((1 - 1 - 1) / 3)
    assert found.shift.tolist() == [-1, -1, 2]


def test_what_is_not_known_is_in_neither_order():
    wins = np.zeros((4, 4))
    wins[:3, :3] = WINS
    found = rank_disparity([[3.0], [NAN], [1.0], [9.0]], wins)
    assert found.tau == 1 and np.isnan(found.arena[3]) and np.isnan(found.shift[[1, 3]]).all()
    with pytest.raises(ValueError, match=r"expected \[M, K\] and \[M, M\]"):
        rank_disparity([[1.0]], WINS)
