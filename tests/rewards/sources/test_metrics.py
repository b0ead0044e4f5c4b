from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.sources.metrics import bidirectional_similarity, mixed_metric


def test_malformed_earns_minus_three_a_perfect_lexical_match_two_and_mix_is_lex_plus_sem_less_one():
    formatted, lexical, semantic = [False, True, True], [1.0, 1.0, 0.25], [1.0, 0.5, 0.75]
    lex, sem = mixed_metric(formatted, lexical), mixed_metric(formatted, semantic)
    assert lex.tolist() == [-3, 2, 1.25]
    assert mixed_metric(formatted, lexical, semantic)[1:].tolist() == (lex + sem - 1)[1:].tolist() == [2.5, 2.0]


def test_with_a_threshold_a_metric_is_reached_or_not():
    assert mixed_metric([1, 1, 0], [0.6, 0.4, 0.9], threshold=0.5).tolist() == [3.0, -0.5, -3.0]


def test_a_metric_that_could_not_be_had_is_null_unless_the_format_decides():
    for threshold in (None, 0.5):
        found = mixed_metric([True, False, True], [np.nan, np.nan, 1.0], [0.5, 0.5, 1.0], threshold=threshold)
        assert np.isnan(found).tolist() == [True, False, False]
    with pytest.raises(ValueError, match="divide scores"):
        mixed_metric([True], [37.0])
    with pytest.raises(ValueError, match="at least one"):
        mixed_metric([True])


def test_similarity_by_hand():
    # Cosines [[1, 0], [0.6, 0.8]] to e1, e2: rows' best 1 and 0.8, columns' best 1 and 0.8.
    assert bidirectional_similarity([[2, 0], [0.6, 0.8]], np.eye(2)) == pytest.approx(0.9)
    assert bidirectional_similarity(np.zeros((0, 2)), np.eye(2)) == 0
    with pytest.raises(ValueError, match="at least one token"):
        bidirectional_similarity(np.eye(2), np.zeros((0, 2)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5))
def test_similarity_is_symmetric_bounded_and_one_with_itself(seed, n, m):
    random = np.random.default_rng(seed)
    one, other = random.normal(size=(n, 3)), random.normal(size=(m, 3))
    assert bidirectional_similarity(one, one) == pytest.approx(1)
    found = bidirectional_similarity(one, other)
    assert found == pytest.approx(bidirectional_similarity(other, one)) and abs(found) <= 1 + 1e-9
