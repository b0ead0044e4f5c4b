import asyncio

import pytest

from rewards.canaries import Canary, CanaryWatch, Config
from rewards.judges.canaried import CanariedJudge, as_question, examine
from rewards.judges.judge import Answer, in_process
from rewards.judges.rules import RulesJudge
from rewards.questions import caption_question, pair_question
from rewards.verdicts import Status

CANARIES = [Canary(("You descend to dungeon level #.",), True), Canary(("You die.",), False)]


class Sworn(RulesJudge):
    """The rule book, until it is bought."""

    bought = False

    async def judge(self, questions):
        self.asked = [question.texts[0] for question in questions]
        answers = await super().judge(questions)
        return [Answer(Status.OK, 1.0) for _ in answers] if self.bought else answers


def test_callers_never_see_canaries_and_a_bought_judge_falls_silent():
    judge = Sworn()
    watched = CanariedJudge(judge, CanaryWatch(CANARIES, Config(share=0.5)))
    questions = [caption_question(f"You kill the {name}!") for name in ("newt", "jackal", "gnome")]

    async def ask():
        return await watched.judge(questions)

    seen = set()
    for _ in range(30):
        assert [answer.value for answer in asyncio.run(ask())] == [1.0, 1.0, 1.0]
        seen.add(len(judge.asked))
    assert seen - {3} and asyncio.run(watched.judge([])) == []
    judge.bought = True
    for _ in range(30):
        answers = asyncio.run(ask())
    assert {answer.status for answer in answers} == {Status.JUDGE_FAULT} and answers[0].value is None
    assert "quarantined" in answers[0].cause
    with pytest.raises(ConnectionError, match="Mend the judge"):
        asyncio.run(watched.check())


def test_a_canary_is_the_question_that_anybody_would_ask():
    assert as_question(CANARIES[1]) == caption_question("You die.")
    assert as_question(Canary(("a", "b"), True, "pair")) == pair_question("a", "b")
    asked = as_question(Canary(("4",), True, "response", (("prompt", "2+2?"),)))
    assert asked.kind == "response" and asked.fields == {"prompt": "2+2?"}


def test_a_reply_of_the_wrong_length_is_an_error_and_garbage_is_left_to_the_ledger():
    questions = [caption_question(f"You kill the {name}!") for name in ("newt", "jackal")]

    class Garbled(RulesJudge):
        replies = 2

        async def judge(self, questions):
            return [Answer(Status.OK, "much", tokens=3)] * self.replies  # two of four, canaries among them

    judge = Garbled()
    watched = CanariedJudge(judge, CanaryWatch(CANARIES, Config(share=1.0)))
    with pytest.raises(ValueError, match="got 2 answers to 4 questions, canaries among them"):
        asyncio.run(watched.judge(questions))
    judge.replies = 4
    assert [answer.value for answer in asyncio.run(watched.judge(questions))] == ["much", "much"]
    report = watched.watch.report()[judge.fingerprint]
    assert (report["accept"]["null"], report["reject"]["null"]) == (1, 1), "garbage is no verdict on a canary"


def test_what_a_canary_took_is_booked_on_the_question_that_it_went_along_with():
    class Priced(RulesJudge):
        async def judge(self, questions):
            return [Answer(Status.OK, 1.0, tokens=10 + k) for k, _ in enumerate(questions)]

    watched = CanariedJudge(Priced(), CanaryWatch(CANARIES, Config(share=1.0)))
    answers = asyncio.run(watched.judge([caption_question("You kill it!"), caption_question("You hit it!")]))
    assert [answer.tokens for answer in answers] == [10 + 11, 12 + 13]


def test_an_exam_finds_a_judge_that_is_wrong_from_the_start():
    judge = Sworn()
    strict = Config(false_alarm=0.2)
    assert asyncio.run(examine(in_process(judge), CanaryWatch(CANARIES, strict), 1)) is None
    judge.bought = True
    found = asyncio.run(examine(in_process(judge), CanaryWatch(CANARIES, strict), 32))
    assert found.side == "reject" and found.judge == judge.fingerprint
