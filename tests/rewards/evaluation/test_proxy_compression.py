from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.evaluation.proxy_compression import compressed, proxy_gold_gap

SCORES = st.lists(st.integers(-4, 4), min_size=4, max_size=4).filter(lambda row: len(set(row)) > 1)


@given(SCORES, st.integers(1, 4), st.floats(0.1, 10), st.floats(-5, 5))
def test_where_everything_is_kept_there_is_no_gap_at_any_n_whatever_the_scale(row, n, scale, shift):
    features = np.stack([row, np.arange(4.0)], -1)[None]
    if np.ptp(gold := compressed(features, [1.0, 0.5], [True, True])) == 0:
        return
    assert proxy_gold_gap(gold, gold, n) == 0.0
    assert proxy_gold_gap(scale * gold + shift, gold, n) == pytest.approx(0.0, abs=1e-6)


@given(SCORES, SCORES)
def test_without_a_choice_there_is_no_gap(proxy, gold):
    assert proxy_gold_gap([proxy], [gold], 1) == pytest.approx(0.0, abs=1e-9)


def test_what_is_not_kept_is_lost_by_hand():
    features = [[[1.0, 2.0, 9.0], [0.0, 4.0, 1.0]]]
    assert compressed(features, [2.0, 1.0, 1.0], [True, True, False]).tolist() == [[4.0, 4.0]]
    assert compressed(features, [2.0, 1.0, 1.0], [False, False, True]).tolist() == [[9.0, 1.0]]
    # The best of two by the proxy is one deviation above its mean, and one below the mean of gold.
    assert proxy_gold_gap([[1.0, 3.0]], [[8.0, 2.0]], 2) == pytest.approx(2.0)
    # Of three, 0 1 2 against 1 0 2: the best of two is the last in two draws of three, else the second.
    deviation = (2 / 3) ** 0.5
    found = (2 * 1.0 + 0.0) / 3 / deviation - (2 * 1.0 - 1.0) / 3 / deviation
    assert proxy_gold_gap([[0.0, 1.0, 2.0]], [[1.0, 0.0, 2.0]], 2) == pytest.approx(found)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="booleans"):
        compressed([[1.0]], [1.0], [1])
    with pytest.raises(ValueError, match="all of them known"):
        proxy_gold_gap([[1.0, np.nan]], [[1.0, 2.0]], 1)
    with pytest.raises(ValueError, match="got n=3"):
        proxy_gold_gap([[1.0, 2.0]], [[1.0, 2.0]], 3)
    with pytest.raises(ValueError, match="expected answers that differ"):
        proxy_gold_gap([[1.0, 1.0]], [[1.0, 2.0]], 1)
