from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.sources.tool_use import (
    Calls,
    Look,
    call_rewards,
    coherent,
    conditional_bonus,
    learnable,
    necessary_tools,
)


def test_a_wrong_answer_has_no_bonus_and_what_does_not_hold_together_is_worth_nothing():
    paid = conditional_bonus([1, 0, 1, np.nan], [True, True, False, True], [[0.5, 0.02]] * 4)
    np.testing.assert_allclose(paid, [1.52, 0, 0, np.nan])
    with pytest.raises(ValueError, match="no bonus below 0"):
        conditional_bonus([1], [True], [[-0.5]])


def test_looks_must_be_long_new_and_what_was_thought_and_end_in_an_answer():
    look = Look(0, 20, (0, 20))
    assert coherent([look, Look(40, 60, (40, 60))], True)
    assert not coherent([look], False)
    assert not coherent([Look(0, 8, (0, 8))], True)
    assert not coherent([Look(0, 20, (0, 30))], True)
    assert not coherent([look, Look(1, 20, (1, 20))], True), "nearly the same interval again"


def test_without_tools_that_are_needed_it_is_accuracy_and_a_tenth_of_the_form():
    for right in (True, False):
        assert necessary_tools(right, True, Calls(()), ()).total == pytest.approx(right + 0.1)


def test_by_hand():
    # rotate of (rotate, crop) with an overlap of 0.5, and a third call that is not of the core
    found = necessary_tools(True, True, Calls(("rotate", "crop", "sharpen"), 0.5), ("rotate", "crop"))
    assert found.mandatory == 0.75 and found.exact == 0.1 and found.emergent == 0.2
    assert found.penalty == -0.5 and found.total == pytest.approx(1 + 0.1 + 0.75 + 0.1 + 0.2 - 0.5)


def test_calls_up_to_what_is_needed_cost_nothing_and_turning_what_stands_upright_does():
    assert necessary_tools(True, True, Calls(("rotate", "flip")), ("rotate", "flip")).penalty == 0
    assert necessary_tools(True, True, Calls(("crop", "crop")), ()).penalty == 0
    assert necessary_tools(True, True, Calls(("rotate",)), ()).penalty == -0.5
    assert necessary_tools(True, True, Calls(("rotate", "flip", "rotate")), ()).penalty == -2.0


def test_a_guess_without_the_crop_that_is_needed_is_not_paid():
    assert necessary_tools(True, True, Calls(()), ("crop",)).accuracy == 0
    assert necessary_tools(True, True, Calls(("crop",), 0.8), ("crop",)).accuracy == 1
    with pytest.raises(ValueError, match="expected some of"):
        necessary_tools(True, True, Calls(()), ("zoom",))


@given(st.lists(st.sampled_from(["rotate", "flip", "crop", "other"]), max_size=6), st.booleans(), st.floats(0, 1))
def test_the_parts_sum_to_the_reward_and_more_calls_never_pay_without_need(used, right, crop):
    found = necessary_tools(right, True, Calls(tuple(used), crop), ())
    assert found.total == pytest.approx(sum(found)) and found.total <= 1.3 + 1e-9


def test_a_call_pays_by_what_came_of_it_and_one_that_nobody_knows_of_is_null():
    np.testing.assert_allclose(call_rewards(["executed", "failed", "invalid", None]), [0.1, -0.1, -0.2, np.nan])
    with pytest.raises(ValueError, match="expected some of"):
        call_rewards(["lost"])


def test_prompts_that_are_always_or_hardly_ever_solved_do_not_go_on():
    assert learnable([0, 2, 3, 7, 8]).tolist() == [False, False, True, True, False]
    with pytest.raises(ValueError, match="fewest <= most"):
        learnable([1], 4, 3)
