"""Work beside the loops: it ends, rings and fails where somebody looks."""

import asyncio

import pytest

from pipelines.driver.errands import Errands
from pipelines.driver.loops import Bell


async def run_and(end):
    """An errand that waits until it is let, and then does what `end` does."""
    bell, let = Bell(), asyncio.Event()
    errands = Errands(bell)

    async def work():
        await let.wait()
        end()

    errands.begin(work())
    await asyncio.sleep(0)
    assert len(errands) == 1
    errands.check()
    let.set()
    await bell.heard(60.0)
    return errands


def test_the_end_of_an_errand_rings_and_it_is_gone():
    errands = asyncio.run(run_and(lambda: None))
    errands.check()
    assert not errands


def test_what_an_errand_raised_is_raised_where_somebody_looks_also_by_who_waits_for_all():
    async def wait_for_all():
        errands = Errands(Bell())

        async def fail():
            raise OSError("the disk is full")

        errands.begin(asyncio.sleep(3600))
        errands.begin(fail())
        try:
            with pytest.raises(OSError, match="the disk is full"):
                await errands.all_done()
            with pytest.raises(OSError, match="the disk is full"):
                errands.check()
            assert len(errands) == 1
        finally:
            await errands.end()
        assert not errands

    asyncio.run(wait_for_all())
