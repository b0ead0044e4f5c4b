"""A crew grows, shrinks and moves between two pieces of work, with processes that are made up."""

from __future__ import annotations

from cluster.crew import LOOK_S, Crew
from cluster.placement import Ask


class Reservation:
    def __init__(self):
        self.ask, self.placed, self.asked = Ask("actors", 1, {"CPU": 1.0}), True, 0


class Room:
    def __init__(self):
        self.reservation = Reservation()


class Role:
    def __init__(self, name):
        self.name, self.room, self.epoch, self.node = name, Room(), 0, None
        self.running = self.fresh = False
        self.story = []

    def start(self):
        self.running = self.fresh = True
        self.story.append(f"start {self.epoch}")

    def stop(self):
        self.running, self.node = False, None
        self.story.append("stop")

    def end(self):
        self.running, self.node = False, None
        self.story.append("end")

    def move(self, cause):
        self.epoch += 1
        self.fresh, self.node = True, None
        self.story.append(f"move {self.epoch}")

    def answers(self, node):
        self.fresh, self.node = False, node


def crew(count, wanted):
    roles, begun, now = [Role(f"actor-{k}") for k in range(count)], [], [0.0]
    events = []
    return Crew(roles, wanted, begun.append, events.append, lambda: now[0]), roles, begun, events, now


def test_as_many_begin_as_are_wanted_and_those_that_are_too_many_end_between_two_pieces_of_work():
    one, roles, begun, events, _ = crew(3, wanted=2)
    assert [one.ready(k) for k in range(3)] == [True, True, False] and begun == [0, 1]
    for role in roles[:2]:
        role.answers("n")
    assert one.working == one.answering == 2
    one.wanted = 1
    assert [one.ready(k) for k in range(3)] == [True, False, False]
    assert roles[1].story == ["start 0", "stop"] and events[0].what == "left"
    one.wanted = 3
    assert [one.ready(k) for k in range(3)] == [True, True, True]
    assert roles[1].story[-1] == "start 1", "another epoch: what it sends is told from what it sent before"


def test_a_process_without_room_is_not_started_and_is_looked_after_now_and_then():
    one, (role,), begun, _, now = crew(1, wanted=1)
    role.room.reservation.placed = False
    assert not one.ready(0) and not role.running
    role.room.reservation.placed = True
    assert not one.ready(0), "it was looked at just now"
    now[0] += LOOK_S
    assert one.ready(0) and begun == [0]


def test_one_that_died_and_has_no_room_any_more_ends_and_begins_where_there_is_some():
    one, (role,), begun, _, now = crew(1, wanted=1)
    assert one.ready(0)
    role.answers("n")
    role.fresh, role.room.reservation.placed = True, False  # its node is gone, and supervision began it again
    assert not one.ready(0)
    role.room.reservation.placed = True
    now[0] += LOOK_S
    assert one.ready(0) and role.story == ["start 0", "end", "start 1"] and begun == [0, 0]


def test_one_whose_node_will_go_moves_and_is_told_everything_anew():
    one, (role,), begun, _, _ = crew(1, wanted=1)
    assert one.ready(0)
    role.answers("goes")
    one.leaving = {"goes": 50.0}
    assert one.ready(0) and role.story == ["start 0", "move 1"] and begun == [0, 0]
    role.answers("stays")
    assert one.ready(0) and role.story == ["start 0", "move 1"]
