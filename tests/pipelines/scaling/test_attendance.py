"""What is done when nodes drain and heads fall silent, with roles and nodes that are made up."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar

import pytest

from cluster.nodes import Node
from cluster.placement import Ask
from pipelines.scaling import attendance
from pipelines.scaling.attendance import Attendance, Group


class Reservation:
    made: ClassVar = []
    placed = True

    def __init__(self, ask):
        self.ask, self.given_back = ask, False
        Reservation.made.append(self)

    def renew(self):
        self.given_back = True


class Room:
    def __init__(self, node=None):
        self.reservation = type("Held", (), {"ask": Ask("learner", 1, {"CPU": 1.0}, node=node)})()


class Role:
    def __init__(self, node, pinned=None):
        self.node, self.room = node, Room(pinned)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    Reservation.made, Reservation.placed = [], True
    monkeypatch.setattr(attendance, "Reservation", Reservation)
    monkeypatch.setattr(attendance, "LOOK_S", 0.02)
    monkeypatch.setattr(attendance, "MARGIN_S", 0.0)


def attended(nodes, groups, enough, look=None):
    """Attend until enough was said and done, and a little longer; gives all of it, in order."""
    story = []

    async def save():
        story.append("saved")

    one = Attendance(
        "driver",
        lambda event: story.append(f"{event.role} {event.what}"),
        lambda leaving: story.append(sorted(leaving)),
        save,
        lambda why: story.append(f"stop: {why}"),
        look or (lambda: nodes),
    )

    async def main():
        task = asyncio.create_task(one.attend(groups))
        deadline = time.monotonic() + 250
        while not enough(story) and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert not task.done() or task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    return story


def moving(story, name, role):
    async def move(to):
        assert not to.given_back
        story.append(f"{name} moves")
        role.node = "elsewhere"

    return Group(name, [role], move)


def test_what_has_state_is_saved_and_moves_once_there_is_room_elsewhere():
    moves = []
    learner = Role("b")
    leaves = Node("b", leaves_at_s=time.time() + 600)
    story = attended([Node("driver"), leaves], [moving(moves, "learner", learner)], lambda story: moves)
    assert story[:3] == ["node b drains", ["b"], "saved"] and moves == ["learner moves"]
    assert not Reservation.made[0].given_back, "it stands there now"


def test_without_room_it_stays_until_the_node_goes_and_asks_once():
    Reservation.placed = False
    moves = []
    leaves = Node("b", leaves_at_s=time.time() + 0.1)
    groups = [moving(moves, "learner", Role("b"))]
    story = attended([Node("driver"), leaves], groups, lambda story: "learner stays" in story)
    assert moves == [] and story.count("learner stays") == 1 and story.count("saved") == 1
    assert [one.given_back for one in Reservation.made] == [True]


def test_what_is_bound_to_the_drivers_node_does_not_move_and_the_run_stops_where_that_node_goes():
    moves = []
    leaves = Node("driver", leaves_at_s=time.time() + 60)
    stop = "stop: the drain of the driver's node"
    story = attended([leaves], [moving(moves, "replay", Role("driver", pinned="driver"))], lambda story: stop in story)
    assert moves == [] and stop in story


def test_a_head_that_falls_silent_is_told_once_and_the_run_is_saved(monkeypatch):
    monkeypatch.setattr(attendance, "SILENT_S", 0.1)

    def silent():
        raise ConnectionError("no answer")

    story = attended([], [], lambda story: "saved" in story, look=silent)
    assert story == ["head died", "saved"]
