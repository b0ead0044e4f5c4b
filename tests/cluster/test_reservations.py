"""What is set aside for a role, and where its processes may stand."""

from __future__ import annotations

import threading

import pytest
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy, PlacementGroupSchedulingStrategy

from cluster import reservations
from cluster.placement import Ask
from cluster.reservations import Reservation, Room

NODE = "ab12" * 14


@pytest.fixture
def states():
    """What Ray says of a group, by name; CREATED of others."""
    return {}


@pytest.fixture
def removed():
    """The names of groups that were given back."""
    return []


@pytest.fixture
def groups(monkeypatch, states, removed):
    """What was asked of Ray, in order."""
    asked = []

    def placement_group(bundles, strategy, name, bundle_label_selector):
        asked.append((bundles, bundle_label_selector))
        return name

    monkeypatch.setattr(reservations, "placement_group", placement_group)
    monkeypatch.setattr(reservations, "placement_group_table", lambda group: {"state": states.get(group, "CREATED")})
    monkeypatch.setattr(reservations, "remove_placement_group", removed.append)
    monkeypatch.setattr(reservations.ray, "is_initialized", lambda: True)
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


def test_room_that_went_with_its_node_is_asked_for_anew_and_not_left_for_ray_to_look_for(groups, states, removed):
    reservation = Reservation(Ask("learner", 1, {"CPU": 1.0}))
    assert not reservation.lost and not groups, "nothing was asked for, so nothing is lost"
    assert reservation.placed
    before = reservation.take(0)["scheduling_strategy"].placement_group
    states[before] = "RESCHEDULING"
    assert reservation.lost
    after = reservation.take(0)["scheduling_strategy"].placement_group
    assert after != before and removed == [before] and len(groups) == 2
    states[after] = "PENDING"
    assert not reservation.lost and not reservation.placed, "it is waited for, and Ray looks for it now and then"
    states[after] = "RESCHEDULING"
    assert reservation.placed and removed == [before, after]


def test_a_control_store_that_is_away_holds_nobody_up_and_what_it_said_last_stands(groups, states, monkeypatch):
    monkeypatch.setattr(reservations, "ANSWER_S", 0.05)
    monkeypatch.setattr(Reservation, "_ask_at", 0.0)
    reservation, other = Reservation(Ask("actors", 1, {"CPU": 1.0})), Reservation(Ask("actors", 1, {"CPU": 1.0}))
    assert reservation.placed
    asked, back = [], threading.Event()

    def away(group):
        asked.append(group)
        back.wait(60.0)
        return {"state": "CREATED"}

    monkeypatch.setattr(reservations, "placement_group_table", away)
    assert reservation.placed and not reservation.lost and not other.placed
    assert len(asked) == 1, "it is asked again after a while, whoever asks"
    back.set()
    monkeypatch.setattr(Reservation, "_ask_at", 0.0)
    assert other.placed
