from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.search.mcts import mcts
from actors.search.tree import Node
from actors.search.world_model import confident, imagined, voted, weighed


def test_the_most_frequent_answer_and_the_share_that_agrees():
    assert confident(["b", "a", "b", "c"]) == ("b", 0.5)
    assert confident(["a", "b"]) == ("a", 0.5)
    assert confident([7]) == (7, 1.0)
    with pytest.raises(ValueError, match="got no answer"):
        confident([])


def test_promise_and_confidence_by_hand():
    assert weighed(0.25, 1.0) == 0.5
    assert weighed(0.25, 0.5, alpha=0.0) == 0.25
    assert weighed(0.25, 0.5, alpha=1.0) == 0.5
    assert weighed(0.0, 1.0) == 0.0 and weighed(0.0, 0.7, alpha=1.0) == pytest.approx(0.7)
    with pytest.raises(ValueError, match="each from 0 to 1"):
        weighed(1.5, 1.0)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_it_lies_between_the_two(promise, confidence, alpha):
    found = weighed(promise, confidence, alpha)
    assert min(promise, confidence) - 1e-12 <= found <= max(promise, confidence) + 1e-12


def test_a_step_leads_where_most_answers_do_and_adds_what_the_task_says():
    step = imagined(
        lambda state, action: [state + action, state + action, 0, state + action],
        ended=lambda state: state == 3,
        heuristic=lambda state: state / 3,
        weight=2.0,
    )
    assert step(1, 2, 0.75) == (3, pytest.approx(0.75 + 2.0), True)
    assert imagined(lambda s, a: [s - a], lambda state: False)(5, 2, 0.25) == (3, 0.5, False)


def test_paths_vote_with_what_they_are_worth():
    root = Node([""])
    rewards = {"x1": 0.4, "x2": 0.4, "y": 0.7, "z": 9.0}
    root.children = [Node([name], name, reward, root, ended=name != "z") for name, reward in rewards.items()]
    assert voted(root, lambda state: state[0]) == "x"
    assert voted(root, lambda state: state) == "y"
    assert voted(root, lambda state: None) is None


def test_one_pass_of_a_sure_model_with_one_proposal_is_a_chain_of_thought():
    root = mcts(
        0,
        lambda state: [("more", 0.5)],
        imagined(lambda state, action: [state + 1] * 3, ended=lambda state: state == 4, alpha=0.5),
        iterations=1,
        depth=9,
    )
    assert voted(root, lambda state: state) == 4
    assert root.returns == [pytest.approx(0.5**0.5)]
