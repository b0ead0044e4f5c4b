from __future__ import annotations

import numpy as np
import pytest

from rewards.columns import Column
from rewards.evaluation.variation import variation


def test_by_hand():
    # Attempts at the same task always agree: all is due to the parameters. Means 0, 1 and 1: variance 1/3.
    found = variation(Column.full([[[0, 0], [1, 1], [1, 1]]]))
    assert found.mean[0] == pytest.approx(2 / 3) and found.across[0] == pytest.approx(1 / 3) and found.within[0] == 0
    # All tasks are alike, and attempts differ: nothing is due to them, less the part of chance, 1/2 / 2.
    found = variation(Column.full([[[0, 1], [1, 0]]]))
    assert (found.mean[0], found.across[0], found.within[0]) == (0.5, -0.25, 0.5)


def test_it_is_unbiased():
    random = np.random.default_rng(0)
    chance = random.beta(2, 2, (4000, 6, 1))  # of variance 1/20, of each set of parameters
    found = variation(Column.full(random.random((4000, 6, 3)) < chance))
    assert found.across.mean() == pytest.approx(0.05, abs=0.005)
    assert found.within.mean() == pytest.approx(0.25 - 0.05, abs=0.005)


def test_what_is_not_known_is_in_no_mean():
    values = np.array([[[0, 9], [1, 1], [0, 0]], [[1, 9], [9, 9], [1, 1]]], np.float32)
    found = variation(Column(values, values != 9))
    assert found.mean.tolist() == pytest.approx([1 / 3, 1.0]) and found.across[0] == 0.5
    assert np.isnan(found.across[1]) and np.isnan(found.within[1])
    with pytest.raises(ValueError, match="expected"):
        variation(Column.full([0.0, 1.0]))
