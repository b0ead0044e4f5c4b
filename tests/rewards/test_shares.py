import hypothesis.strategies as st
import pytest
from hypothesis import given
from scipy.stats import binomtest

from rewards.shares import clustered, wilson


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_an_independent_implementation(case):
    successes, n = case
    expected = binomtest(successes, n).proportion_ci(method="wilson")
    assert wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_of_nothing_everything_is_possible():
    assert wilson(0, 0) == clustered([], []) == clustered([0], [0]) == (0.0, 1.0)


def test_copies_within_a_cluster_do_not_narrow_the_interval():
    assert clustered([10, 0] * 10, [10, 10] * 10) == pytest.approx(clustered([1, 0] * 10, [1, 1] * 10))
    low, high = clustered([5] * 20, [10] * 20)
    assert low == high == 0.5  # clusters that are all alike say that the next one is too


def test_where_all_ended_alike_wilson_over_the_clusters_stands_in():
    assert clustered([0] * 8, [5] * 8) == wilson(0, 8)
    assert clustered([5] * 8, [5] * 8) == wilson(8, 8)
    assert clustered([3], [9]) == wilson(3, 9)
