"""What is set aside for a role, and where its processes may stand."""

from __future__ import annotations

import pytest
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy, PlacementGroupSchedulingStrategy

from cluster import reservations
from cluster.placement import Ask
from cluster.reservations import Reservation, Room

NODE = "ab12" * 14


@pytest.fixture
def groups(monkeypatch):
    """What was asked of Ray, in order."""
    asked = []

    def placement_group(bundles, strategy, name, bundle_label_selector):
        asked.append((bundles, bundle_label_selector))
        return name

    monkeypatch.setattr(reservations, "placement_group", placement_group)
    return asked


def test_room_is_set_aside_once_for_all_processes_of_an_ask(groups):
    reservation = Reservation(Ask("learner", 2, {"CPU": 1.0, "GPU": 0.5}))
    options = [Room(reservation, index).take() for index in range(2)]
    assert groups == [([{"CPU": 1.0, "GPU": 0.5}] * 2, None)]
    assert all(isinstance(one["scheduling_strategy"], PlacementGroupSchedulingStrategy) for one in options)
    assert [one["scheduling_strategy"].placement_group_bundle_index for one in options] == [0, 1]
    assert options[0]["num_cpus"] == 1.0 and options[0]["num_gpus"] == 0.5


def test_room_on_a_given_node_is_set_aside_there_so_that_nobody_else_takes_it(groups):
    Reservation(Ask("replay", 1, {"CPU": 1.0}, node=NODE)).begin()
    Reservation(Ask("replay", 1, {"CPU": 1.0}, labels={"disk": "fast"}, node=NODE)).begin()
    assert groups == [
        ([{"CPU": 1.0}], [{"ray.io/node-id": NODE}]),
        ([{"CPU": 1.0}], [{"disk": "fast", "ray.io/node-id": NODE}]),
    ]


def test_where_nothing_is_set_aside_a_process_is_told_its_node_or_labels(groups):
    there = Reservation(Ask("replay", 1, {}, node=NODE)).take(0)["scheduling_strategy"]
    assert isinstance(there, NodeAffinitySchedulingStrategy) and there.node_id == NODE and not there.soft
    labelled = Reservation(Ask("rewards", 1, {}, labels={"disk": "fast"})).take(0)
    assert labelled["label_selector"] == {"disk": "fast"} and "scheduling_strategy" not in labelled
    assert not groups
