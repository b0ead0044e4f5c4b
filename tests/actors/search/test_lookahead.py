from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.search.lookahead import best_action, lookahead, replanned


def line(seed, states=5, actions=3, horizon=4):
    """States `(place, steps left)` with random moves and rewards; what is proposed promises its reward."""
    random = np.random.default_rng(seed)
    after, paid = random.integers(0, states, (states, actions)), random.normal(size=(states, actions))

    def propose(state):
        return [(action, float(paid[state[0], action])) for action in range(actions)]

    def step(state, action, promise):
        left = state[1] - 1
        return (int(after[state[0], action]), left), float(paid[state[0], action]), left == 0

    return propose, step, after, paid


def test_one_step_ahead_is_the_greedy_choice():
    propose, step, _, paid = line(0)
    values = lookahead((2, 4), propose, step, depth=1)
    assert values == [(action, float(paid[2, action])) for action in range(3)]
    assert best_action(values) == paid[2].argmax()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 1.0))
def test_over_the_whole_horizon_it_is_dynamic_programming(seed, gamma):
    propose, step, after, paid = line(seed)
    values = np.zeros(5)
    for _ in range(4):
        q = paid + gamma * values[after]
        values = q.max(1)
    found = lookahead((1, 4), propose, step, depth=9, gamma=gamma)
    assert [value for _, value in found] == pytest.approx(q[1].tolist())


def test_a_trap_is_seen_two_steps_ahead_and_not_one():
    after = {("start", "bait"): ("trap", 1.0), ("start", "road"): ("road", 0.0), ("trap", "on"): ("end", -5.0)}
    after[("road", "on")] = ("end", 2.0)

    def propose(state):
        return [(action, reward) for (at, action), (_, reward) in after.items() if at == state]

    def step(state, action, promise):
        return after[state, action][0], after[state, action][1], after[state, action][0] == "end"

    assert best_action(lookahead("start", propose, step, depth=1)) == "bait"
    assert lookahead("start", propose, step, depth=2) == [("bait", -4.0), ("road", 2.0)]
    assert lookahead("start", propose, step, depth=2, gamma=0.5) == [("bait", -1.5), ("road", 1.0)]
    assert lookahead("start", propose, step, depth=2, width=1) == [("bait", -4.0)]
    assert lookahead("start", propose, step, depth=1, leaf={"trap": 0.0, "road": 3.0}.get)[1] == ("road", 3.0)

    passed, paid = replanned("start", lambda at: best_action(lookahead(at, propose, step, 2)), _world(step), steps=9)
    assert (passed, paid) == (["start", "road", "end"], 2.0)


def _world(step):
    return lambda state, action: step(state, action, 0.0)


def test_a_state_met_twice_is_looked_at_once():
    asked = []

    def propose(state):
        asked.append(state)
        return [("a", 0.0), ("b", 0.0)]

    lookahead(0, propose, lambda state, action, promise: (state + 1, 0.0, False), depth=6)
    assert asked == [0, 1, 2, 3, 4, 5]


def test_where_nothing_can_be_done_nothing_comes():
    assert lookahead("wall", lambda state: [], lambda *_: ("", 0.0, True), depth=3) == []
    assert best_action([]) is None
    assert lookahead(0, lambda s: [("on", 0.0)] if s == 0 else [], lambda s, a, p: (1, 3.0, False), 5) == [("on", 3.0)]
    assert replanned("wall", lambda state: None, lambda *_: ("", 1.0, True), steps=4) == (["wall"], 0.0)


def test_what_is_no_depth_and_no_reward_is_refused():
    for depth, width in product((0, 1), (0, None)):
        if depth == 0 or width == 0:
            with pytest.raises(ValueError, match="expected at least 1"):
                lookahead(0, lambda state: [], lambda *_: (0, 0.0, True), depth, width)
    with pytest.raises(ValueError, match="got reward nan"):
        replanned(0, lambda state: 1, lambda *_: (0, float("nan"), False), steps=1)
