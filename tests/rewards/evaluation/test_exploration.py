from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.evaluation.exploration import cumulative_regret, greedy_fraction, least_played, suffix_failures
from rewards.sources.bandits import gaps

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS)
def test_gaps_sum_up_to_regret(seed):
    random = np.random.default_rng(seed)
    means, chosen = random.random((3, 5)), random.integers(0, 5, (3, 7))
    regret = cumulative_regret(means, chosen)
    assert regret[:, -1] == pytest.approx(gaps(means, chosen).sum(1))
    # … which is what always playing the best arm would have paid on average, less what was played.
    paid = means[np.arange(3)[:, None], chosen].sum(1)
    assert regret[:, -1] == pytest.approx(7 * means.max(1) - paid)


def test_giving_up_the_best_arm_is_a_failure_and_any_of_equals_is_best():
    means = [[0.9, 0.1, 0.9]] * 3
    chosen = [[0, 1, 1, 1], [1, 1, 1, 2], [1, 1, 0, 1]]
    assert suffix_failures(means, chosen, 2).tolist() == [True, False, False]
    assert suffix_failures(means, chosen, 0).tolist() == [False, False, False]
    with pytest.raises(ValueError, match="start 4 of 4 steps"):
        suffix_failures(means, chosen, 4)


def test_who_plays_all_arms_alike_plays_none_little():
    assert least_played([[0, 1, 2, 0, 1, 2]], 3).tolist() == [1.0]
    assert least_played([[0, 0, 0, 0, 1, 2]], 3) == pytest.approx([0.5])
    assert least_played([[0, 0, 1, 1]], 3).tolist() == [0.0]


def test_greedy_is_who_plays_the_best_so_far():
    # After arm 0 paid 0: again the only one known, then a new one, then the one that has paid.
    assert greedy_fraction([[0, 0, 1, 1]], [[0, 0, 1, 1]], 2) == pytest.approx([2 / 3])
    assert greedy_fraction([[0, 1, 0, 1]], [[1, 1, 1, 1]], 2) == pytest.approx([2 / 3]), "ties are greedy"
