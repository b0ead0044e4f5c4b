from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.sources.effective_rank import effective_rank, rank_trend


def test_orthonormal_rows_have_their_rank_and_copies_of_one_have_1():
    assert effective_rank(np.eye(5, 9)[:3]) == pytest.approx(3)
    assert effective_rank(np.ones((7, 4))) == pytest.approx(1)
    assert effective_rank(np.zeros((2, 3))) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6))
def test_it_is_between_1_and_the_rank_and_does_not_see_scale(seed, rows, columns):
    states = np.random.default_rng(seed).normal(size=(rows, columns))
    found = effective_rank(states)
    assert 1 - 1e-9 <= found <= min(rows, columns) + 1e-9
    assert effective_rank(1e3 * states) == pytest.approx(found)


def test_the_trend_by_hand():
    # Prefixes of 1, 2 and 3 orthonormal rows: ER 1, 2, 3; δ = 2 − 1, 3 − 3/2.
    found = rank_trend(np.eye(3), stride=1)
    assert found == pytest.approx((3, 1.25, 0.5))
    assert rank_trend(np.eye(3), stride=40) == pytest.approx((3, 0, 0))
    with pytest.raises(ValueError, match="at least 1 token"):
        rank_trend(np.eye(3), stride=0)
