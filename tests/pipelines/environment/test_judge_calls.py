"""Calls of the judge: who does not answer is noted, who has too much to do is not blamed."""

from __future__ import annotations

import asyncio

import pytest

from cluster.serving import ServiceOverloaded, ServiceUnavailable
from pipelines.environment.judge_calls import JudgeCalls
from pipelines.errors import UserError
from rewards.judges.judge import Answer, Question
from rewards.verdicts import Status

QUESTIONS = (Question("1", "caption", ("You see here a key.",)),)


class Service:
    def __init__(self, *script):
        self._script = list(script)

    async def ask(self, asked):
        answer = self._script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def run(small, books, tmp_path):
    return books(small({"reward.source": "classification"}), tmp_path / "run")


def events(run):
    return [line.split('"what": "')[1].split('"')[0] for line in run.directory.events.read_text().splitlines()]


def test_a_judge_that_dies_and_answers_again_is_said_aloud_and_one_that_is_busy_is_not(run):
    said = "a-judge", [Answer(Status.OK, 1.0)], 77
    judge = JudgeCalls(run, Service(said, ServiceOverloaded("256 wait"), ServiceUnavailable("gone"), said))

    async def calls():
        assert await judge.examine(new=False) == "a-judge"
        for error in (ServiceOverloaded, ServiceUnavailable):
            with pytest.raises(error):
                await judge._ask(QUESTIONS)
        return await judge._ask(QUESTIONS)

    assert asyncio.run(calls()) == said[:2]
    assert events(run) == ["started", "died", "recovered"]


def test_a_judge_that_does_not_answer_ends_the_run_before_any_work(run):
    judge = JudgeCalls(run, Service(TimeoutError("no answer within 60 s")))
    with pytest.raises(UserError, match=r"the judge does not answer: no answer within 60 s; check judge\.\*"):
        asyncio.run(judge.examine(new=True))
