from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.sources.proposals import attended_action, best_plan, proposal_hit, salient_coverage
from rewards.verifiers.sets import iou

CELLS = [(float(x), float(y), x + 1.5, y + 1.5) for x in range(3) for y in range(3)]


def test_listing_every_box_is_worth_nothing_and_a_perfect_output_scores_three():
    target = (0.0, 0.0, 1.5, 1.5)
    dense = [*CELLS, (0.1, 0.1, 1.5, 1.5)]
    assert proposal_hit(dense, target) == 0
    assert (
        proposal_hit([target, (5.0, 5.0, 6.0, 6.0)], target) == 1 and proposal_hit([(5.0, 5.0, 6.0, 6.0)], target) == 0
    )
    assert attended_action(True, [target], target, True).total == 3
    assert attended_action(False, [target], target, True).total == 0
    assert proposal_hit([], None) == 1


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0.1, 3)), min_size=1, max_size=4))
def test_with_equal_weights_coverage_is_the_mean_best_overlap(spans):
    boxes = [(start, start + size) for start, size in spans]
    wanted = [(0.0, 2.0), (3.0, 4.0)]
    expected = sum(max(iou(aim, box) for box in boxes) for aim in wanted) / 2
    assert salient_coverage(boxes, wanted, [2.0, 2.0]) == pytest.approx(expected)


def test_what_matters_counts_more_and_superfluous_boxes_cost():
    wanted = [(0.0, 1.0), (2.0, 3.0)]
    assert salient_coverage([(0.0, 1.0)], wanted, [3.0, 1.0]) == 0.75
    assert salient_coverage([(0.0, 1.0)] * 4, wanted, [3.0, 1.0], surplus=0.1) == pytest.approx(0.55)
    assert salient_coverage([], wanted, [1.0, 1.0]) == 0
    with pytest.raises(ValueError, match="at least one"):
        salient_coverage([], [], [])


def test_any_admissible_plan_pays():
    assert best_plan([0.2, 1.0, 0.4]) == 1
    with pytest.raises(ValueError, match="at least one plan"):
        best_plan([])
