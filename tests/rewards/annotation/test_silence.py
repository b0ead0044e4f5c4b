from __future__ import annotations

import pytest

from rewards.annotation.ledger import AnnotationLedger, Config
from rewards.annotation.silence import silence
from rewards.judges.judge import Answer
from rewards.questions import caption_question
from rewards.verdicts import Status

KNOWN = Answer(Status.OK, 1.0)
ABSTAINED = Answer(Status.UNPARSEABLE, cause="not recorded in old")


def books(*answers):
    """The books after as many questions, answered so."""
    ledger = AnnotationLedger(Config(batch_size=len(answers)), "helpful", "v1", lambda: 0.0)
    for number in range(len(answers)):
        ledger.ask(caption_question(f"caption {number}"))
    ledger.complete(ledger.next_batch().id, answers, "judge")
    return ledger.ledger()


def test_a_judge_without_a_value_for_anything_is_told_after_a_few_questions_with_the_cause():
    assert silence(books(*[ABSTAINED] * 4)) is None
    said = silence(books(*[ABSTAINED] * 5))
    assert "for none of the 5 questions" in said and "unparseable: not recorded in old" in said
    assert "for none of the 1 questions" in silence(books(ABSTAINED), ended=True)


@pytest.mark.parametrize(("known", "asked", "told"), [(1, 19, False), (9, 20, True), (10, 20, False), (12, 25, True)])
def test_one_with_a_value_for_less_than_half_is_told_after_more(known, asked, told):
    said = silence(books(*[KNOWN] * known, *[ABSTAINED] * (asked - known)))
    assert (said is not None) == told
    assert not told or f"for {known} of the {asked} questions" in said


def test_what_was_not_asked_or_is_the_policys_fault_is_not_the_judges_silence():
    ledger = AnnotationLedger(Config(batch_size=9), "helpful", "v1", lambda: 0.0)
    for number in range(9):
        ledger.ask(caption_question(f"caption {number}"))
    ledger.refuse(ledger.next_batch().id, Status.OVER_BUDGET, "no money is left")
    assert silence(ledger.ledger(), ended=True) is None
    assert silence(books(*[Answer(Status.POLICY_FAULT, cause="too long")] * 9), ended=True) is None
