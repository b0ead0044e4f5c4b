"""Learners that die, whose rooms go and come: a group over roles that are no processes."""

from __future__ import annotations

import asyncio

import pytest
from ray.exceptions import ActorDiedError

from cluster import supervision
from cluster.events import RoleFailing, RoleLost
from cluster.supervision import Supervised
from pipelines.driver import learner_group
from pipelines.driver.learner_group import LearnerGroup
from pipelines.scaling.membership import Membership


class Remote:
    def __init__(self, method):
        self._method = method

    def options(self, num_returns):
        return self

    def remote(self, *args):
        return asyncio.ensure_future(self._method(*args))


class Host:
    """Answers with its seat; one that is killed dies, one without room never answers."""

    def __init__(self, seat, room):
        self.seat, self.room, self.over = seat, room, asyncio.Event()

    @property
    def call(self):
        async def call(method, *args):
            waits = asyncio.ensure_future(self.over.wait())
            if method == "work" and self.room.reservation.placed:
                waits.cancel()
                return self.seat
            await waits
            raise ActorDiedError()

        return Remote(call)

    @property
    def whereabouts(self):
        async def whereabouts():
            return 1, "here"

        return Remote(whereabouts)


class Room:
    def __init__(self):
        self.reservation = self
        self.placed, self.renewed = True, 0

    @property
    def lost(self):
        return not self.placed

    def take(self):
        return {}

    def give_back(self):
        self.placed = False


class Group:
    def __init__(self, sizes, wait_s=250.0):
        self.rooms, self.events, self.now = [Room() for _ in range(max(sizes))], [], 0.0
        self.group = LearnerGroup(
            self.make, Membership(sizes, 10.0, lambda: self.now), self.rooms, wait_s, self.events.append
        )

    def make(self, place, seat, room):
        def factory(epoch):
            return lambda: Host(seat(epoch), room)

        name, told = f"learner-{place}", self.events.append
        return Supervised(name, factory, deadline_s=20.0, room=room, on_event=told, by_itself=False)

    def told(self, *what):
        return [(event.role, event.what) for event in self.events if event.what in what]

    def kill(self, place):
        self.group.roles[place].host.over.set()


@pytest.fixture(autouse=True)
def no_processes(monkeypatch):
    monkeypatch.setattr(supervision, "start_host", lambda factory, *_: factory())
    monkeypatch.setattr(supervision.ray, "kill", lambda host, no_restart: host.over.set())
    monkeypatch.setattr(learner_group.ray.util, "get_node_ip_address", lambda: "127.0.0.1")
    monkeypatch.setattr(learner_group, "LOOK_S", 0.01)
    monkeypatch.setattr(supervision, "LOOK_S", 0.01)
    monkeypatch.setattr(learner_group, "BEGIN_S", 0.05)


def test_a_rank_that_dies_is_back_in_its_place_at_the_next_epoch_and_all_begin_with_it():
    async def story(it):
        await it.group.begin(2)
        seat = await it.group.call("work")
        assert (seat.rank, seat.size, seat.group) == (0, 2, "0")
        learning = [asyncio.ensure_future(it.group.call("hang")) for _ in range(2)]
        await asyncio.sleep(0.05)
        it.kill(1)
        for call in learning:
            with pytest.raises(RoleLost):
                await call
        assert it.group.epoch == 1, "two calls saw one death, and the group has formed once"
        assert (await it.group.call("work")).group == "1"
        assert it.told("died") == [("learner-1", "died")] and it.told("recovered") == [("learner-1", "recovered")]
        assert it.told("renewed") == [("learner-0", "renewed")] and not it.told("left", "joined")

    for sizes in ((2,), (1, 2)):
        asyncio.run(story(Group(sizes)))


def test_a_rank_without_room_is_done_without_and_comes_back_with_its_room():
    async def story():
        it = Group((1, 2))
        await it.group.begin(2)
        await it.group.call("work")
        it.rooms[0].placed = False
        learning = asyncio.ensure_future(it.group.call("hang"))
        await asyncio.sleep(0.05)
        it.kill(0)
        with pytest.raises(RoleLost):
            await learning
        seat = await it.group.call("work")
        assert (seat.rank, seat.size, seat.group) == (0, 1, "1") and it.group.size == 1
        assert it.told("left") == [("learner-0", "left")] and not it.group.may_grow()
        it.rooms[0].placed, it.now = True, 10.0
        assert it.group.may_grow()
        it.group.grow()
        assert (await it.group.call("work")).size == 2 and not it.group.may_grow()
        assert it.told("joined", "recovered") == [("learner-0", "joined"), ("learner-0", "recovered")]

    asyncio.run(story())


def test_a_rank_that_was_to_begin_in_room_that_has_gone_is_not_waited_for():
    async def story():
        it = Group((1, 2))
        await it.group.begin(2)
        it.rooms[1].placed = False  # Ray tells of it after the process was asked for
        with pytest.raises(RoleLost):
            await it.group.call("work")
        assert (await it.group.call("work")).size == 1

    asyncio.run(story())


def test_a_group_may_begin_with_fewer_and_waits_for_room_for_the_fewest_no_longer_than_it_may():
    async def story():
        few = Group((1, 2))
        few.rooms[0].placed = False
        await few.group.begin(2)
        assert (await few.group.call("work")).size == 1 and few.group.roles[1].running
        none = Group((2,), wait_s=0.05)
        none.rooms[0].placed = False
        with pytest.raises(RoleFailing, match=r"no room within 0 s .* for 2 learners"):
            await none.group.begin(2)

    asyncio.run(story())
