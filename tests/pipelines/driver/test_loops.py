"""Loops that end together, and calls that outlive deaths."""

import asyncio

import pytest

from cluster.events import RoleFailing, RoleLost
from pipelines.driver.loops import Bell, Uninterrupted, end, persistently, together


class Dying:
    """A role that dies so many times before it answers."""

    def __init__(self, deaths, last=RoleLost):
        self.deaths, self.last, self.calls = deaths, last, 0

    async def call(self, method, *args, returns=1):
        self.calls += 1
        if self.deaths:
            self.deaths -= 1
            raise (self.last if self.deaths == 0 else RoleLost)("killed")
        return method, args


def test_a_call_is_made_again_until_the_role_answers():
    role = Dying(3)
    assert asyncio.run(persistently(role, "state", 7)) == ("state", (7,)) and role.calls == 4


def test_a_role_that_fails_for_good_is_not_called_again():
    role = Dying(2, RoleFailing)
    with pytest.raises(RoleFailing, match="killed"):
        asyncio.run(persistently(role, "state"))
    assert role.calls == 2


def run(loops, endless, save_s=250.0):
    """Run loops that take a list of what happened, and give the list."""
    happened = []

    async def save():
        happened.append("save")
        await asyncio.sleep(0)
        happened.append("saved")

    async def all_of_them():
        await together([one(happened) for one in loops], [one(happened) for one in endless], save, save_s)

    try:
        asyncio.run(all_of_them())
    except ValueError as error:
        happened.append(str(error))
    return happened


async def soon(happened):
    await asyncio.sleep(0.01)
    happened.append("soon")


async def for_ever(happened):
    try:
        await asyncio.Event().wait()
    finally:
        happened.append("cancelled")


async def at_once(happened):
    happened.append("at once")


async def broken(happened):
    await asyncio.sleep(0.01)
    raise ValueError("broken")


def test_the_endless_are_ended_when_the_others_are_done():
    assert run([soon, at_once], [for_ever, at_once]) == ["at once", "at once", "soon", "cancelled"]


@pytest.mark.parametrize(("loops", "endless"), [([broken, for_ever], []), ([for_ever], [broken])])
def test_one_that_fails_ends_the_others_and_what_was_learnt_is_saved_first(loops, endless):
    assert run(loops, endless) == ["cancelled", "save", "saved", "broken"]


def test_the_first_error_is_told_also_where_nothing_can_be_saved_in_time():
    assert run([broken], [for_ever], save_s=0.0)[-1] == "broken"


async def deaf(happened):
    """Goes on where its answer comes together with the first cancellation, as before Python 3.12 `wait_for` does."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        happened.append("went on")
    await for_ever(happened)


@pytest.mark.parametrize(("loops", "endless"), [([broken, deaf], []), ([broken], [deaf]), ([soon], [deaf])])
def test_a_loop_that_misses_its_end_is_told_again(loops, endless):
    happened = run(loops, endless)
    assert happened.index("went on") < happened.index("cancelled")
    assert happened[-1] == ("broken" if broken in loops else "cancelled")


def test_a_loop_whose_answer_comes_as_it_is_ended_does_not_go_on_for_ever():
    async def main():
        answer = asyncio.get_running_loop().create_future()

        async def loop():
            while True:
                await asyncio.wait_for(answer if not answer.done() else asyncio.Event().wait(), 600.0)

        task = asyncio.create_task(loop())
        await asyncio.sleep(0)
        answer.set_result(None)
        await asyncio.wait_for(end([task]), 10.0)
        return task.cancelled()

    assert asyncio.run(main())


def test_a_bell_wakes_all_who_listen_and_none_who_come_later():
    async def main():
        bell, woken = Bell(), []

        async def listen(name):
            await bell.heard(600.0)
            woken.append(name)

        first = [asyncio.create_task(listen(name)) for name in "ab"]
        await asyncio.sleep(0)
        bell.ring()
        await asyncio.gather(*first)
        late = asyncio.create_task(listen("late"))
        await asyncio.sleep(0)
        assert not late.done()
        late.cancel()
        bell.ring()  # whoever was cancelled listens no more
        other = asyncio.get_running_loop().create_future()
        other.set_result(None)
        await bell.heard(600.0, other)
        await bell.heard(0.0)
        return woken

    assert sorted(asyncio.run(main())) == ["a", "b"]


def test_work_goes_on_where_whoever_waits_for_it_is_cancelled_and_is_waited_for_before_the_next():
    async def story():
        happened, go_on = [], asyncio.Event()

        async def work():
            await go_on.wait()
            happened.append("worked")
            return 7

        one = Uninterrupted()
        await one.over()  # nothing was begun
        waiting = asyncio.create_task(one.run(work()))
        await asyncio.sleep(0)
        await end([waiting])
        assert waiting.cancelled() and not happened
        asyncio.get_running_loop().call_soon(go_on.set)
        await one.over()
        assert happened == ["worked"] and await one.run(work()) == 7

    asyncio.run(story())


def test_work_that_failed_unheard_is_over_as_well():
    async def story():
        one = Uninterrupted()

        async def fail():
            await asyncio.sleep(0.01)
            raise ValueError("broken")

        waiting = asyncio.create_task(one.run(fail()))
        await asyncio.sleep(0)
        await end([waiting])
        await one.over()
        with pytest.raises(ValueError, match="broken"):
            await one.run(fail())

    asyncio.run(story())
