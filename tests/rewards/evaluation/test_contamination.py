from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.evaluation.contamination import contamination, leak, split_question

QUESTIONS = ["add three to five and say what it is", "take two from nine and say what is left"]
ANSWERS = ["8", "7"]


def by_heart(texts):
    """Knows both questions with their answers."""
    whole = [f"{question} {answer}" for question, answer in zip(QUESTIONS, ANSWERS, strict=True)]
    return [next(one[len(text) :] for one in whole if one.startswith(text)) for text in texts]


def test_who_knows_a_set_by_heart_completes_all_of_it_and_who_does_not_nothing():
    known = contamination(QUESTIONS, ANSWERS, by_heart)
    fresh = contamination(QUESTIONS, ANSWERS, lambda texts: ["green apples"] * len(texts))
    assert list(known) == [0.8, 0.6, 0.4]
    for share in known:
        assert (known[share].exact.value, known[share].rouge_l, known[share].answered.value) == (1.0, 1.0, 1.0)
        assert (fresh[share].exact.value, fresh[share].rouge_l, fresh[share].answered.value) == (0.0, 0.0, 0.0)


def test_a_leak_by_hand():
    # The first goes on with the rest and more; of the second's four words two are there, in order: F1 is 2/4.
    found = leak(["b c", "w x y z"], ["12", "3"], ["b c d: 12.", "w q x q"])
    assert found.exact.value == 0.5 and found.rouge_l == pytest.approx((1 + 0.5) / 2)
    assert found.answered.value == 0.5
    assert leak(["+ -"], ["5"], ["+ -"]).rouge_l is None


@pytest.mark.parametrize(("text", "there"), [("it is 3", 1), ("13", 0), ("3.5", 0), ("0.3", 0), ("3.", 1), ("(3)", 1)])
def test_an_answer_within_another_number_is_none(text, there):
    assert leak(["x"], ["3"], [text]).answered.value == there


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=9), st.floats(0.01, 0.99))
def test_a_question_is_cut_in_two_and_nothing_is_lost(words, share):
    shown, rest = split_question(" ".join(words), share)
    assert f"{shown} {rest}".split() == words and shown and rest


def test_cut_by_share_of_words():
    assert split_question("a b c d e", 0.6) == ("a b c", "d e")
    assert split_question("a b", 0.1) == ("a", "b") and split_question("a b", 0.9) == ("a", "b")
    for question, share in (("a", 0.5), ("a b", 1.0)):
        with pytest.raises(ValueError, match="two words or more"):
            split_question(question, share)


def test_one_continuation_a_question():
    with pytest.raises(ValueError, match="0 continuations of 2"):
        contamination(QUESTIONS, ANSWERS, lambda texts: [])
    with pytest.raises(ValueError, match="2 questions and 1 answers"):
        contamination(QUESTIONS, ["8"], by_heart)
