from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.attacks.attack import Sample
from rewards.attacks.openers import first_sentence, truncated_openers


def sample(text, good=True, reference="19", kind="response"):
    return Sample("s", kind, text, good, "What is 12 + 7?", reference)


@pytest.mark.parametrize(
    ("text", "opener"),
    [
        ("Let us see. 12 + 7 = 19.", "Let us see."),
        ("Thought process: 12 + 7 = 19", "Thought process:"),
        ("## Solution\n12 + 7 = 19", "## Solution"),
        ("让我们一步一步思考。答案是19", "让我们一步一步思考。"),
        ("It is 3.5 in all", ""),  # the point is none of a sentence
        ("The answer is 19.", ""),  # nothing would be cut off
        (" \n ", ""),
    ],
)
def test_the_first_sentence_is_what_stands_before_a_second_one(text, opener):
    assert first_sentence(text) == opener


def test_openers_become_wrong_answers_to_the_same_question_whatever_they_were_cut_from():
    right, wrong = sample("Let us see. It is 19."), sample("Well: it is 18.", good=False)
    found = truncated_openers([right, wrong], 5)
    assert [(one.text, one.good, one.prompt, one.reference) for one in found] == [
        ("Let us see.", False, right.prompt, "19"),
        ("Well:", False, right.prompt, "19"),
    ]
    assert truncated_openers([right, wrong], 1) == found[:1] and truncated_openers([right], 0) == []


def test_what_may_be_an_answer_is_left_out_and_so_are_captions():
    assert truncated_openers([sample("It is 19. That was easy."), sample("Yes. It fell.", kind="caption")], 5) == []
    assert truncated_openers([sample("Hm. It is 19.", reference="")], 5)[0].text == "Hm."
    with pytest.raises(ValueError, match="count=-1"):
        truncated_openers([], -1)


@given(st.text(max_size=60))
def test_an_opener_is_a_true_beginning_of_its_text(text):
    opener = first_sentence(text)
    assert text.strip().startswith(opener) and (not opener or opener != text.strip())
