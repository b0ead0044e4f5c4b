from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.data.quotas import take

ORDERS = ("marginal", "round_robin")


def drawn(seed, owners=2, items=6, elements=8):
    random = np.random.default_rng(seed)
    return random.random((items, elements)) < 0.3, random.random((owners, items)) < 0.6


def best(covers, offered, quota):
    """What the best choice covers, by trying all."""
    each = [list(combinations(np.flatnonzero(row), min(quota, row.sum()))) for row in offered]
    return max(int(covers[[i for part in choice for i in part]].any(0).sum()) for choice in product(*each))


def test_by_hand():
    covers = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [0, 0, 0, 0, 1]], np.bool_)
    offered = np.array([[1, 0, 1], [1, 1, 0]], np.bool_)
    taken = take(covers, offered, 1, "round_robin")
    assert (taken.owner.tolist(), taken.item.tolist(), taken.gain.tolist()) == ([0, 1], [0, 1], [3, 1])
    # At first 3 and 3, of 5 elements; once item 0 is taken, 1 and 1 beside the 3 that it covers.
    assert taken.bound == 5
    unequal = take(covers, offered, [2, 0])
    assert (unequal.owner.tolist(), unequal.item.tolist()) == ([0, 0], [0, 2])


@pytest.mark.parametrize("order", ORDERS)
def test_one_owner_with_room_for_everything_takes_all_that_is_offered(order):
    covers, offered = drawn(0, owners=1)
    assert sorted(take(covers, offered, 6, order).item) == np.flatnonzero(offered[0]).tolist()


@given(st.integers(0, 10_000), st.integers(0, 3), st.sampled_from(ORDERS))
def test_it_covers_half_of_the_best_its_gains_fall_and_no_quota_is_passed(seed, quota, order):
    covers, offered = drawn(seed)
    taken, most = take(covers, offered, quota, order), best(covers, offered, quota)
    assert 2 * taken.gain.sum() >= most and taken.bound >= most
    assert taken.gain.sum() == covers[taken.item].any(0).sum()
    assert offered[taken.owner, taken.item].all()
    for owner in range(2):
        mine = taken.owner == owner
        assert mine.sum() == min(quota, offered[owner].sum()) == len(set(taken.item[mine]))
        assert (np.diff(taken.gain[mine]) <= 0).all()


def test_owners_take_turns():
    covers, offered = np.eye(6, dtype=np.bool_), np.ones((3, 6), np.bool_)
    assert take(covers, offered, [2, 1, 3], "round_robin").owner.tolist() == [0, 1, 2, 0, 2, 2]


def test_what_cannot_be_is_refused():
    covers, offered = drawn(0)
    with pytest.raises(ValueError, match=r"expected \[V, E\] and \[U, V\]"):
        take(covers.T, offered, 1)
    with pytest.raises(ValueError, match="at least 0"):
        take(covers, offered, -1)
