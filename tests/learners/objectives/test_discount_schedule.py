from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.objectives.discount_schedule import Config, DiscountSchedule, longest_increasing, matched

LINE = np.arange(10.0)[:, None]


@given(st.lists(st.integers(0, 5), max_size=7))
def test_the_longest_increasing_subsequence_is_that_of_all_subsequences(values):
    every = (part for size in range(len(values) + 1) for part in combinations(values, size))
    assert longest_increasing(values) == max(len(p) for p in every if all(a < b for a, b in pairwise(p)))


@given(st.integers(1, 10), st.floats(0.05, 0.9))
def test_what_is_left_of_a_reward_as_far_away_as_progress_is_always_the_same(progress, alpha):
    schedule = DiscountSchedule([LINE], Config(alpha=alpha))
    schedule.load_state_dict({"progress": progress})
    assert schedule.discount**progress == pytest.approx(alpha)


def test_a_replayed_demonstration_comes_to_the_end_and_one_in_reverse_goes_nowhere():
    apart = np.abs(LINE - LINE.T)
    assert matched(apart, 10) == 10 and matched(apart[::-1], 10) == 1
    schedule = DiscountSchedule([LINE], Config(begin=0.5))
    assert schedule.progress == 5 and schedule.discount == pytest.approx(0.2**0.2)
    schedule.seen(LINE[::-1])
    assert schedule.progress == 5
    assert schedule.seen(LINE) == pytest.approx(0.2**0.1) and schedule.progress == 10


def test_progress_goes_as_far_as_the_demonstration_is_followed_and_never_back():
    followed = np.minimum(LINE, 6.0)  # stands still after seven steps
    schedule = DiscountSchedule([LINE, LINE + 0.1], Config(begin=0.2))
    for _ in range(5):
        schedule.seen(followed)
    # Of k steps, min(k, 7) are followed; int(0.9 k) is reached up to k = 8, so progress stops at 9.
    assert schedule.progress == 9
    schedule.seen(np.zeros_like(LINE))
    assert schedule.progress == 9
    again = DiscountSchedule([LINE])
    again.load_state_dict(schedule.state_dict())
    assert again.discount == schedule.discount


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="expected one at least"):
        DiscountSchedule([])
    with pytest.raises(ValueError, match="expected one at least"):
        DiscountSchedule([LINE, LINE[1:]])
    with pytest.raises(ValueError, match=r"expected \(10, 1\)"):
        DiscountSchedule([LINE]).seen(LINE[1:])
