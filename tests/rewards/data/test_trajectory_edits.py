from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.data.trajectory_edits import EDITS, Step, hard_negative, places

A, B, END = Step("search", "a"), Step("open", "b"), Step("answer")
FAILED = Step("open", "b", failed=True)


def test_each_edit_by_hand():
    steps = (A, B, END)
    assert EDITS["drop"](steps, 0, "") == (B, END)
    assert EDITS["swap"](steps, 0, "") == (B, A, END)
    assert EDITS["repeat"](steps, 1, "") == (A, B, B, END)
    assert EDITS["wrong_argument"](steps, 1, "c") == (A, Step("open", "c"), END)
    assert EDITS["ignore_error"]((A, FAILED, B, END), 1, "") == (A, FAILED, END)


def test_what_failed_and_its_second_try_are_touched_by_one_edit_alone():
    steps = (A, FAILED, B, A, END)
    assert places(steps, "ignore_error") == [1]
    assert places(steps, "drop") == places(steps, "repeat") == places(steps, "wrong_argument") == [0, 3]
    assert places(steps, "swap") == []  # neither two that are not neighbours, nor the end
    assert places((A, A, B, END), "swap") == [1]  # nor two that are alike


def test_where_nothing_can_go_wrong_there_is_no_negative():
    random = np.random.default_rng(0)
    assert hard_negative((A, B, END), "ignore_error", "ab", random) is None
    with pytest.raises(ValueError, match="two at least"):
        hard_negative((A, END), "drop", "a", random)
    with pytest.raises(ValueError, match="expected one of"):
        hard_negative((A, END), "burn", "ab", random)


@given(
    st.lists(st.builds(Step, st.sampled_from("xy"), st.sampled_from("ab"), st.booleans()), min_size=1, max_size=6),
    st.sampled_from(sorted(EDITS)),
    st.integers(0, 99),
)
def test_a_negative_is_another_trajectory_with_the_same_end(steps, edit, seed):
    steps = (*steps, END)
    found = hard_negative(steps, edit, "ab", np.random.default_rng(seed))
    if found is not None:
        assert found != steps and found[-1] == END and abs(len(found) - len(steps)) <= 1
