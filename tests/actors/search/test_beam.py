from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.search.beam import beam_search
from actors.search.tree import worth


def world(seed, width, depth):
    random = np.random.default_rng(seed)
    paths = [path for n in range(1, depth + 1) for path in product(range(width), repeat=n)]
    rewards = {path: float(random.random()) for path in paths}

    def step(state, action, promise):
        after = (*state, action)
        return after, rewards[after], len(after) == depth

    return lambda state: [(action, 0.0) for action in range(width)], step, rewards


def test_a_beam_of_one_takes_the_best_of_n_at_each_step():
    propose, step, rewards = world(0, 4, 3)
    chain = ()
    for _ in range(3):
        chain = (*chain, max(range(4), key=lambda action: rewards[(*chain, action)]))
    (found,) = beam_search((), propose, step, width=1, depth=3)
    assert found.state == chain


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["sum", "mean"]))
def test_a_beam_as_wide_as_the_tree_finds_the_best_path(seed, returns):
    propose, step, rewards = world(seed, 2, 3)
    best = max(sum(rewards[path[:n]] for n in (1, 2, 3)) for path in rewards if len(path) == 3)
    found = beam_search((), propose, step, width=8, depth=3, returns=returns)
    assert worth(found[0], "sum") == pytest.approx(best)
    assert len(found) == 8


def test_paths_that_have_ended_keep_their_place_while_they_are_among_the_best():
    def step(state, action, promise):
        return state + action, promise, action == "x"

    def propose(state):
        return [("x", 1.0), ("a", 0.6), ("b", -0.5)]

    assert [node.state for node in beam_search("", propose, step, width=3, depth=2)] == ["ax", "aa", "x"]
    assert [node.state for node in beam_search("", propose, step, width=1, depth=9)] == ["x"]


def test_no_width_and_no_depth_are_refused():
    with pytest.raises(ValueError, match="expected at least 1"):
        beam_search((), lambda state: [], lambda *_: ((), 0.0, True), width=0, depth=1)
