from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.groups import best_of, counts, group_advantages, has_signal, known


def column(*groups: list[float | None]) -> Column:
    values = np.array([[0.0 if x is None else x for x in group] for group in groups], np.float32)
    return Column(values, np.array([[x is not None for x in group] for group in groups]))


def test_advantages_worked_by_hand() -> None:
    # Mean 0.5; deviation of (1, 0, 1, 0) with three degrees of freedom is sqrt(1/3): 0.5 · sqrt(3) = 0.866.
    found = group_advantages(column([1.0, 0.0, 1.0, 0.0]))
    assert found.values == pytest.approx(np.array([[0.866, -0.866, 0.866, -0.866]]), abs=1e-3)
    assert group_advantages(column([3.0, 1.0]), scale=False).values.tolist() == [[1.0, -1.0]]


def test_who_has_no_reward_is_in_no_baseline() -> None:
    found = group_advantages(column([1.0, 1.0, None, 1.0], [1.0, None, 0.0, None]), scale=False)
    assert found.values[0, [0, 1, 3]].tolist() == [0.0] * 3, "all who were judged were right: nothing to learn"
    assert found.valid.tolist() == [[True, True, False, True], [True, False, True, False]]
    assert found.values[1, [0, 2]].tolist() == [0.5, -0.5]


def test_a_group_with_one_known_reward_has_nothing_to_compare_with() -> None:
    assert not group_advantages(column([1.0, None], [None, None])).valid.any()


@given(
    st.lists(st.lists(st.one_of(st.none(), st.floats(-5, 5, width=32)), min_size=4, max_size=4), min_size=1, max_size=8)
)
def test_known_members_sum_to_zero_and_equal_the_group_without_the_others(groups: list[list[float | None]]) -> None:
    found = group_advantages(column(*groups))
    for group, values, valid in zip(groups, found.values, found.valid, strict=True):
        known = [x for x in group if x is not None]
        assert valid.sum() == (len(known) if len(known) >= 2 else 0)
        assert abs(values[valid].sum()) < 1e-3
        if len(known) >= 2:
            assert values[valid] == pytest.approx(group_advantages(column(known)).values[0], abs=1e-5)


def test_only_groups_whose_known_rewards_differ_have_something_to_learn_from() -> None:
    assert has_signal(column([1.0, 1.0], [1.0, 0.0], [1.0, None], [None, None])).tolist() == [False, True, False, False]


def test_the_best_are_taken_in_order_and_a_null_never_is() -> None:
    rewards = column([1.0, 3.0, None, 3.0], [None, None, None, -1.0], [None] * 4)
    assert best_of(rewards).tolist() == [[False, True, False, False], [False, False, False, True], [False] * 4]
    assert best_of(rewards, 2)[0].tolist() == [False, True, False, True]
    assert best_of(rewards, 9).tolist() == rewards.valid.tolist()


def test_everyone_is_counted() -> None:
    found = counts(column([1.0, 1.0, None], [1.0, 0.0, 0.5], [1.0, None, None]))
    assert (found.groups, found.members, found.null_members) == (3, 9, 3)
    assert (found.lonely_members, found.null_groups, found.equal_groups) == (1, 1, 1)


def test_equals_are_exactly_their_mean() -> None:
    assert known(column([0.1, 0.1, 0.1])).apart.tolist() == [[0.0, 0.0, 0.0]]


def test_what_is_not_groups_is_refused() -> None:
    with pytest.raises(ValueError, match="expected \\[groups, members\\]"):
        known(Column.full([1.0, 0.0]))
