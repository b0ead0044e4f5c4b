"""Who is dominated, by brute force and by the sort that does the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rewards.advantages import pareto_front
from rewards.advantages.pareto_front import dominated


def by_hand(points, group):
    return [
        any(
            h == g and all(q >= p for p, q in zip(one, two, strict=True)) and one != two
            for h, two in zip(group, points, strict=True)
        )
        for g, one in zip(group, points, strict=True)
    ]


def drawn(rewards):
    value = st.sampled_from([-1.0, -0.0, 0.0, 0.5, 2.0])
    return st.lists(st.tuples(st.integers(0, 3), st.tuples(*[value] * rewards)), max_size=14)


@given(st.integers(1, 4).flatmap(drawn))
def test_a_point_is_dominated_where_another_of_its_group_has_as_much_of_all_and_more_of_one(members):
    group, points = [g for g, _ in members], [p for _, p in members]
    array = np.array(points, np.float32).reshape(len(points), len(points[0]) if points else 2).T
    assert dominated(array, np.array(group, np.int64)).tolist() == by_hand(points, group)


def test_many_groups_are_compared_in_pieces(monkeypatch):
    random = np.random.default_rng(0)
    points = random.integers(0, 3, (3, 60)).astype(np.float32)
    group = np.arange(60) % 7
    whole = dominated(points, group)
    monkeypatch.setattr(pareto_front, "PAIRS_AT_ONCE", 8)
    np.testing.assert_array_equal(dominated(points, group), whole)
    assert whole.any() and not whole.all()
