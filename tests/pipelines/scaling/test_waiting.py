"""Room is waited for aloud, and not for ever."""

from __future__ import annotations

import asyncio

import pytest

from cluster.placement import Ask
from pipelines.errors import UserError
from pipelines.scaling import waiting
from pipelines.scaling.waiting import ask_for_room, await_room


class Reservation:
    def __init__(self, looks):
        self.looks = looks

    @property
    def placed(self):
        self.looks -= 1
        return self.looks < 0

    def __str__(self):
        return "learner: 1 × GPU 1"


class Role:
    def __init__(self, reservation):
        self.room = type("Room", (), {"reservation": reservation})()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(waiting, "LOOK_S", 0.01)


def test_what_is_waited_for_is_told_once_and_only_where_it_is_not_there():
    said = []
    shared = Reservation(3)
    asyncio.run(await_room([Role(shared), Role(shared), Role(Reservation(0))], 250.0, said.append))
    assert said == ["waits for room: learner: 1 × GPU 1"] and shared.looks == -1


def test_room_that_does_not_come_in_time_ends_the_run_with_what_was_asked():
    with pytest.raises(UserError, match=r"no room within 0 s .* for learner: 1 × GPU 1"):
        asyncio.run(await_room([Role(Reservation(10**6))], 0.05, lambda text: None))


def test_who_is_asked_to_stop_does_not_wait_on():
    asked = iter([None, "SIGINT"])
    with pytest.raises(UserError, match=r"stopped by SIGINT while it waited for room: learner: 1 × GPU 1"):
        asyncio.run(await_room([Role(Reservation(10**6))], 250.0, lambda text: None, lambda: next(asked)))


def test_the_most_demanding_ask_first_and_nobody_twice():
    begun = []

    class Asked:
        def __init__(self, ask):
            self.ask = ask

        def begin(self):
            begun.append(self.ask.role)

    learners = Asked(Ask("learner", 2, {"CPU": 1.0}))
    labelled = Asked(Ask("inference", 1, {"CPU": 1.0}, labels={"kind": "gpu"}))
    actors = [Asked(Ask("actors", 1, {"CPU": 1.0, "actors": 1.0})) for _ in range(2)]
    ask_for_room([Role(learners), Role(learners), *map(Role, actors), Role(labelled)])
    assert begun == ["inference", "actors", "actors", "learner"]
