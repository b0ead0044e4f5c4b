from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.evaluation.accuracy import best_of_n
from rewards.evaluation.alignment_probe import alignment_probe
from rewards.evaluation.pass_at_k import pass_at_k, pass_at_k_of


def test_of_one_it_is_the_share_and_one_where_too_few_are_wrong():
    assert pass_at_k([0, 3, 10], 10, 1).tolist() == [0.0, pytest.approx(0.3), 1.0]
    assert pass_at_k([3, 8], 10, 8).tolist() == [1.0, 1.0]
    assert pass_at_k(0, 10, 10).tolist() == 0.0
    assert np.isnan(pass_at_k([1], 4, 5)).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=7), st.integers(1, 7))
def test_it_is_the_share_of_choices_with_a_right_one(right, k):
    if k > len(right):
        return
    chosen = [any(one) for one in combinations(right, k)]
    assert pass_at_k(sum(right), len(right), k) == pytest.approx(np.mean(chosen))


def test_the_best_of_n_by_an_oracle_is_pass_at_n():
    right = np.array([[0, 0, 1, 0], [1, 1, 0, 1], [0, 0, 0, 0]], np.float64)
    for n in (1, 2, 3, 4):
        assert pass_at_k_of(right, n) == pytest.approx(best_of_n(right.tolist(), right.tolist(), n))


def test_what_is_not_known_counts_neither_as_right_nor_as_wrong():
    right = [[1, np.nan, 0, np.nan], [np.nan] * 4]
    assert pass_at_k_of(right, 1) == pytest.approx(0.5)
    assert pass_at_k_of(right, 2) == pytest.approx(1.0)
    assert pass_at_k_of(right, 3) is None


def test_what_is_no_count_is_refused():
    with pytest.raises(ValueError, match="got k=0"):
        pass_at_k([1], [2], 0)
    with pytest.raises(ValueError, match="right answers from 0"):
        pass_at_k([3], [2], 1)
    with pytest.raises(ValueError, match="of 0, 1, and NaN"):
        pass_at_k_of([[0.5]], 1)


def test_a_probe_by_hand():
    found = alignment_probe(
        [[1, 0, 0, 0], [0, 0, 0, 1]],
        {"right": [[1, 1], [1, 0]], "random": [[1, 0], [0, 0]], "majority": [[0, 1], [0, 1]]},
        reference="right",
        ks=(1, 2, 16),
    )
    assert found.before == {1: 0.25, 2: 0.5, 16: None}
    assert found.gain == {"right": 0.5, "random": 0.0, "majority": 0.25}
    assert found.kept == {"right": 1.0, "random": 0.0, "majority": 0.5}


def test_nothing_is_kept_of_no_gain_and_what_is_not_known_has_none():
    same = alignment_probe([[1, 0]], {"right": [[1, 0]], "random": [[1, 1]]}, reference="right")
    assert same.gain == {"right": 0.0, "random": 0.5} and same.kept == {"right": None, "random": None}
    unknown = alignment_probe([[1, 0]], {"right": [[1, 1]], "random": [[np.nan]]}, reference="right")
    assert unknown.gain["random"] is None and unknown.kept["random"] is None
    with pytest.raises(ValueError, match="got reference 'oracle'"):
        alignment_probe([[1]], {"right": [[1]]}, reference="oracle")
