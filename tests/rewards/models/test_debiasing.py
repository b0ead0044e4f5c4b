from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from rewards.comparison.correlation import pearson
from rewards.models.debiasing import penalties, without


def drawn(seed, n=60):
    """A length, and three rewards: with it, against it, and without regard to it."""
    random = np.random.default_rng(seed)
    v = random.normal(size=n)
    return np.stack([2 * v, -v, 0 * v], 1) + random.normal(size=(n, 3)), v


def test_by_value_the_penalty_is_the_covariance_over_the_variance_by_hand():
    found = penalties([[1.0, 5.0], [3.0, 5.0], [8.0, 5.0]], [0.0, 1.0, 2.0], by="value")
    assert found == pytest.approx([7 / 2, 0.0])  # ((−1)(−3) + 1 · 4) over (1 + 1), means 1 and 4


@given(st.integers(0, 10_000))
def test_by_value_no_correlation_is_left(seed):
    rewards, v = drawn(seed)
    for left in (rewards - np.outer(v, penalties(rewards, v, by="value"))).T:
        assert pearson(left, v) == pytest.approx(0, abs=1e-9)


def test_by_rank_no_more_is_left_than_one_pair_of_places():
    rewards, v = drawn(7)
    for left in (rewards - np.outer(v, penalties(rewards, v))).T:
        assert abs(spearmanr(left, v).statistic) < 12 / 60**2


def test_of_the_nuisance_itself_nothing_is_left():
    rewards, v = drawn(3)
    both = np.column_stack([v, rewards])
    for by in ("value", "rank"):
        assert penalties(both, v, by)[0] == pytest.approx(1)


def test_debiased_heads_give_debiased_rewards():
    random = np.random.default_rng(4)
    features, heads = random.normal(size=(30, 5)), random.normal(size=(3, 5))
    rewards = features @ heads.T
    penalty = penalties(rewards, rewards[:, 2], by="value")
    assert features @ without(heads, 2, penalty).T == pytest.approx(rewards - np.outer(rewards[:, 2], penalty))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="the same for all 2 answers"):
        penalties([[1.0], [2.0]], [3.0, 3.0])
    with pytest.raises(ValueError, match="NULL"):
        penalties([[1.0], [np.nan]], [3.0, 4.0])
    with pytest.raises(ValueError, match="expected"):
        penalties([1.0, 2.0], [3.0, 4.0])
