from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.data.filtration import filtration_weights, r_squared

FILTERS = ("all", "best", "best_and_random", "best_and_worst")
GROUPS = st.lists(st.lists(st.none() | st.floats(-3, 3, width=32), min_size=5, max_size=5), min_size=1, max_size=4)


def column(*groups: list[float | None]) -> Column:
    values = np.array([[0.0 if x is None else x for x in group] for group in groups], np.float32)
    return Column(values, np.array([[x is not None for x in group] for group in groups]))


def test_of_five_the_best_has_a_half_and_each_other_an_eighth_as_in_the_released_code():
    rewards = column([0.1, 0.9, 0.3, 0.2, 0.0])
    assert filtration_weights(rewards, "best_and_random").tolist() == [[0.125, 0.5, 0.125, 0.125, 0.125]]
    assert filtration_weights(rewards, "best_and_worst").tolist() == [[0, 0.5, 0, 0, 0.5]]
    assert filtration_weights(rewards, "best").tolist() == [[0, 1, 0, 0, 0]]
    assert filtration_weights(rewards, "all").tolist() == [[0.2] * 5]


@pytest.mark.parametrize("keep", FILTERS)
def test_a_group_of_one_is_learnt_from_as_without_a_filter(keep):
    assert filtration_weights(column([0.3], [-1.0]), keep).tolist() == [[1.0], [1.0]]


@given(GROUPS, st.sampled_from(FILTERS))
def test_weights_sum_to_one_where_something_is_known_and_a_null_has_none(groups, keep):
    rewards = column(*groups)
    weights = filtration_weights(rewards, keep)
    assert weights.sum(1) == pytest.approx(rewards.valid.any(1).astype(float))
    assert (weights[~rewards.valid] == 0).all() and (weights >= 0).all()


@given(GROUPS)
def test_best_and_worst_keeps_exactly_two_of_each_group_equals_too(groups):
    rewards = column(*groups)
    kept = filtration_weights(rewards, "best_and_worst") > 0
    assert kept.sum(1).tolist() == np.minimum(rewards.valid.sum(1), 2).tolist()
    for values, own in zip(rewards.values, kept, strict=True):
        if own.any():
            assert values[own].max() == np.nanmax(values) and values[own].min() == np.nanmin(values)


def test_r_squared_is_one_on_a_line_and_that_of_what_is_kept():
    rewards = column([0.0, 1.0, 2.0, 3.0])
    everything = filtration_weights(rewards, "all")
    assert r_squared(rewards, column([1.0, -1.0, -3.0, -5.0]), everything) == pytest.approx(1.0)
    # Of 0, 1, 0, 3 against 0 to 3: covariance 1, variances 1.25 and 1.5.
    scores = column([0.0, 1.0, 0.0, 3.0])
    assert r_squared(rewards, scores, everything) == pytest.approx(1.0**2 / (1.25 * 1.5))
    assert r_squared(rewards, scores, filtration_weights(rewards, "best_and_worst")) == pytest.approx(1.0)


def test_r_squared_of_what_does_not_vary_is_unknown_and_unknown_scores_are_left_out():
    rewards = column([0.0, 1.0, 2.0])
    weights = filtration_weights(rewards, "all")
    assert r_squared(rewards, column([1.0, 1.0, 1.0]), weights) is None
    assert r_squared(rewards, column([0.0, 1.0, 2.0]), filtration_weights(rewards, "best")) is None
    assert r_squared(rewards, column([5.0, None, 6.0]), weights) == pytest.approx(1.0)


def test_an_unknown_filter_is_refused():
    with pytest.raises(ValueError, match="got filter 'worst'; expected one of"):
        filtration_weights(column([0.0]), "worst")
