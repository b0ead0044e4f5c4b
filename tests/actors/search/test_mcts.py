from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.search.mcts import mcts, uct
from actors.search.tree import Node, best_leaf, total, visited, worth


def world(seed, width, depth):
    """A full tree with a reward on every edge, an agent that does not know them, and all rewards by path."""
    random = np.random.default_rng(seed)
    paths = [path for n in range(1, depth + 1) for path in product(range(width), repeat=n)]
    rewards = {path: float(random.random()) for path in paths}

    def propose(state):
        return [(action, 0.5) for action in range(width)]

    def step(state, action, promise):
        after = (*state, action)
        return after, rewards[after], len(after) == depth

    return propose, step, rewards


def best_by_hand(rewards, depth, how):
    ends = [path for path in rewards if len(path) == depth]
    return max(total([rewards[path[:n]] for n in range(1, depth + 1)], how) for path in ends)


def test_one_pass_over_one_proposal_is_the_greedy_chain():
    _, step, rewards = world(0, 3, 4)
    asked = []

    def greedy(state):
        asked.append(state)
        return [(max(range(3), key=lambda action: rewards[(*state, action)]), 0.0)]

    found = best_leaf(mcts((), greedy, step, iterations=1, depth=4), "mean")
    chain = ()
    for _ in range(4):
        chain = (*chain, max(range(3), key=lambda action: rewards[(*chain, action)]))
    assert found.state == chain == tuple(found.actions)
    assert len(asked) == 4


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["sum", "mean"]), st.sampled_from(["max", "mean"]))
def test_with_an_exact_model_and_enough_passes_it_finds_the_best_plan(seed, returns, backup):
    propose, step, rewards = world(seed, 2, 3)
    root = mcts((), propose, step, 80, 3, exploration=100.0, returns=returns, backup=backup)
    assert worth(best_leaf(root, returns), returns) == pytest.approx(best_by_hand(rewards, 3, returns))
    assert len(list(visited(root))) == 1 + len(rewards)


def test_each_pass_goes_by_the_root_and_by_one_node_of_each_depth():
    propose, step, _ = world(1, 3, 3)
    root = mcts((), propose, step, iterations=20, depth=3)
    assert len(root.returns) == 20
    for node in visited(root):
        if node.children:
            assert sum(len(child.returns) for child in node.children) == len(node.returns)


def test_without_exploration_and_with_one_proposal_it_is_always_the_same_chain():
    propose, step, _ = world(2, 1, 4)
    root = mcts((), propose, step, iterations=5, depth=4, exploration=0.0)
    assert [len(node.returns) for node in visited(root)] == [5] * 5
    assert best_leaf(root, "sum").state == (0, 0, 0, 0)


def test_uct_by_hand():
    node = Node([()], reward=0.3, returns=[1.0, 0.0])
    assert uct(node, 4, 2.0, "mean") == pytest.approx(0.5 + 2 * math.sqrt(math.log(4) / 2))
    assert uct(node, 4, 2.0, "max") == pytest.approx(1.0 + 2 * math.sqrt(math.log(4) / 2))
    assert uct(Node([], reward=0.3), 4, 1.0, "max") == pytest.approx(0.3 + math.sqrt(math.log(4)))
    assert uct(node, 1, 5.0, "mean") == 0.5


@pytest.mark.parametrize(("returns", "expected"), [("mean", [0.4, 0.4, 0.6]), ("sum", [0.8, 0.8, 0.6])])
def test_what_came_of_a_pass_by_hand(returns, expected):
    rewards = {(0,): 0.2, (0, 0): 0.6}

    def step(state, action, promise):
        after = (*state, action)
        return after, rewards[after], len(after) == 2

    root = mcts((), lambda state: [(0, 0.0)], step, 1, 2, returns=returns)
    assert [node.returns for node in visited(root)] == [[pytest.approx(value)] for value in expected]


def test_promises_decide_where_nothing_is_known_and_a_model_is_asked_once_a_node():
    asked = []

    def step(state, action, promise):
        asked.append((*state, action))
        return (*state, action), promise, False

    root = mcts((), lambda state: [(0, 0.1), (1, 0.9)], step, iterations=3, depth=2, exploration=0.0)
    assert asked == [(1,), (1, 1)]
    assert best_leaf(root, "sum").actions == [1, 1]


def test_where_nothing_can_be_done_the_path_has_ended():
    root = mcts("here", lambda state: [], lambda *_: ("there", 1.0, True), iterations=2, depth=3)
    assert root.ended and best_leaf(root, "mean") is root and root.returns == [0.0, 0.0]
    with pytest.raises(ValueError, match="never visited"):
        _ = Node([]).state


def test_a_pruned_node_has_no_children_and_a_pass_that_has_enough_may_go_on_later():
    def step(state, action, promise):
        return state + 1, float(state + 1), False

    def one(state):
        return [(0, 0.0)]

    pruned = mcts(0, one, step, 3, 9, pruned=lambda node: node.state == 2)
    assert [node.state for node in visited(pruned)] == [0, 1, 2]
    enough = mcts(0, one, step, 3, 9, enough=lambda node, best: node.state > max(best, 1))
    assert [node.state for node in visited(enough)] == [0, 1, 2, 3, 4]


def test_no_pass_begins_when_the_budget_is_spent():
    propose, step, _ = world(0, 2, 2)
    asked = []

    def counted(state):
        asked.append(state)
        return propose(state)

    root = mcts((), counted, step, 50, 2, exploration=100.0, spent=lambda: len(asked) >= 3)
    assert len(asked) == 3 and 2 <= len(root.returns) < 50


def test_settings_that_are_none_are_refused():
    propose, step, _ = world(0, 2, 2)
    for wrong in ({"iterations": 0}, {"depth": 0}, {"exploration": -1.0}, {"backup": "median"}):
        with pytest.raises(ValueError, match="expected at least 1 of each"):
            mcts((), propose, step, **{"iterations": 1, "depth": 1, **wrong})
    with pytest.raises(ValueError, match="got 'product'"):
        mcts((), propose, step, 1, 1, returns="product")
