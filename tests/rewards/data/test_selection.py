from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.data.selection import most_varied
from rewards.verifiers.sets import iou

INTERVAL = st.tuples(st.integers(0, 8), st.integers(1, 8)).map(lambda pair: (float(pair[0]), float(sum(pair))))


def column(*groups: list[float | None]) -> Column:
    values = np.array([[0.0 if x is None else x for x in group] for group in groups], np.float32)
    return Column(values, np.array([[x is not None for x in group] for group in groups]))


def test_the_most_varied_come_first_and_groups_of_equals_never_do():
    rewards = column([1, 1, 1, 1], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0.4, 0.6, 0.4, 0.6])
    assert most_varied(rewards, 1.0).tolist() == [2, 1, 4]
    assert most_varied(rewards, 0.4).tolist() == [2, 1]
    assert most_varied(rewards, 0.01).tolist() == [2]


def test_what_is_not_known_varies_nothing():
    rewards = column([0, None, None, None], [None] * 4, [0, None, 1, None], [0, 0, 0, 1])
    assert most_varied(rewards, 1.0).tolist() == [2, 3]


@given(st.lists(st.integers(0, 8), min_size=1, max_size=12), st.floats(0.01, 1))
def test_of_zeros_and_ones_it_is_the_order_of_nearness_to_a_half(right, share):
    rewards = column(*[[1.0] * k + [0.0] * (8 - k) for k in right])
    wanted = [n for n in sorted(range(len(right)), key=lambda n: abs(right[n] / 8 - 0.5)) if 0 < right[n] < 8]
    assert most_varied(rewards, share).tolist() == wanted[: max(round(share * len(right)), 1)]


@given(INTERVAL, INTERVAL)
def test_the_temporal_reward_is_one_for_the_same_interval_only_and_none_for_disjoint_ones(one, other):
    reward = iou(one, other)
    assert 0 <= reward <= 1 and (reward == 1) == (one == other)
    assert (reward == 0) == (one[1] <= other[0] or other[1] <= one[0])


@pytest.mark.parametrize("share", [0.0, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="expected above 0 and at most 1"):
        most_varied(column([0, 1]), share)
