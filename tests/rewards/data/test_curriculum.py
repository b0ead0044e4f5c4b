from __future__ import annotations

import math

import numpy as np
import pytest

from rewards.data.curriculum import batches, competence


def test_it_begins_with_the_easiest_and_ends_with_all():
    assert competence(0, 0.1) == pytest.approx(0.1) and competence(1, 0.1) == pytest.approx(1)
    assert competence(0.5, 0.2) == pytest.approx(math.sqrt(0.04 + 0.5 * 0.96))
    drawn = list(batches([3, 1, 2, 0], steps=3, batch=400, random=np.random.default_rng(0), first=0.25))
    assert set(drawn[0]) == {3} and set(drawn[1]) == {3, 1, 2} and set(drawn[2]) == {0, 1, 2, 3}


def test_a_first_share_of_all_is_no_curriculum():
    for drawn in batches([3, 1, 2, 0], steps=3, batch=400, random=np.random.default_rng(0), first=1.0):
        assert np.bincount(drawn).min() > 60
    with pytest.raises(ValueError, match="all of them known"):
        next(batches([1, math.nan], 1, 1, np.random.default_rng(0)))
    with pytest.raises(ValueError, match="at most 1"):
        competence(0.5, 0)
