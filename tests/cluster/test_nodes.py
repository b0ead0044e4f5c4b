"""Nodes that join, drain and go, as a watch tells of them."""

from __future__ import annotations

import math

from cluster.nodes import SHORTEST_NOTICE_S, Node, NodeWatch, seconds_left


def told(watch, *nodes):
    return [(change.what, change.node.ident) for change in watch.look(nodes)]


def test_each_change_is_told_once():
    watch = NodeWatch()
    assert told(watch, Node("a"), Node("b")) == [], "those that were there before the run are no news"
    assert told(watch, Node("a"), Node("b"), Node("c")) == [("joined", "c")]
    assert told(watch, Node("a"), Node("b", leaves_at_s=50.0), Node("c")) == [("drains", "b")]
    assert watch.draining == {"b": 50.0}
    assert told(watch, Node("a"), Node("b", leaves_at_s=60.0), Node("c")) == []
    assert told(watch, Node("a"), Node("c")) == [("gone", "b")] and watch.draining == {}


def test_a_node_that_drains_when_the_run_begins_is_told_and_one_may_stay_after_all():
    watch = NodeWatch()
    assert told(watch, Node("a", leaves_at_s=math.inf)) == [("drains", "a")]
    assert told(watch, Node("a")) == [("stays", "a")]
    assert told(watch, Node("b", leaves_at_s=9.0)) == [("joined", "b"), ("drains", "b"), ("gone", "a")]


def test_how_long_is_left():
    assert seconds_left(130.0, now_s=100.0) == 30.0
    assert seconds_left(90.0, now_s=100.0) == 0.0
    assert seconds_left(math.inf, now_s=100.0) == SHORTEST_NOTICE_S
