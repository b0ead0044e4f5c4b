from __future__ import annotations

import pytest

from envs.captions import caption_id
from rewards.questions import caption_question, judged_texts, pair_question, pair_subject
from rewards.verdicts import Status, Verdict


def test_a_captions_subject_is_its_id() -> None:
    question = caption_question("You see a key.")
    assert question.subject == str(caption_id("You see a key."))
    assert (question.kind, question.texts) == ("caption", ("You see a key.",))


def test_a_pair_and_its_swap_are_two_questions() -> None:
    one, other = pair_question("You see a key.", "It is dark."), pair_question("It is dark.", "You see a key.")
    assert one.subject != other.subject
    assert one.subject == pair_subject(caption_id("You see a key."), caption_id("It is dark."))
    assert one.texts == other.texts[::-1]


def test_a_pair_verdict_gives_its_captions_back() -> None:
    question = pair_question("You see a key.", "It is dark.")
    text = "\n".join(question.texts)
    verdict = Verdict(question.subject, "pair", "rank", "v1", None, Status.UNPARSEABLE, "judge", text=text)
    assert judged_texts(verdict) == question.texts


@pytest.mark.parametrize(("first", "second"), [("a", "a"), ("", "a"), ("a", ""), ("a\nb", "c")])
def test_what_cannot_be_compared_is_refused(first: str, second: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        pair_question(first, second)


def test_a_step_without_caption_is_not_judged() -> None:
    with pytest.raises(ValueError, match="empty caption"):
        caption_question("")
