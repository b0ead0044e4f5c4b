from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.data.feedback_reflux import balanced, reflux, to_be_asked

NULL = float("nan")


@given(st.integers(0, 2**32 - 1))
def test_a_perfect_general_model_leaves_no_label_wrong_whatever_the_domain_model_says(seed):
    random = np.random.default_rng(seed)
    right, actions, proposals = random.integers(0, 4, (3, 50))
    asked = to_be_asked(random.random(50), sure=1.0)
    found = reflux(actions, proposals, asked, actions == right, proposals == right)
    assert asked.all()
    assert (found.action == right)[found.learnt].all()
    assert (found.learnt == ((actions == right) | (proposals == right))).all()
    assert (found.verdict == (actions == right)).all() and (found.proposal_verdict == (proposals == right)).all()


def test_a_step_that_is_surely_accepted_goes_by_and_what_has_no_chance_does_not():
    assert to_be_asked([0.95, 0.9, 0.89, 0.5, 0.0, NULL]).tolist() == [False, False, True, True, True, True]


def test_of_two_actions_the_better_one_is_learnt_if_it_is_approved():
    general, proposed = [0.9, 0.2, 0.7, 0.3, 0.6], [0.1, 0.8, 0.9, 0.4, 0.6]
    found = reflux([1] * 5, [2] * 5, [True] * 5, general, proposed)
    assert found.action[found.learnt].tolist() == [1, 2, 2, 1]
    assert found.learnt.tolist() == [True, True, True, False, True]
    assert found.verdict.tolist() == [1, 0, 1, 0, 1]
    assert found.proposal_verdict.tolist() == [0, 1, 1, 0, 1]


def test_what_nobody_was_asked_about_is_learnt_as_it_was_done_and_has_no_verdict():
    found = reflux([1, 1], [2, 2], [False, True], [0.1, 0.1], [0.9, 0.9])
    assert found.action.tolist() == [1, 2] and found.learnt.all()
    np.testing.assert_array_equal(found.verdict, [NULL, 0.0])
    np.testing.assert_array_equal(found.proposal_verdict, [NULL, 1.0])


def test_without_an_answer_there_is_no_verdict_and_nothing_is_approved():
    found = reflux([1, 1, 1], [2, 2, 2], [True] * 3, [NULL, NULL, 0.8], [0.9, NULL, NULL])
    assert found.action[found.learnt].tolist() == [2, 1]
    assert found.learnt.tolist() == [True, False, True]
    np.testing.assert_array_equal(found.verdict, [NULL, NULL, 1.0])
    np.testing.assert_array_equal(found.proposal_verdict, [1.0, NULL, NULL])


def test_kinds_are_balanced_to_the_rarest():
    kinds = np.array(["correct", "model", "rule", "rule", "model", "rule"])
    assert sorted(kinds[balanced(kinds, np.random.default_rng(0))]) == ["correct", "model", "rule"]
    assert balanced([0, 1, 1, 0], np.random.default_rng(0)).tolist() == [0, 1, 2, 3]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="not scores"):
        to_be_asked([1.5])
    with pytest.raises(ValueError, match="above 1/2"):
        to_be_asked([0.5], sure=0.5)
    with pytest.raises(ValueError, match="one action, proposal"):
        reflux([1], [2], [True], [0.5, 0.5], [0.5])
    with pytest.raises(ValueError, match="some example"):
        balanced([], np.random.default_rng(0))
