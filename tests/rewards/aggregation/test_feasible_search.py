from __future__ import annotations

import json
import math

import numpy as np
import pytest

from rewards.aggregation.feasible_search import FeasibleSearch


def test_without_limits_it_is_ucb1():
    random, search = np.random.default_rng(0), FeasibleSearch(4, 0)
    counts, sums, means = np.zeros(4), np.zeros(4), np.array([0.2, 0.5, 0.4, 0.1])
    for t in range(400):
        fresh = np.flatnonzero(counts == 0)
        expected = fresh[0] if fresh.size else (sums / counts + np.sqrt(math.log(max(t, 2)) / counts)).argmax()
        chosen = search.choose()
        assert chosen == expected
        reward = float(means[chosen] + random.normal(0, 0.1))
        search.observe(chosen, reward, [])
        counts[chosen] += 1
        sums[chosen] += reward


def test_where_nothing_is_allowed_the_least_violating_choice_is_played():
    search = FeasibleSearch(3, 1, width=0.01)
    for choice, residual in ((0, 0.9), (1, 0.3), (2, 0.6)):
        search.observe(choice, 1.0 - residual, [residual])
    assert search.choose() == 1


def test_the_best_allowed_choice_is_found_and_what_is_known_survives_a_checkpoint():
    search = FeasibleSearch(3, 1, width=0.3)
    for _ in range(300):
        choice = search.choose()
        search.observe(choice, [1.0, 0.6, 0.3][choice], [[0.5, -0.1, -0.3][choice]])
    other = FeasibleSearch(3, 1, width=0.3)
    other.load_state_dict(json.loads(json.dumps(search.state_dict())))
    assert other.choose() == search.choose() == 1


def test_what_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="skip what is NULL"):
        FeasibleSearch(2, 1).observe(0, float("nan"), [0.0])
    with pytest.raises(ValueError, match="expected below 2"):
        FeasibleSearch(2, 1).observe(2, 0.0, [0.0])
    with pytest.raises(ValueError, match="at least one choice"):
        FeasibleSearch(0, 1)
