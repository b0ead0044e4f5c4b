"""Waiting for verdicts, on a clock of its own: each look is one second after the one before."""

from __future__ import annotations

import asyncio

import pytest

from pipelines.driver.verdict_wait import Waited, await_verdicts, until_told


def waited(found, within_s, meanwhile=None):
    """How a wait ended in which so much was found missing at each look."""
    now, left = [0.0], iter(found)

    async def sleep(seconds):
        assert seconds > 0
        now[0] += 1.0

    return asyncio.run(await_verdicts(lambda: next(left), within_s, meanwhile, lambda: now[0], sleep))


@pytest.mark.parametrize(
    ("found", "within_s", "expected"),
    [
        ([0], 0.0, Waited(0.0, 0)),
        ([3], 0.0, Waited(0.0, 3)),
        ([3, 1, 0], 9.0, Waited(2.0, 0)),
        ([3, 3, 2, 2], 2.5, Waited(3.0, 2)),
    ],
)
def test_a_wait_ends_when_nothing_is_missing_or_at_its_bound(found, within_s, expected):
    assert waited(found, within_s) == expected


def test_where_nobody_else_asks_the_judge_it_is_asked_before_each_look():
    asked = []

    async def ask():
        asked.append(len(asked))

    assert waited([2, 1, 0], 9.0, ask) == Waited(2.0, 0) and len(asked) == 3


def test_verdicts_that_come_while_the_trainer_is_told_are_not_waited_for():
    unsettled, verdicts, told = iter([2, 0]), [5], [0]
    missing = until_told(lambda: next(unsettled), lambda: verdicts[0], lambda: told[0])
    assert missing() == 2
    assert missing() == 5, "all is judged, and the trainer knows nothing of it"
    verdicts[0], told[0] = 8, 4
    assert missing() == 1
    told[0] = 5
    assert missing() == 0
