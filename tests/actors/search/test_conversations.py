from __future__ import annotations

import numpy as np
import pytest

from actors.search.conversations import add, next_node, turn_pairs, value
from actors.search.tree import root_of


def grown():
    root = root_of(None)
    for turns, reward in (("abcd", 1.0), ("axyz", 0.5), ("pqrs", 0.0)):
        add(root, [(turn,) for turn in turns], reward)
    return root


def test_a_pass_is_told_to_every_turn_on_its_way_and_values_are_means():
    root = grown()
    assert value(root) == 0.5 and [value(child) for child in root.children] == [1.0, 0.5, 0.0]
    add(root.children[2].children[0], [("t",), ("u",)], 0.8)
    assert value(root.children[2]) == 0.4 and value(root.children[2].children[0]) == 0.4
    assert value(root) == pytest.approx(2.3 / 4) and root.children[2].children[0].children[1].children[0].ended


def test_pairs_are_the_best_and_the_worst_turn_at_one_place_if_they_are_good_and_apart_enough():
    root = grown()
    assert [(pair.before, pair.chosen, pair.rejected, pair.value) for pair in turn_pairs(root)] == [
        ((), ("a",), ("p",), 1.0)
    ]
    assert turn_pairs(root, least=1.0) == [] and turn_pairs(root, gap=1.0) == []
    add(root.children[0], [("v",), ("w",), ("x",)], 0.2)
    assert [pair.before for pair in turn_pairs(root, gap=0.5, share=1.0)] == [(("a",),), ()]
    assert [pair.chosen for pair in turn_pairs(root, gap=0.5)] == [("b",)]


def test_a_turn_is_no_pair_with_itself():
    root = root_of(None)
    add(root, [("a",)], 1.0)
    add(root, [("a",)], 0.0)
    assert turn_pairs(root) == []


def test_the_next_node_has_turns_to_come_and_says_something_new():
    root = grown()
    random = np.random.default_rng(0)
    drawn = {next_node(root, [root], random).actions[-1] for _ in range(200)}
    assert drawn == {("a",), ("b",), ("x",), ("p",), ("q",)}  # none after which there is one turn alone
    first = root.children[0]
    left = {next_node(root, [root, first], random).actions[-1] for _ in range(200)}
    assert left == {("b",), ("x",), ("p",), ("q",)}  # the other "a" says the same
    assert next_node(root, [root], random, most=1) is first


def test_the_most_valuable_is_drawn_by_softmax():
    root = grown()
    random = np.random.default_rng(0)
    drawn = [next_node(root, [root], random) for _ in range(4000)]
    values = np.exp([1.0, 1.0, 0.5, 0.5, 0.0, 0.0])
    assert np.mean([one is root.children[0] for one in drawn]) == pytest.approx(values[0] / values.sum(), abs=0.03)


def test_where_nothing_is_left_it_is_the_root():
    root = root_of(None)
    assert next_node(root, [], np.random.default_rng(0)) is root
    add(root, [("a",), ("b",)], 1.0)
    assert next_node(root, [root], np.random.default_rng(0)) is root


def test_what_does_not_fit_is_refused():
    root = grown()
    with pytest.raises(ValueError, match="at least one"):
        add(root, [], 1.0)
    with pytest.raises(ValueError, match="0 to 1"):
        next_node(root, [], np.random.default_rng(0), alike=2)
    with pytest.raises(ValueError, match="at least 0"):
        turn_pairs(root, gap=-1)
