from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.sources.bandits import algorithmic_reward, gaps, seen, strategic_reward, ucb_choices

SEEDS = st.integers(0, 2**32 - 1)


def by_ucb(seed, scale, arms=4, steps=20):
    """A game that UCB has played, one of its choices drawn at each step."""
    random = np.random.default_rng(seed)
    means, count, total = random.random(arms), np.zeros(arms), np.zeros(arms)
    chosen, payoffs = [], []
    for _ in range(steps):
        arm = int(random.choice(np.flatnonzero(ucb_choices(count, total, scale))))
        paid = float(random.random() < means[arm])
        chosen.append(arm)
        payoffs.append(paid)
        count[arm] += 1
        total[arm] += paid
    return [chosen], [payoffs], arms


@given(SEEDS, st.sampled_from([0.0, 0.5, 1.0]))
def test_ucb_earns_the_algorithmic_reward_at_every_step(seed, scale):
    assert (algorithmic_reward(*by_ucb(seed, scale), scale) == 1).all()


def test_what_ucb_would_not_have_done_earns_nothing():
    # Three arms: each is tried once, and the same again too soon is not what UCB does.
    assert algorithmic_reward([[0, 0, 1, 2]], [[1, 1, 0, 0]], 3).tolist() == [[1, 0, 1, 1]]


def test_ucb_by_hand():
    # Means 0.6 and 0.5 after 10 and 2 of 12 payoffs: the second arm's bonus is sqrt(5) times the first one's.
    count, total = np.array([10.0, 2.0]), np.array([6.0, 1.0])
    even = 0.1 / (math.sqrt(2 * math.log(12)) * (math.sqrt(1 / 2) - math.sqrt(1 / 10)))
    assert ucb_choices(count, total, 0.99 * even).tolist() == [True, False]
    assert ucb_choices(count, total, even).tolist() == [True, True]
    assert ucb_choices(count, total, 1.01 * even).tolist() == [False, True]
    assert ucb_choices(count, total, 0.0).tolist() == [True, False]


def test_the_strategic_reward_is_1_of_the_best_arm_and_0_of_the_worst():
    assert strategic_reward([[0.2, 0.8, 0.5]], [[0, 1, 2]])[0] == pytest.approx([0, 1, 0.5])
    assert strategic_reward([[0.3, 0.3]], [[0, 1]]).tolist() == [[1, 1]], "all arms are best"


@given(SEEDS, st.floats(0.1, 10), st.floats(-5, 5))
def test_the_strategic_reward_knows_no_scale(seed, factor, shift):
    random = np.random.default_rng(seed)
    means, chosen = random.random((3, 4)), random.integers(0, 4, (3, 6))
    moved = strategic_reward(factor * means + shift, chosen)
    assert moved == pytest.approx(strategic_reward(means, chosen), abs=1e-6)
    assert ((moved >= -1e-12) & (moved <= 1)).all()


def test_what_is_seen_before_a_step_is_without_it():
    known = seen([[1, 1, 0]], [[0.5, 1.0, 2.0]], 2)
    assert known.times[0].tolist() == [[0, 0], [0, 1], [0, 2]]
    assert known.total[0].tolist() == [[0, 0], [0, 0.5], [0, 1.5]]
    assert known.mean[0, 2].tolist()[1] == 0.75 and np.isnan(known.mean[0, :, 0]).all()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="arms 0 to 1"):
        seen([[2]], [[0.0]], 2)
    with pytest.raises(ValueError, match="all finite"):
        seen([[1]], [[np.nan]], 2)
    with pytest.raises(ValueError, match="finite \\[B, K\\]"):
        gaps([0.5, 0.2], [[0]])
    with pytest.raises(ValueError, match="expected as many"):
        gaps([[0.5, 0.2]], [[0], [1]])
    with pytest.raises(ValueError, match="at least 0"):
        ucb_choices(np.ones(2), np.ones(2), -1.0)
