from __future__ import annotations

import asyncio

import pytest

from rewards.annotation.hedging import Config, Hedging
from rewards.annotation.race import first_answer
from rewards.annotation.window import Window


def test_a_call_is_hedged_after_the_slow_ones_and_seldom() -> None:
    hedging = Hedging(Config(quantile=0.9, factor=2.0, at_most=0.1, warm_up=10, shortest_s=0.0))
    assert hedging.began() is None, "nothing is known of how long calls take"
    for seconds in range(1, 11):
        hedging.ended(float(seconds), by_second=False)
    for _ in range(8):
        assert hedging.began() is None, "one of fewer than ten would be more than a tenth"
    assert hedging.began() == 18.0  # the ninth of ten, twice
    hedging.hedged += 1
    assert hedging.began() is None
    hedging.ended(1.0, by_second=True)
    assert hedging.won == 1


class Call:
    """Answers with its word once it may, or fails."""

    def __init__(self, word: str, fails: bool = False, at_once: bool = False) -> None:
        self.word, self.fails, self.cancelled = word, fails, False
        self.begun, self.may = asyncio.Event(), asyncio.Event()
        if at_once:
            self.may.set()

    async def __call__(self) -> str:
        self.begun.set()
        try:
            await asyncio.sleep(0)
            await self.may.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.fails:
            raise ConnectionError("gone")
        return self.word


def raced(first: Call, second: Call, *may: Call) -> tuple[str, bool]:
    """The answer where the second is made, and then the others may go on, one after another."""

    async def race() -> tuple[str, bool]:
        racing = asyncio.create_task(first_answer(first, 250.0, second, 0.01))
        await second.begun.wait()
        for one in may:
            one.may.set()
            await asyncio.sleep(0.01)
        try:
            return await racing
        finally:
            await asyncio.sleep(0)  # who was let go hears of it

    return asyncio.run(race())


def test_the_first_answer_counts_and_the_other_call_is_cancelled() -> None:
    first, second = Call("first"), Call("second")
    assert raced(first, second, second) == ("second", True) and first.cancelled
    first, second = Call("first"), Call("second")
    assert raced(first, second, first) == ("first", False) and second.cancelled


def test_a_quick_call_is_not_made_twice() -> None:
    second = Call("second")
    won = asyncio.run(first_answer(Call("first", at_once=True), 250.0, second, 0.01))
    assert won == ("first", False) and not second.begun.is_set()


def test_a_call_that_fails_ends_nothing_while_the_other_may_answer() -> None:
    first, second = Call("first", fails=True), Call("second")
    assert raced(first, second, first, second) == ("second", True)
    first, second = Call("first", fails=True), Call("second", fails=True)
    with pytest.raises(ConnectionError, match="gone"):
        raced(first, second, first, second)


def test_a_deadline_holds_for_both_calls_and_a_second_one_may_be_refused() -> None:
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(first_answer(Call("late"), 0.05, Call("later"), 0.01))

    async def alone() -> tuple[str, bool]:
        call, refused = Call("alone"), asyncio.Event()
        racing = asyncio.create_task(first_answer(call, 250.0, lambda: refused.set(), 0.01))
        await refused.wait()
        call.may.set()
        return await racing

    assert asyncio.run(alone()) == ("alone", False)


def test_the_window_halves_when_the_judge_is_busy_and_grows_by_one_a_round() -> None:
    window = Window(8)
    sizes = []
    for _ in range(5):
        window.busy()
        sizes.append(window.size)
    assert sizes == [4, 2, 1, 1, 1]
    for _ in range(200):
        window.answered()
    assert window.size == 8
