from __future__ import annotations

import numpy as np
import pytest

from rewards.data.trajectory_edits import Step
from rewards.evaluation.trajectory_bench import TrajectoryPair, by_judge, by_scores, report

LENGTHS, FAMILIES, EDITS = (
    (2, 2, 5, 9),
    ("planning", "recovery", "planning", "planning"),
    ("drop", "ignore", "drop", "swap"),
)
PAIRS = [
    TrajectoryPair("task", (Step("x"),) * length, (Step("y"),), family, edit)
    for length, family, edit in zip(LENGTHS, FAMILIES, EDITS, strict=True)
]


def test_an_oracle_is_always_right_and_a_constant_half_the_time():
    worth = np.arange(4.0)
    oracle, constant = report(PAIRS, by_scores(worth + 1, worth), [3]), report(PAIRS, by_scores([7] * 4, [7] * 4), [3])
    for found, value in ((oracle, 1.0), (constant, 0.5)):
        assert found.accuracy.value == found.mean == value
        for rate in (*found.families.values(), *found.lengths, *found.edits.values()):
            assert rate.value == value


def test_accuracy_is_counted_by_family_length_and_mistake():
    found = report(PAIRS, [1, 0, np.nan, 0.5], edges=[2, 5, 7])
    assert found.accuracy.value == 0.5 and found.accuracy.n == 3
    assert [rate.value for rate in found.lengths] == [0.5, None, None, 0.5]  # the third was not decided
    assert {name: rate.value for name, rate in found.families.items()} == {"planning": 0.75, "recovery": 0}
    assert found.mean == 0.375  # each family counts the same
    assert {name: rate.value for name, rate in found.edits.items()} == {"drop": 1, "ignore": 0, "swap": 0.5}
    assert report(PAIRS, [1, np.nan, 1, 1], [3]).mean is None  # nothing is known of recovery


def test_a_judge_that_prefers_a_place_wins_half_of_each_pair():
    assert by_judge([1, 1, 0.9, 0.5, np.nan], [1, 0, 0.2, 0, 0]).tolist()[:4] == [0.5, 1, 1, 0.75]
    assert np.isnan(by_judge([np.nan], [0])).all()
    assert by_scores([1, 1, 0], [0, 1, 1]).tolist() == [1, 0.5, 0]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="one each"):
        report(PAIRS, [1, 1], [3])
    with pytest.raises(ValueError, match="0 to 1"):
        report(PAIRS, [2, 1, 1, 1], [3])
    with pytest.raises(ValueError, match="rise"):
        report(PAIRS, [1, 1, 1, 1], [3, 3])
    with pytest.raises(ValueError, match=r"\[N\]"):
        by_scores([1], [1, 2])
