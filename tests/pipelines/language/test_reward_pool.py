"""Rewards in processes of their own, with processes that are made up: what hangs holds up itself and nothing else."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from cluster.events import RoleFailing, RoleLost
from pipelines.language import reward_pool
from pipelines.language.reward_pool import RewardPool
from rewards.judges.judge import Answer
from rewards.verdicts import Status


class Worker:
    """Answers at once with what is in the column, hangs where that is None, until it is killed."""

    killed: asyncio.Event
    room = None

    def __init__(self, number):
        self.number, self.epoch, self.deadline_s = number, 0, 0.1
        self.calls, self.stopped = [], False

    def start(self):
        pass

    def stop(self):
        self.stopped = True

    async def call(self, method, *args):
        if method == "ready":
            return True
        name, columns = args
        self.calls.append(list(columns["value"]))
        if name == "raises":
            raise ValueError("no")
        if None in columns["value"]:
            await self.killed.wait()
            self.epoch += 1
            raise RoleLost("rewards: no answer to answer() within 1 s")
        return [Answer(Status.OK, float(value)) for value in columns["value"]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(reward_pool, "LATE_S", 0.02)


def with_pool(count, body, hire=Worker):
    async def main():
        workers = []

        def hiring(number):
            workers.append(hire(number))
            return workers[-1]

        pool = RewardPool(count, hiring, batched={"together"})
        pool.start()
        try:
            return await body(pool), workers
        finally:
            await pool.stop()

    return asyncio.run(main())


def test_groups_that_wait_for_the_same_reward_are_asked_about_together():
    async def body(pool):
        return await asyncio.gather(*(pool.ask("plain", {"value": [k, k + 1]}) for k in range(4)))

    answers, (worker,) = with_pool(1, body)
    assert [[one.value for one in group] for group in answers] == [[k, k + 1] for k in range(4)]
    assert worker.calls == [[0, 1, 1, 2, 2, 3, 3, 4]] and worker.stopped


def test_a_group_that_hangs_is_late_and_all_others_are_there_before():
    order = []

    class Hanging(Worker):
        killed = asyncio.Event()  # not by the clock: when all others are answered

    async def ask(pool, value):
        try:
            (answer,) = await pool.ask("plain", {"value": [value]})
            order.append(answer.value)
        except TimeoutError as error:
            order.append(str(error))
        if len(order) == 4:
            Hanging.killed.set()

    async def body(pool):
        await asyncio.gather(*(ask(pool, value) for value in (0, 1, None, 3, 4)))

    _, workers = with_pool(1, body, Hanging)
    assert sorted(order[:4]) == [0, 1, 3, 4] and "no answer" in order[4]
    assert 1 < len(workers) <= 1 + reward_pool.HIRED and all(worker.stopped for worker in workers)


def test_what_a_reward_raises_is_told_to_whoever_asked():
    async def body(pool):
        with pytest.raises(ValueError, match="no"):
            await pool.ask("raises", {"value": [1]})
        return await pool.ask("plain", {"value": [1]})

    (answer,), _ = with_pool(1, body)
    assert answer.value == 1


@pytest.mark.parametrize("how", ["raises", "says so"])
def test_what_fails_a_call_for_many_groups_is_the_fault_of_one_and_the_others_are_asked_about_alone(how):
    class Fragile(Worker):
        async def call(self, method, *args):
            values = args[1]["value"] if args else []
            self.calls.append(list(values))
            if 3 in values:
                if how == "raises":
                    raise ValueError("no")
                return [Answer(Status.JUDGE_FAULT, cause="no")] * len(values)  # as a batched function does
            return [Answer(Status.OK, float(value)) for value in values]

    async def body(pool):
        asked = (pool.ask("together", {"value": [k]}) for k in range(5))
        return await asyncio.gather(*asked, return_exceptions=True)

    found, (worker,) = with_pool(1, body, Fragile)
    for k in (0, 1, 2, 4):
        assert [answer.value for answer in found[k]] == [k]
    assert str(found[3]) == "no" if isinstance(found[3], Exception) else found[3][0].cause == "no"
    assert [call for call in worker.calls if call] == [[0, 1, 2, 3, 4], [0], [1], [2], [3], [4]]


def test_a_process_that_cannot_be_started_ends_the_run_with_its_cause():
    class Broken(Worker):
        async def call(self, method, *args):
            raise RoleLost("rewards-0: ImportError")

    async def body(pool):
        with pytest.raises(RoleFailing, match="ImportError; it was tried 3 times"):
            for _ in range(1000):
                pool.check()
                await asyncio.sleep(0.01)
        asking = asyncio.ensure_future(pool.ask("plain", {"value": [1]}))
        await asyncio.sleep(0.02)
        assert not asking.done(), "it would be taken for a fault of the reward"
        with pytest.raises(RoleFailing, match="ImportError"):
            pool.check()
        asking.cancel()

    with_pool(1, body, Broken)


def test_who_was_hired_leaves_once_nothing_hangs():
    workers = []

    class Hanging(Worker):
        killed = asyncio.Event()

        def __init__(self, number):
            super().__init__(number)
            workers.append(self)

    async def body(pool):
        asked = asyncio.ensure_future(pool.ask("plain", {"value": [None]}))
        while len(workers) < 2:
            await asyncio.sleep(0.01)
        Hanging.killed.set()
        with pytest.raises(TimeoutError):
            await asked
        while not workers[1].stopped:
            await asyncio.sleep(0.01)
        (answer,) = await pool.ask("plain", {"value": [1]})
        assert answer.value == 1 and not workers[0].stopped

    with_pool(1, body, Hanging)


def test_a_process_without_room_is_waited_for_by_nobody(monkeypatch):
    monkeypatch.setattr(reward_pool, "LOOK_S", 0.01)

    class Placed(Worker):
        def __init__(self, number):
            super().__init__(number)
            self.room = SimpleNamespace(reservation=SimpleNamespace(placed=number == 0))

        async def call(self, method, *args):
            assert self.room.reservation.placed, f"{method} of a process that has no room"
            return await super().call(method, *args)

    async def body(pool):
        found = await asyncio.gather(*(pool.ask("plain", {"value": [k]}) for k in range(3)))
        await asyncio.sleep(0.05)
        pool.check()
        return found

    found, workers = with_pool(2, body, Placed)
    assert [answer.value for (answer,) in found] == [0, 1, 2] and not workers[1].calls
