"""A judge that dies, is replaced, fails and answers again."""

from __future__ import annotations

import asyncio

import pytest

from pipelines.judging.judge_watch import JudgeWatch


class Watched:
    """A watch with a clock of its own, and what it said."""

    def __init__(self, replicas: int = 1) -> None:
        self.now, self.said = 100.0, []
        self.watch = JudgeWatch(replicas, self.hear, lambda: self.now)

    def hear(self, event):
        self.said.append((event.what, event.recovered_s))


def test_a_process_more_than_there_are_replicas_replaces_one_that_is_gone():
    one = Watched(replicas=2)
    one.watch.answered(11)
    one.watch.answered(12)
    one.watch.answered(11)
    assert [what for what, _ in one.said] == ["started", "started"]
    one.now = 107.0
    one.watch.answered(13, since=104.0)
    assert [what for what, _ in one.said[2:]] == ["died", "started", "recovered"]
    assert one.said[-1][1] == pytest.approx(3.0), "from when it was asked to when it answered"
    assert one.watch.processes == {13}


def test_failures_before_an_answer_are_one_death():
    one = Watched()
    one.watch.answered(11)
    one.watch.failed("late", since=0.0)
    one.watch.failed("late")
    one.now = 103.0
    one.watch.answered(11)
    assert [what for what, _ in one.said] == ["started", "died", "recovered"]
    assert one.said[-1][1] == pytest.approx(103.0), "a failure at second 0 is not one without a time"


def test_a_sign_of_life_ends_a_silence_and_does_not_excuse_answers_that_fail(monkeypatch):
    monkeypatch.setattr("pipelines.judging.judge_watch.ATTEND_S", 0.0)
    one = Watched()
    one.watch.answered(11)
    signs = iter([OSError("gone"), 11, 11])

    async def sign_of_life():
        sign = next(signs, None)
        if sign is None:
            one.watch.failed("garbage")
            signs_over.set()
            return 11
        if isinstance(sign, Exception):
            raise sign
        return sign

    async def attend():
        task = asyncio.create_task(one.watch.attend(sign_of_life))
        await signs_over.wait()
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    signs_over = asyncio.Event()
    asyncio.run(attend())
    assert [what for what, _ in one.said] == ["started", "died", "recovered", "died"]


def test_nobody_is_asked_for_a_sign_of_life_while_answers_come(monkeypatch):
    monkeypatch.setattr("pipelines.judging.judge_watch.ATTEND_S", 0.01)
    one, asked = Watched(), []

    async def attend():
        async def sign_of_life():
            asked.append(one.now)
            silent.set()
            return 11

        silent = asyncio.Event()
        one.watch.answered(11)
        task = asyncio.create_task(one.watch.attend(sign_of_life))
        for _ in range(5):
            one.now += 0.009
            one.watch.answered(11)
            await asyncio.sleep(0.01)
        assert asked == [], "by its clock an answer came every 9 ms"
        one.now += 0.011
        await asyncio.wait_for(silent.wait(), 60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(attend())
    assert set(asked) == {one.now}
    assert [what for what, _ in one.said] == ["started"]
