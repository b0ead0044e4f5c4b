from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.comparison.expressivity import induced_by, is_function_of
from rewards.comparison.formalisms import (
    average_occupancy,
    discounted_entropy,
    last_action,
    product,
    same_action,
    satisfaction,
    seen_by_average,
    seen_by_machine,
    seen_by_markov,
    seen_by_regularised,
)
from rewards.comparison.tabular import TabularMDP


def one_state(gamma=0.5):
    """One state, two actions."""
    return TabularMDP(np.ones((1, 2, 1)), np.ones(1), gamma)


def two_states(gamma=0.5):
    """By turns in one and the other, whatever is done."""
    transition = np.zeros((2, 2, 2))
    transition[0, :, 1] = transition[1, :, 0] = 1.0
    return TabularMDP(transition, np.array([1.0, 0.0]), gamma)


def leaving(gamma=0.5):
    """To stay, or to go for ever."""
    transition = np.zeros((2, 2, 2))
    transition[0, 0, 0] = transition[0, 1, 1] = transition[1, :, 1] = 1.0
    return TabularMDP(transition, np.array([1.0, 0.0]), gamma)


def chances(values):
    return [np.array([[1 - p, p]]) for p in values]


def deterministic(states, actions=2):
    return [np.eye(actions)[list(choice)] for choice in itertools.product(range(actions), repeat=states)]


@pytest.mark.slow
@given(st.integers(0, 10_000))
def test_what_a_markov_reward_orders_is_found_to_be_ordered_by_one(seed):
    random = np.random.default_rng(seed)
    small = TabularMDP(random.dirichlet(np.ones(3), (3, 2)), np.full(3, 1 / 3), 0.8)
    seen = seen_by_markov(small, deterministic(3))
    ranks = np.argsort(np.argsort(seen @ random.normal(size=6)))
    found = induced_by(seen, ranks)
    assert found is not None
    assert np.diff((seen @ found)[np.argsort(ranks)]).min() >= 1 - 1e-6


def test_to_do_something_else_in_the_second_state_needs_memory():
    policies = deterministic(2)
    ranks = [float(a.argmax() != b.argmax()) for a, b in policies]  # XOR
    small = two_states()
    # any reward: the worth of (0, 1) and (1, 0) is together that of (0, 0) and (1, 1)
    assert induced_by(seen_by_markov(small, policies), ranks) is None
    assert induced_by(seen_by_average(small, policies), ranks) is None
    assert induced_by(seen_by_regularised(small, policies), ranks) is None  # none of them is random
    seen = seen_by_machine(small, policies, last_action(2, 2))
    found = induced_by(seen, ranks)
    worth = seen @ found
    assert (
        worth[1] == pytest.approx(worth[2]) and worth[0] == pytest.approx(worth[3]) and worth[1] >= worth[0] + 1 - 1e-6
    )


def test_the_limit_average_sees_a_door_that_is_left_open_and_no_discounted_reward_does():
    small = leaving()
    policies = [np.array([[1 - p, p], [1.0, 0.0]]) for p in (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)]
    ranks = [0.0, 1.0, 1.0, 1.0, 1.0, 1.0]  # to go some day
    assert average_occupancy(small, policies[1]) == pytest.approx(np.array([[0, 0], [1.0, 0]]))
    assert induced_by(seen_by_average(small, policies), ranks) is not None
    for seen in (seen_by_markov, seen_by_regularised):
        assert induced_by(seen(small, policies), ranks) is None


def test_always_or_never_is_a_formula_and_no_reward():
    policies = chances([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    machine = same_action(1, 2)
    ranks = [satisfaction(one_state(), p, machine, np.array([True, True, True, False])) for p in policies]
    assert ranks == pytest.approx([1, 0, 0, 0, 0, 1], abs=1e-12)
    ranks = np.round(ranks)
    assert induced_by(seen_by_markov(one_state(), policies), ranks) is None
    assert induced_by(seen_by_machine(one_state(), policies, last_action(1, 2)), ranks) is None
    assert induced_by(seen_by_regularised(one_state(), policies), ranks) is None


def test_an_entropy_bonus_orders_what_only_it_can():
    small, values = one_state(), [0.0, 0.2, 0.34, 0.36, 0.65, 0.8, 1.0]
    policies = chances(values)
    entropies = [0.0 if p in (0, 1) else -p * math.log(p) - (1 - p) * math.log(1 - p) for p in values]
    assert discounted_entropy(small, policies[1]) == pytest.approx(entropies[1] / (1 - 0.5))
    ranks = np.array(values) + np.array(entropies)
    found = induced_by(seen_by_regularised(small, policies), ranks)
    assert found is not None and found[-1] > 0
    assert induced_by(seen_by_markov(small, policies), ranks) is None
    # with the last action remembered, worth is quadratic in p; its peak would have to be in two places
    assert induced_by(seen_by_machine(small, policies, last_action(1, 2)), ranks) is None


def test_what_is_done_where_one_never_is_cannot_be_seen_in_the_occupancy():
    transition = np.zeros((2, 2, 2))
    transition[0, :, 0] = transition[1, :, 0] = 1.0
    small = TabularMDP(transition, np.array([1.0, 0.0]), 0.5)
    policies = deterministic(2)
    seen = seen_by_markov(small, policies)
    assert not is_function_of(seen, [0, 1, 0, 1]) and induced_by(seen, [0, 1, 0, 1]) is None
    assert is_function_of(seen, [0, 0, 1, 1]) and induced_by(seen, [0, 0, 1, 1]) is not None


def test_any_function_of_the_occupancy_may_have_a_threshold():
    policies, ranks = chances([0.0, 0.1, 0.2, 0.5, 0.6, 0.9]), [0, 0, 0, 1, 1, 1]
    seen = seen_by_markov(one_state(), policies)
    assert is_function_of(seen, ranks) and induced_by(seen, ranks) is None


def test_a_machine_that_reads_along_changes_nothing_in_the_world():
    random = np.random.default_rng(0)
    small = TabularMDP(random.dirichlet(np.ones(3), (3, 2)), np.full(3, 1 / 3), 0.8)
    policy, machine = random.dirichlet(np.ones(2), 3), last_action(3, 2)
    seen = seen_by_machine(small, [policy], machine).reshape(3, 3, 2)
    assert seen.sum(1) == pytest.approx(small.occupancy(policy))
    assert seen[:, 0] == pytest.approx(small.start[:, None] * policy)  # nothing is remembered at the first step alone
    with pytest.raises(ValueError, match="as the world"):
        product(one_state(), machine)


def test_averages_of_a_world_with_a_period_are_those_of_a_longer_and_longer_future():
    random = np.random.default_rng(1)
    policy = random.dirichlet(np.ones(2), 2)
    near = (1 - 0.99999) * two_states(0.99999).occupancy(policy)
    assert average_occupancy(two_states(), policy) == pytest.approx(near, abs=1e-4)


def test_an_order_in_which_all_are_as_good_is_that_of_no_reward():
    assert induced_by([[1.0, 2.0], [3.0, 4.0]], [5, 5]).tolist() == [0, 0]
    assert induced_by([[0.0], [0.0]], [0, 1]) is None
    assert induced_by([[1.0], [1.0 + 1e-15]], [0, 1]) is None  # rounding is no difference
    assert induced_by([[1.0], [3.0]], [1, 0]) == pytest.approx([-0.5])


@pytest.mark.parametrize(
    ("features", "ranks", "message"),
    [([[1.0]], [1, 2], "expected \\[P, F\\]"), ([[math.nan]], [1], "not finite"), ([[1.0]], [math.inf], "not finite")],
)
def test_what_is_no_table_of_features_is_refused(features, ranks, message):
    with pytest.raises(ValueError, match=message):
        induced_by(features, ranks)
