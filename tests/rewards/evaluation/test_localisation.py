from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.evaluation.localisation import localisation, span_distance, span_iou

NONE = [-1, -1]
SPAN = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted)


def test_overlap_and_distance_by_hand():
    found, annotated = [[1, 4], [0, 1], NONE, [2, 3]], [[3, 6], [5, 6], [0, 0], NONE]
    assert span_iou(found, annotated)[:3].tolist() == pytest.approx([2 / 6, 0, 0])
    assert span_distance(found, annotated, 10)[:3].tolist() == pytest.approx([0.2, 0.5, 1])
    assert np.isnan(span_iou(found, annotated)[3]) and np.isnan(span_distance(found, annotated, 10)[3])


@given(SPAN, SPAN)
def test_overlap_is_that_of_sets_of_steps(one, other):
    sets = [set(range(first, last + 1)) for first, last in (one, other)]
    expected = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    assert span_iou([one], [other])[0] == span_iou([other], [one])[0] == pytest.approx(expected)


def test_all_found_is_1_and_a_miss_costs_in_everything():
    kind, spans = [0, 2, 1], [NONE, [1, 3], [4, 4]]
    assert localisation(kind, spans, kind, spans, 8) == (1, 1, 1, 0, 1)
    missed = localisation([0, 0, 1], [NONE, NONE, [4, 4]], kind, spans, 8)
    assert missed == pytest.approx((2 / 3, 1 / 2, 1 / 2, 1 / 2, (2 / 3 + 3 / 2) / 4))


def test_a_span_that_nobody_knows_is_left_out_of_the_times_alone():
    found = localisation([1, 1], [[0, 1], [5, 5]], [1, 2], [[0, 1], NONE], 8)
    assert (found.detection, found.category, found.iou, found.distance) == (1, 0.5, 1, 0)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="expected as many of each"):
        localisation([0], [NONE], [0], [NONE], 8)
    with pytest.raises(ValueError, match="expected as many of each"):
        localisation([1, 1], [[0, 1]], [1], [[0, 1]], 8)
    with pytest.raises(ValueError, match="places below 4"):
        span_distance([[0, 4]], [[0, 1]], 4)
    with pytest.raises(ValueError, match="ends before it begins"):
        span_iou([[2, 1]], [[0, 1]])
    with pytest.raises(ValueError, match=r"expected \[N, 2\]"):
        span_iou([[2, 1, 3]], [[0, 1]])
