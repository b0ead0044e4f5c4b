from __future__ import annotations

import numpy as np
import pytest

from rewards.columns import Column
from rewards.credit.process_outcome import ProcessOutcome
from rewards.views.layout import Layout
from rewards.views.part import Table

LAYOUT = Layout.of(steps=[3, 3], group=[0, 0])


def table(steps, outcome, known=None, layout=LAYOUT):
    column = Column(np.array(steps, np.float32), np.array(known or [True] * 6))
    return Table({"r": column, "outcome": Column.full(outcome)}, layout, {"r": "step", "outcome": "episode"})


def test_a_right_outcome_leaves_the_scores_and_a_wrong_one_lets_no_step_earn_anything():
    part = ProcessOutcome(of="r", normalise=False)
    found = part.apply(table([0.2, 0.9, 0.4, 0.2, 0.9, 0.4], [1.0, 0.0]), {}).values
    np.testing.assert_allclose(found, [0.2, 0.9, 1.0, -0.8, -0.1, 0.0], atol=1e-6)


def test_scores_of_one_everywhere_are_the_outcome_at_every_step():
    found = ProcessOutcome(of="r", normalise=False).apply(table([1.0] * 6, [1.0, 0.0]), {}).values
    np.testing.assert_allclose(found, [1, 1, 1, 0, 0, 0])
    scaled = ProcessOutcome(of="r").apply(table([1.0] * 6, [1.0, 0.0]), {}).values
    np.testing.assert_allclose(scaled, [2, 2, 2, 0, 0, 0])  # the deviation is ½


def test_a_step_without_a_score_is_null_but_for_the_last():
    steps = [0.5, np.nan, np.nan, 0.5, 0.5, 0.5]
    found = ProcessOutcome(of="r").apply(table(steps, [1.0, 0.0], [True, False, False, True, True, True]), {})
    assert found.valid.tolist() == [True, False, True, True, True, True]


def test_where_an_episode_was_cut_no_step_has_the_outcome_for_its_score():
    cut = Layout.of(steps=[3, 3], ended=[False, True], began=[True, False])
    part = ProcessOutcome(of="r", normalise=False)
    found = part.apply(table([0.2, 0.9, 0.4, 0.2, 0.9, 0.4], [1.0, 1.0], layout=cut), {})
    np.testing.assert_allclose(found.values, [0.2, 0.9, 0.4, 0.2, 0.9, 1.0], atol=1e-6)
    assert not part.apply(table([0.5] * 6, [1.0, 1.0], [True] * 2 + [False] * 4, cut), {}).valid[2]


def test_scores_of_episodes_are_refused():
    with pytest.raises(ValueError, match="step or token"):
        ProcessOutcome(of="r").level({"r": "episode", "outcome": "episode"})
