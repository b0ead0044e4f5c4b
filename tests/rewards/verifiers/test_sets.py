"""Sets, intervals and boxes: by hand, by identity, and IoU against counting cells."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score

from rewards.functions import PolicyFault
from rewards.verifiers.sets import box_matching, interval_iou, iou, set_f1

corners = st.integers(0, 6)
boxes = st.tuples(corners, corners, corners, corners).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)


def test_f1_of_sets_by_hand():
    assert set_f1('["a", "b", "c"]', ["B ", "c", "d", "e"]) == pytest.approx(2 * 2 / 7)
    assert set_f1("[]", []) == 1.0
    assert set_f1("[]", ["a"]) == 0.0
    assert set_f1('["a", "a", "A"]', ["a"]) == 1.0


@pytest.mark.parametrize("completion", ["a, b", '{"a": 1}', "[1]", json.dumps(["x"] * 501)])
def test_what_is_no_list_of_strings_is_the_policys_fault(completion):
    with pytest.raises(PolicyFault):
        set_f1(completion, ["a"])


def test_a_reference_that_is_no_list_of_strings_is_not_the_policys_fault():
    with pytest.raises(ValueError, match="expected strings"):
        set_f1('["a"]', [1])


def test_intervals_by_hand():
    assert interval_iou("[0, 10]", [5, 15]) == pytest.approx(5 / 15)
    assert interval_iou("[0, 1]", [2, 3]) == 0.0
    assert interval_iou("[0, 0, 2, 2]", [1, 1, 3, 3]) == pytest.approx(1 / 7)


@pytest.mark.parametrize("completion", ["[1]", "[2, 1]", '["0", "1"]', "[0, 1e400]", "[true, 2]", "[0, 1, 2, 3]"])
def test_what_is_no_interval_is_the_policys_fault(completion):
    with pytest.raises(PolicyFault):
        interval_iou(completion, [0, 1])


def test_a_wrong_reference_is_not_the_policys_fault():
    with pytest.raises(ValueError, match="lower ends first"):
        interval_iou("[0, 1]", [3, 2])


@given(boxes, boxes)
def test_iou_of_boxes_is_the_jaccard_index_of_their_cells(one, other):
    cells = [(x, y) for x in range(6) for y in range(6)]
    inside = [[b[0] <= x < b[2] and b[1] <= y < b[3] for x, y in cells] for b in (one, other)]
    if any(inside[0]) or any(inside[1]):
        assert iou(one, other) == pytest.approx(jaccard_score(inside[0], inside[1]))
    else:
        assert iou(one, other) == 0.0


WANTED = [{"box": [0, 0, 10, 10], "label": "cat"}, {"box": [20, 20, 30, 30], "label": "dog"}]


def test_a_perfect_set_of_boxes_scores_three_and_a_malformed_one_nothing():
    assert box_matching(json.dumps(WANTED), WANTED) == pytest.approx(3.0)
    assert box_matching(json.dumps(WANTED), WANTED, advanced=True) == pytest.approx(3.0)
    assert box_matching("two boxes", WANTED) == 0.0
    assert box_matching('[{"box": [1, 2]}]', WANTED) == 0.0


def test_no_boxes_where_some_are_wanted_score_the_format_alone():
    assert box_matching("[]", WANTED) == 1.0
    assert box_matching("[]", []) == 3.0
    assert box_matching(json.dumps(WANTED), []) == 1.0


def test_thresholds_by_hand():
    # Overlap 6/10 for the cat, none for the dog. Beginner: recall 1/2, precision 0.6/2. Advanced: 0.6 is too little.
    written = json.dumps([{"box": [0, 0, 10, 6], "label": "cat"}, {"box": [50, 50, 60, 60], "label": "dog"}])
    assert box_matching(written, WANTED) == pytest.approx(1 + 0.5 + 0.3)
    assert box_matching(written, WANTED, advanced=True) == 1.0


def test_a_right_box_with_a_wrong_label_is_wrong():
    assert box_matching(json.dumps([{**WANTED[0], "label": "dog"}, {**WANTED[1], "label": "cat"}]), WANTED) == 1.0


def test_many_guesses_do_not_pay():
    guesses = WANTED + [{"box": [k, 0, k + 10, 10], "label": "cat"} for k in range(100, 110)]
    assert box_matching(json.dumps(guesses), WANTED) < 2.2 < box_matching(json.dumps(WANTED), WANTED)


@given(st.permutations(range(4)))
def test_the_order_of_boxes_does_not_count(order):
    written = [*WANTED, {"box": [1, 1, 9, 9], "label": "cat"}, {"box": [0, 5, 10, 15], "label": "cat"}]
    shuffled = json.dumps([written[k] for k in order])
    assert box_matching(shuffled, WANTED) == pytest.approx(box_matching(json.dumps(written), WANTED))
