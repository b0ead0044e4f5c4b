from __future__ import annotations

import numpy as np
import pytest

from rewards.data.certified import take_certified


def test_sets_are_drawn_until_it_is_sure_and_the_bounds_are_true():
    chances = np.array([0.5, 0.3, 0.3, 0.05])  # items that cover a share of the population each, apart from the others
    offered = np.array([[1, 0, 0, 1], [0, 1, 1, 0]], np.bool_)
    random = np.random.default_rng(0)

    def draw(number):
        return random.random((number, 4)) < chances

    found = take_certified(draw, offered, 1)
    truth = 1 - 0.5 * 0.7
    assert found.taken.item[0] == 0 and found.low <= truth <= found.best and found.low >= 0.4 * found.best
    surer = take_certified(draw, offered, 1, epsilon=0.0, delta=1e-6, first=16)
    assert surer.drawn > found.drawn and surer.share == pytest.approx(truth, abs=0.1)
    least = take_certified(draw, offered, 1, epsilon=0.0, first=8, most=12)
    assert least.drawn == 24 and least.low < 0.5 * least.best
    with pytest.raises(ValueError, match="ε from 0 to 1/2"):
        take_certified(draw, offered, 1, epsilon=0.6)
