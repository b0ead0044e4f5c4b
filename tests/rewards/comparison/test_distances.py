import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from rewards.comparison.advantage_change import advantage_change
from rewards.comparison.canonicalisation import dard, epic, minimal, val, val_potential
from rewards.comparison.correlation import pearson, spearman
from rewards.comparison.dard import dard_distance
from rewards.comparison.epic import epic_distance, pearson_distance, shaped_outcomes
from rewards.comparison.experienced import experienced, fitted_values, random_features
from rewards.comparison.regret_bounds import epic_bound, most_over, regret_of
from rewards.comparison.starc import norm, starc_distance
from rewards.comparison.tabular import TabularMDP


def world(seed=0, states=4, actions=2, gamma=0.9):
    random = np.random.default_rng(seed)
    transition = random.dirichlet(np.ones(states), (states, actions))
    return TabularMDP(transition, random.dirichlet(np.ones(states)), gamma)


def reward(seed, shape=(4, 2, 4)):
    return np.random.default_rng(seed).normal(size=shape)


def shaped(given, potential, gamma, factor=1.0):
    return factor * given + gamma * potential[None, None, :] - potential[:, None, None]


def bandit(gamma=0.5):
    """One state, two actions: everything can be worked out by hand."""
    return TabularMDP(np.ones((1, 2, 1)), np.ones(1), gamma)


def test_a_bandit_worked_by_hand():
    a, b = np.array([[[1.0], [3.0]]]), np.array([[[5.0], [0.0]]])
    # r = (1, 3), uniform policy: V = 2/(1−½) = 4, A = r − 4 + 2 = (−1, 1); the other: V = 5, A = (2.5, −2.5).
    assert val(bandit(), a) == pytest.approx(np.array([[-1.0, 1.0]]))
    assert val(bandit(), b) == pytest.approx(np.array([[2.5, -2.5]]))
    assert starc_distance(bandit(), a, b) == pytest.approx(1.0)  # they are opposites
    assert starc_distance(bandit(), a, 7 * a + 2) == pytest.approx(0.0, abs=1e-12)


def test_two_states_worked_by_hand():
    # 0 → 0 by "stay", 0 → 1 by "go"; 1 stays. γ = ½. a pays "go" with 1; b pays being in state 1 with 1.
    transition = np.zeros((2, 2, 2))
    transition[0, 0, 0] = transition[0, 1, 1] = transition[1, :, 1] = 1.0
    small = TabularMDP(transition, np.array([1.0, 0.0]), 0.5)
    a, b = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    a[0, 1], b[1] = 1.0, 1.0
    # a, uniform policy: V(1) = 0, V(0) = ½ + ½·½V(0), so V(0) = 2/3; A(0, ·) = (1/3 − 2/3, 1 − 2/3) = (−1/3, 1/3).
    assert val(small, a) == pytest.approx(np.array([[-1 / 3, 1 / 3], [0, 0]]))
    # b: V(1) = 2, V(0) = ½(½V(0) + 1), so V(0) = 2/3; A(0, ·) = (1/3 − 2/3, 1 − 2/3): the same, so the same policies.
    assert val(small, b) == pytest.approx(np.array([[-1 / 3, 1 / 3], [0, 0]]))
    assert starc_distance(small, a, b) == pytest.approx(0.0, abs=1e-12)
    # EPIC does not know which transitions are possible. m_a = (½, 0), mean ¼: C_a(0,0,·) = 0 + ½m(s') − ½ − ⅛ …
    by_hand = np.zeros((2, 2, 2))
    for s, action, t in itertools.product(range(2), repeat=3):
        by_hand[s, action, t] = a[s, action, t] + 0.5 * (0.5, 0.0)[t] - (0.5, 0.0)[s] - 0.5 * 0.25
    assert epic(a, 0.5) == pytest.approx(by_hand)
    # of b: m = (0, 1), mean ½: C_b = [s=1] + ½·[t=1] − [s=1] − ¼ = ±¼, by the next state alone
    assert epic(b, 0.5)[:, :, 1] == pytest.approx(np.full((2, 2), 0.25))
    found = epic_distance(a, b, 0.5)
    # C_a varies by ±½ with the action in s = 0 (variance ⅛) and by ∓⅛ with t (1/64), C_b by ±¼ with t: ρ = −⅓
    assert found == pytest.approx(np.sqrt((1 + 1 / 3) / 2))
    # DARD asks of what is possible. a: leaving 0 pays ½, no second step pays. b: leaving 1 pays 1, "go" leads there.
    possible = [0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 1]
    assert dard(small, a)[possible] == pytest.approx([-0.25, 0.5, 0, 0])
    assert dard(small, b)[possible] == pytest.approx([-0.25, 0.25, 0, 0])
    # of both, each transition as often: covariance 3/64, variances 19/256 and 1/32
    correlation = (3 / 64) / np.sqrt(19 / 256 / 32)
    assert dard_distance(small, a, b) == pytest.approx(np.sqrt((1 - correlation) / 2))


@pytest.mark.slow
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3), st.floats(0.0, 0.95))
@settings(max_examples=40, deadline=None)
def test_neither_shaping_nor_scaling_nor_redistribution_is_felt(seed, factor, gamma):
    small, given_, random = world(seed, gamma=gamma), reward(seed), np.random.default_rng(seed + 1)
    other = shaped(given_, random.normal(size=4), gamma, factor)
    noise = random.normal(size=other.shape)
    redistributed = other + noise - small.expected(noise)[:, :, None]
    for canonical, order in itertools.product(("val", "minimal"), (1, 2, "inf")):
        if canonical == "minimal" and order != 2:
            continue  # there are several, which need not be the same for both
        assert starc_distance(small, given_, redistributed, canonical, order) == pytest.approx(0.0, abs=1e-6)
        assert starc_distance(small, given_, -redistributed, canonical, order) == pytest.approx(1.0, abs=1e-6)
    assert epic_distance(given_, other, gamma) == pytest.approx(0.0, abs=1e-6)
    assert dard_distance(small, given_, other) == pytest.approx(0.0, abs=1e-6)
    assert dard_distance(small, given_, -other) == pytest.approx(1.0, abs=1e-6)


def test_distances_are_metrics_of_what_policies_feel():
    small = world(3)
    a, b, c = (reward(seed) for seed in range(3))
    for canonical in ("val", "minimal"):
        ab, ba = starc_distance(small, a, b, canonical), starc_distance(small, b, a, canonical)
        assert ab == pytest.approx(ba) and 0 < ab < 1
        assert ab <= starc_distance(small, a, c, canonical) + starc_distance(small, c, b, canonical) + 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2, "inf"])
def test_the_smallest_reward_is_found_by_another_way_too(order):
    small, given_ = world(5, states=3), reward(5, (3, 2, 3))

    def size(potential):
        return norm(small.expected(shaped(given_, potential, small.gamma)), order)

    best = min(
        minimize(size, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 20_000}).fun
        for start in np.random.default_rng(0).normal(size=(6, 3))
    )
    assert norm(minimal(small, given_, order), order) == pytest.approx(best, rel=1e-3 if order != 2 else 1e-6)
    assert norm(minimal(small, given_, order), order) <= best + 1e-9


def test_a_reward_that_is_shaping_alone_is_nothing():
    small, potential = world(1), np.array([3.0, -1.0, 0.5, 2.0])
    nothing = shaped(np.zeros((4, 2, 4)), potential, small.gamma)
    assert starc_distance(small, nothing, np.zeros((4, 2, 4))) == 0.0
    assert starc_distance(small, nothing, reward(0)) == pytest.approx(0.5)
    assert epic_distance(nothing, reward(0), small.gamma) is None
    assert dard_distance(small, nothing, reward(0)) is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_regret_stays_within_both_bounds(seed):
    small, a = world(seed, states=5, actions=3), reward(seed, (5, 3, 5))
    b = a + np.random.default_rng(seed + 99).normal(size=a.shape) * (0.1 if seed % 2 else 2.0)
    first, second = small.expected(a), small.expected(b)
    found = regret_of(small, first, second, val(small, a), val(small, b))
    policies = (small.best_policy(first), small.best_policy(second))
    brute = [small.worth(np.eye(3)[list(choice)], first) for choice in itertools.product(range(3), repeat=5)]
    assert small.worth(policies[0], first) == pytest.approx(max(brute))
    assert found.regret == pytest.approx(max(brute) - small.worth(policies[1], first), abs=1e-9)
    assert found.regret <= found.bound
    coverage = np.full(a.shape, 1 / a.size)
    limit = epic_bound(np.sqrt((a**2).mean()), epic_distance(a, b, 0.9), 0.9, most_over(coverage, small, policies))
    assert found.regret <= limit


def test_correlations_worked_by_hand_with_nulls_and_weights():
    a, b = [1.0, 2.0, 3.0, np.nan, 9.0], [2.0, 4.0, 6.0, 1.0, np.nan]
    assert pearson(a, b) == pytest.approx(1.0) and spearman(a, b) == pytest.approx(1.0)
    assert pearson([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0) and pearson([1, 1], [2, 3]) is None
    assert pearson([0, 1, 1], [0, 1, 0], [1, 1, 1]) == pytest.approx(pearson([0, 1, 1, 0, 1, 1], [0, 1, 0, 0, 1, 0]))
    assert pearson([0, 1, 1], [0, 1, 0], [2, 1, 1]) == pytest.approx(pearson([0, 0, 1, 1], [0, 0, 1, 0]))
    assert pearson_distance([0, 1], [0, 5]) == 0.0 and pearson_distance([0, 1], [5, 0]) == 1.0
    with pytest.raises(ValueError, match="one entry a subject"):
        pearson([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="below 0"):
        pearson([1, 2], [1, 2], [1, -1])


def test_advantages_that_turn_are_counted():
    found = advantage_change([1.0, -1.0, 2.0, np.nan], [1.0, 1.0, 2.0, 5.0])
    assert (found.count, found.turned) == (3, pytest.approx(1 / 3))
    assert advantage_change([1.0, -1.0], [-2.0, 2.0]).distance == pytest.approx(2.0)
    assert advantage_change([np.nan], [1.0]).correlation is None


def test_a_world_of_experience_is_the_world_where_everything_was_met():
    true, random = world(2, states=3), np.random.default_rng(0)
    counts = np.round(true.transition * 1000)
    rows = [(s, a, t) for s in range(3) for a in range(2) for t in range(3) for _ in range(int(counts[s, a, t]))]
    state, action, after = (np.array(column) for column in zip(*rows, strict=True))
    seen = experienced(state, action, after, np.ones(len(rows), bool), true.gamma)
    assert seen.world.transition[:3, :, :3] == pytest.approx(counts / counts.sum(-1, keepdims=True))
    assert seen.world.transition[3, 0, 3] == 1.0 and not seen.world.mask[3, 1]
    given_ = random.normal(size=(3, 2, 3))
    assert seen.reward(state, action, after, given_[state, action, after])[:3, :, :3] == pytest.approx(
        np.where(counts > 0, given_, 0)
    )
    ends = experienced(np.array([0]), np.array([1]), np.array([-1]), np.array([True]), 0.9)
    assert ends.world.mask.tolist() == [[False, True], [True, False]]
    with pytest.raises(ValueError, match="no transitions"):
        experienced(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), np.zeros(0, bool), 0.9)


@pytest.mark.slow
def test_values_that_are_fitted_are_the_exact_ones_where_features_tell_states_apart():
    true, random = world(4, states=3), np.random.default_rng(1)
    expected = true.expected(reward(1, (3, 2, 3)))
    state, action = random.integers(3, size=60_000), random.integers(2, size=60_000)
    after = (true.transition[state, action].cumsum(1) < random.random(60_000)[:, None]).sum(1)
    one_hot = np.eye(3)
    values, following = fitted_values(one_hot[state], one_hot[after], np.ones(len(state)), expected[state, action], 0.9)
    exact = true.values(true.uniform(), expected)
    assert values == pytest.approx(exact[state], abs=0.1)
    canonical = val_potential(expected[state, action], values, following, 0.9)
    assert np.corrcoef(canonical, true.advantages(true.uniform(), expected)[state, action])[0, 1] > 0.5
    assert random_features(random.normal(size=(5, 7))).shape == (5, 65)
    assert shaped_outcomes(np.ones(2), np.array([0, 1]), np.array([1.0, 3.0]), np.array([1, 1]), 0.5).tolist() == [
        -1.5,
        -0.5,
    ]


@pytest.mark.parametrize(
    ("transition", "start", "gamma", "message"),
    [
        (np.ones((2, 1, 3)), np.ones(2) / 2, 0.9, "expected \\[S, A, S\\]"),
        (np.ones((1, 1, 1)), np.ones(1), 1.0, "got gamma 1.0"),
        (np.ones((2, 1, 2)), np.ones(2) / 2, 0.9, "do not sum to 1"),
    ],
)
def test_what_is_no_world_is_refused(transition, start, gamma, message):
    with pytest.raises(ValueError, match=message):
        TabularMDP(transition, start, gamma)


def test_a_reward_of_another_shape_or_an_unknown_canonicalisation_is_refused():
    with pytest.raises(ValueError, match="as transitions"):
        starc_distance(world(), reward(0), reward(0, (2, 2, 2)))
    with pytest.raises(ValueError, match="'val' or 'minimal'"):
        starc_distance(world(), reward(0), reward(0), "dard")
    allowed = np.array([[True, False], [True, True]])
    with pytest.raises(ValueError, match="forbids some actions"):
        dard(TabularMDP(np.full((2, 2, 2), 0.5), np.full(2, 0.5), 0.9, allowed), reward(0, (2, 2, 2)))
