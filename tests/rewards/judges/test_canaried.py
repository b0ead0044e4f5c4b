import asyncio

import pytest

from rewards.canaries import Canary, CanaryWatch, Config
from rewards.judges.canaried import CanariedJudge, as_question
from rewards.judges.judge import Answer
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
