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


async def said(word: str, after_s: float, ended: list[str] | None = None) -> str:
    try:
        await asyncio.sleep(after_s)
    except asyncio.CancelledError:
        if ended is not None:
            ended.append(word)
        raise
    return word


@pytest.mark.slow
def test_the_first_answer_counts_and_the_other_call_is_cancelled() -> None:
    async def race(first_s: float, second_s: float) -> tuple[tuple[str, bool], list[str]]:
        cancelled: list[str] = []
        won = await first_answer(
            lambda: said("first", first_s, cancelled), 300.0, lambda: said("second", second_s, cancelled), 0.01
        )
        await asyncio.sleep(0.01)
        return won, cancelled

    assert asyncio.run(race(60.0, 0.0)) == (("second", True), ["first"])
    assert asyncio.run(race(1.0, 60.0)) == (("first", False), ["second"])
    assert asyncio.run(race(0.0, 3.0)) == (("first", False), []), "a quick call is not made twice"


@pytest.mark.slow
def test_a_call_that_fails_ends_nothing_while_the_other_may_answer() -> None:
    async def fails(after_s: float) -> str:
        await asyncio.sleep(after_s)
        raise ConnectionError("gone")

    async def race() -> tuple[str, bool]:
        return await first_answer(lambda: fails(0.7), 60.0, lambda: said("second", 1.0), 0.01)

    async def both() -> None:
        await first_answer(lambda: fails(0.03), 5.0, lambda: fails(0.02), 0.01)

    assert asyncio.run(race()) == ("second", True)
    with pytest.raises(ConnectionError, match="gone"):
        asyncio.run(both())


def test_a_deadline_holds_for_both_calls_and_a_second_one_may_be_refused() -> None:
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(first_answer(lambda: said("late", 9.0), 0.05, lambda: said("later", 9.0), 0.01))
    assert asyncio.run(first_answer(lambda: said("alone", 0.05), 5.0, lambda: None, 0.01)) == ("alone", False)


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
