"""Nodes that join, drain and go, as a watch tells of them."""

from __future__ import annotations

import math
from types import SimpleNamespace

from ray._private import state
from ray.core.generated.autoscaler_pb2 import ClusterConfig

from cluster import nodes
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


def test_of_each_kind_so_many_nodes_may_be_added_as_the_bounds_of_the_cluster_leave(monkeypatch):
    config = ClusterConfig(max_resources={"CPU": 40, "GPU": 2})
    for name, most, resources in (
        ("cpu", 16, {"CPU": 16}),
        ("gpu", 16, {"CPU": 8, "GPU": 1}),
        ("few", 1, {"CPU": 1}),
        ("none", -1, {"fast": 1}),
    ):
        config.node_group_configs.add(name=name, max_count=most, resources=resources)
    there = [Node("a", {"CPU": 8.0, "GPU": 1.0}, {"ray.io/node-group": "gpu"})]
    monkeypatch.setattr(nodes, "nodes_now", lambda: there)
    monkeypatch.setattr(state, "state", SimpleNamespace(get_cluster_config=lambda: config))
    now, addable = nodes.shapes_now()
    assert [shape.name for shape in now] == ["a"]
    # 32 CPUs are left: two nodes of 16, not 40; and one GPU.
    assert {shape.name: shape.count for shape in addable} == {"cpu": 2, "gpu": 1, "few": 1, "none": nodes.MANY}
    there.append(Node("b", {"CPU": 64.0}))
    assert [shape.count for shape in nodes.shapes_now()[1]] == [0, 0, 0, nodes.MANY], "more than may be"


def test_how_long_is_left():
    assert seconds_left(130.0, now_s=100.0) == 30.0
    assert seconds_left(90.0, now_s=100.0) == 0.0
    assert seconds_left(math.inf, now_s=100.0) == SHORTEST_NOTICE_S
