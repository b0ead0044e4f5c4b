from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from cluster.batching import Batcher


class Model:
    """Answers in capital letters; one that is held, once it may go on."""

    def __init__(self, held: bool = False) -> None:
        self.batches, self.running = [], 0
        self.began, self.go_on = asyncio.Event(), asyncio.Event()
        if not held:
            self.go_on.set()

    async def __call__(self, words: Sequence[str]) -> list[str]:
        assert not self.running, "one batch at a time"
        self.running += 1
        self.batches.append(list(words))
        self.began.set()
        await asyncio.sleep(0)
        await self.go_on.wait()
        self.running -= 1
        if "bad" in words:
            raise ValueError("cannot read that")
        return [word.upper() for word in words]


def test_what_comes_while_it_works_goes_together_and_keeps_its_order() -> None:
    model = Model(held=True)

    async def go() -> list[list[str]]:
        batcher = Batcher(model, len, 100)
        first = asyncio.create_task(batcher(["a"]))
        await model.began.wait()
        others = [asyncio.create_task(batcher(words)) for words in (["b", "c"], ["d"])]
        await asyncio.sleep(0)  # both have asked
        model.go_on.set()
        return [*(await asyncio.gather(*others)), await first]

    assert asyncio.run(go()) == [["B", "C"], ["D"], ["A"]]
    assert model.batches == [["a"], ["b", "c", "d"]]


def test_a_batch_holds_so_many_tokens_and_what_is_larger_goes_alone() -> None:
    model = Model()

    async def go() -> list[str]:
        return await Batcher(model, len, 4)(["aa", "bb", "c", "dddddddd", "e"])

    assert asyncio.run(go()) == ["AA", "BB", "C", "DDDDDDDD", "E"]
    assert model.batches == [["aa", "bb"], ["c"], ["dddddddd"], ["e"]]


def test_what_fails_fails_for_its_batch_and_the_next_goes_on() -> None:
    model = Model()

    async def go() -> list[object]:
        batcher = Batcher(model, len, 3)
        return await asyncio.gather(batcher(["bad"]), batcher(["ok"]), return_exceptions=True)

    failed, fine = asyncio.run(go())
    assert isinstance(failed, ValueError) and fine == ["OK"]


def test_answers_of_the_wrong_number_are_an_error_of_all() -> None:
    async def short(words: Sequence[str]) -> list[str]:
        return ["x"]

    with pytest.raises(ValueError, match="got 1 answers to 2 questions"):
        asyncio.run(Batcher(short, len, 9)(["a", "b"]))


def test_who_has_gone_is_not_worked_for() -> None:
    model = Model(held=True)

    async def go() -> None:
        batcher = Batcher(model, len, 1)
        first, gone = asyncio.create_task(batcher(["a"])), asyncio.create_task(batcher(["b"]))
        await model.began.wait()
        gone.cancel()
        model.go_on.set()
        await asyncio.gather(first, batcher(["c"]))

    asyncio.run(go())
    assert model.batches == [["a"], ["c"]]


def test_an_empty_call_is_answered_with_nothing() -> None:
    assert asyncio.run(Batcher(Model(), len, 9)([])) == []


def test_two_batches_at_once_where_that_is_wanted_and_nothing_is_left_behind() -> None:
    running, most = 0, 0

    async def model(words: Sequence[str]) -> list[str]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1
        return [word.upper() for word in words]

    async def go() -> list[list[str]]:
        batcher = Batcher(model, len, 2, at_once=2)
        return [*await asyncio.gather(*(batcher(["a", "b"]) for _ in range(5))), await batcher(["c"])]

    assert asyncio.run(go()) == [["A", "B"]] * 5 + [["C"]] and most == 2
