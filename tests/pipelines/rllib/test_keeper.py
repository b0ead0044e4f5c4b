"""The books of a run on RLlib end when they are told to, and what ended them before is told."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

from pipelines.errors import UserError
from pipelines.rllib.keeper import Keeper


class Desk:
    """A desk with nothing on it, which may fail or hang."""

    def __init__(self):
        self.failure, self.hangs = None, False
        self.collect = SimpleNamespace(remote=self._collect)

    async def _collect(self):
        if self.failure is not None:
            raise self.failure
        if self.hangs:
            await asyncio.sleep(60)
        return [], []


@pytest.fixture
def keeper(books, small, tmp_path):
    made = Keeper(books(small({"reward.source": "extrinsic"}), tmp_path / "run"), Desk(), None, None)
    made.start()
    return made


def test_what_is_asked_of_the_books_is_done_on_their_thread(keeper):
    assert keeper.do(lambda: 7) == 7
    with pytest.raises(KeyError):
        keeper.do(lambda: {}["x"])
    keeper.stop()
    with pytest.raises(UserError, match="ended already"):
        keeper.do(lambda: 7)


def test_what_ended_the_books_is_told_by_whoever_comes_next(keeper):
    keeper.desk.failure = UserError("the judge is gone")
    keeper._thread.join(250)
    for call in (lambda: keeper.do(lambda: 7), keeper.stop):
        with pytest.raises(UserError, match="the judge is gone"):
            call()


def test_books_that_end_while_they_are_asked_do_not_keep_the_caller_waiting(keeper):
    def ends():
        keeper.desk.failure = UserError("the judge is gone")
        raise_later.append(1)
        return 7

    raise_later = []
    assert keeper.do(ends) == 7 and raise_later
    with pytest.raises(UserError, match="the judge is gone"):
        while True:
            keeper.do(lambda: time.sleep(0.01))


def test_books_that_do_not_answer_or_end_are_not_waited_for_for_ever(keeper):
    held = threading.Event()
    with pytest.raises(UserError, match="have not answered within"):
        keeper.do(lambda: held.wait(60), 0.05)
    held.set()
    keeper.desk.hangs = True
    with pytest.raises(UserError, match="did not end within"):
        keeper.stop(0.2)
    keeper._loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(keeper._loop)])
    keeper._thread.join(250)
