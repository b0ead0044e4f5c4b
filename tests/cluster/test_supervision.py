"""Supervision as a state machine: deaths, hangs and recoveries, on hosts that are no processes."""

from __future__ import annotations

import asyncio

import pytest
from ray.exceptions import ActorDiedError, ObjectLostError, RayTaskError

from cluster import supervision
from cluster.events import RoleFailing, RoleLost
from cluster.supervision import Supervised


class Remote:
    """`host.method.options(…).remote(…)` and `host.method.remote(…)`."""

    def __init__(self, method):
        self._method, self._returns = method, 1

    def options(self, num_returns):
        self._returns = num_returns
        return self

    def remote(self, *args):
        answer = asyncio.ensure_future(self._method(*args))
        return answer if self._returns == 1 else [answer, "behind a reference"]


class FakeHost:
    def __init__(self, hosted, pid):
        self.hosted, self.killed = hosted, False
        self._pid = pid

    @property
    def call(self):
        async def call(method, *args):
            return await getattr(self.hosted, method)(*args)

        return Remote(call)

    @property
    def whereabouts(self):
        async def whereabouts():
            return self._pid, f"node-{self._pid}"

        return Remote(whereabouts)


class Worker:
    """Does what its epoch is told to do."""

    def __init__(self, epoch, script):
        self.epoch, self.script = epoch, script

    async def work(self, x):
        what = self.script.get(self.epoch, "answer")
        if what == "die":
            raise ActorDiedError()
        if what == "hang":
            await asyncio.sleep(600)
        if what == "lose":
            raise ObjectLostError("0" * 56, "owner", "here")
        if what == "lose an argument":  # of this very call: Ray says so as of an error of the method
            raise RayTaskError("work", "the traceback", ObjectLostError("0" * 56, "owner", "here"))
        if what == "fail":
            raise RayTaskError("work", "the traceback\nof another process", ValueError("bad x"))
        return self.epoch, x


@pytest.fixture
def role(monkeypatch):
    """A supervised worker, its events, and the hosts that were started."""
    hosts = []

    def start_host(factory, name, *_):
        hosts.append(FakeHost(factory(), 100 + len(hosts)))
        return hosts[-1]

    monkeypatch.setattr(supervision, "start_host", start_host)
    monkeypatch.setattr(supervision.ray, "kill", lambda host, no_restart: setattr(host, "killed", True))

    def make(script=None, **settings):
        events = []
        made = Supervised(
            "worker",
            lambda epoch: lambda: Worker(epoch, script or {}),
            **{"deadline_s": 60.0, "start_deadline_s": 60.0, "on_event": events.append, **settings},
        )
        made.start()
        return made, events, hosts

    return make


def story(events):
    return [(event.what, event.cause) for event in events]


def test_an_answer_is_handed_on_and_the_process_is_told_once(role):
    made, events, _ = role()

    async def twice():
        return await made.call("work", 1), await made.call("work", 2, returns=2)

    assert asyncio.run(twice()) == ((0, 1), ((0, 2), "behind a reference"))
    assert story(events) == [("started", "process 100")]


def test_a_death_is_named_the_role_starts_at_the_next_epoch_and_its_recovery_is_timed(role):
    made, events, hosts = role({0: "die"})

    async def live():
        with pytest.raises(RoleLost, match="worker: The actor died"):
            await made.call("work", 1)
        return await made.call("work", 2)

    assert asyncio.run(live()) == (1, 2)
    assert [event.what for event in events] == ["died", "started", "recovered"]
    assert events[2].recovered_s >= 0 and events[1].cause == "process 101"
    assert made.epoch == 1 and len(hosts) == 2 and not hosts[0].killed


def test_a_hang_is_killed_after_its_deadline(role):
    made, events, hosts = role({0: "hang"}, deadline_s=0.05, start_deadline_s=0.05)

    async def live():
        with pytest.raises(RoleLost, match=r"no answer to work\(\) within"):
            await made.call("work", 1)
        made.deadline_s = 60.0
        return await made.call("work", 2)

    assert asyncio.run(live()) == (1, 2)
    assert hosts[0].killed and not hosts[1].killed
    assert "no answer to work()" in events[0].cause


def test_a_fresh_host_has_the_time_to_start_and_a_running_one_has_not(role):
    made, _, _ = role({}, deadline_s=0.05, start_deadline_s=60.0)

    seconds = iter([0.3, 600.0])

    async def slow(x):
        await asyncio.sleep(next(seconds))
        return x

    async def live():
        made._host.hosted.work = slow
        assert await made.call("work", 1) == 1
        with pytest.raises(RoleLost, match="within 0 s"):
            await made.call("work", 2)

    asyncio.run(live())


def test_calls_that_see_the_same_death_start_one_new_host(role):
    made, events, hosts = role({0: "die"})

    async def live():
        return await asyncio.gather(*(made.call("work", n) for n in range(3)), return_exceptions=True)

    assert all(isinstance(error, RoleLost) for error in asyncio.run(live()))
    assert len(hosts) == 2 and made.epoch == 1 and [e.what for e in events] == ["died"]


def test_a_role_that_dies_again_and_again_is_given_up_with_its_cause(role):
    made, events, hosts = role(dict.fromkeys(range(9), "die"), max_deaths_in_a_row=2)

    async def live():
        for _ in range(2):
            with pytest.raises(RoleLost):
                await made.call("work", 1)
        with pytest.raises(RoleFailing, match=r"died 3 times in a row, last of: The actor died") as caught:
            await made.call("work", 1)
        assert "\n" not in str(caught.value)

    asyncio.run(live())
    assert len(hosts) == 3 and [e.what for e in events] == ["died"] * 3


def test_an_answer_in_between_forgives(role):
    made, _, _ = role({0: "die", 1: "answer"}, max_deaths_in_a_row=1)

    async def live():
        for _ in range(4):
            with pytest.raises(RoleLost):
                await made.call("work", 1)
            await made.call("work", 1)
            made._host.hosted.script = {made.epoch: "die"}

    asyncio.run(live())
    assert made.epoch == 4


def test_an_error_of_the_role_is_that_error_and_not_the_traceback_of_another_process(role):
    made, events, hosts = role({0: "fail"})

    async def live():
        with pytest.raises(ValueError, match=r"^bad x$"):
            await made.call("work", 1)

    asyncio.run(live())
    assert len(hosts) == 1 and not events and made.epoch == 0


@pytest.mark.parametrize("how", ["lose", "lose an argument"])
def test_a_lost_argument_costs_the_call_and_not_the_host(role, how):
    made, events, hosts = role({0: how})

    async def live():
        with pytest.raises(RoleLost):
            await made.call("work", 1)

    asyncio.run(live())
    assert len(hosts) == 1 and not events


class Room:
    """On a node that has gone; whoever takes its place is given room elsewhere."""

    def __init__(self):
        self.reservation, self.lost, self.taken, self.renewed = self, False, 0, 0

    def take(self):
        self.lost = False
        self.taken += 1
        return {}


@pytest.mark.parametrize("seen_by", ["this call", "somebody else, who has asked for other room"])
def test_one_whose_room_has_gone_before_it_began_begins_elsewhere_at_once(role, monkeypatch, seen_by):
    monkeypatch.setattr(supervision, "LOOK_S", 0.01)
    room = Room()
    made, events, hosts = role({0: "hang"}, room=room)
    room.lost, room.renewed = (True, 0) if seen_by == "this call" else (False, 1)

    async def live():
        with pytest.raises(RoleLost, match="worker: its node had gone before it began"):
            await made.call("work", 1)
        return await made.call("work", 2)

    assert asyncio.run(live()) == (1, 2) and room.taken == 2
    assert hosts[0].killed and [event.what for event in events] == ["died", "started", "recovered"]


def test_an_answer_that_comes_in_time_does_not_ask_where_the_room_is(role):
    room = Room()
    made, events, _ = role(room=room)
    room.lost = True

    async def live():
        return await made.call("work", 1), await made.call("work", 2)

    assert asyncio.run(live()) == ((0, 1), (0, 2)) and [event.what for event in events] == ["started"]
