from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rewards.sources.interaction import interaction_rewards

nan = float("nan")


@given(arrays(np.float64, (5, 3), elements=st.sampled_from([1.0, 2.0, 3.0, nan])))
def test_solver_and_evaluator_share_one_and_an_unreadable_score_costs_its_scorer_alone(scores):
    found, read = interaction_rewards(scores), ~np.isnan(scores)
    assert (found.pair + found.evaluation)[read].tolist() == [1.0] * int(read.sum())
    assert np.isnan(found.pair[~read]).all() and np.isnan(found.evaluation[~read]).all()
    assert (found.scoring == np.where(read, 0.0, -1.0)).all()


def test_a_solution_earns_the_mean_of_its_scored_pairs_by_hand():
    found = interaction_rewards([[3, 1], [2, nan], [nan, nan]])
    assert found.solution[:2].tolist() == [0.5, 0.5] and np.isnan(found.solution[2])
    assert found.evaluation[0].tolist() == [0.0, 1.0]


def test_an_evaluation_that_is_not_there_costs_nobody_anything():
    found = interaction_rewards([[3, nan]], [[True, False]])
    assert found.solution.tolist() == [1.0] and np.isnan(found.scoring[0, 1])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="expected 1 to 3"):
        interaction_rewards([[0, 3]])
    with pytest.raises(ValueError, match=r"expected \[S, E\] twice"):
        interaction_rewards([1, 2])
