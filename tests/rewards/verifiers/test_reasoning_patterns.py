"""Phrases of thinking, by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.verifiers.reasoning_patterns import PHRASES, reasoning_patterns, repeated_share

FOUR = ["we know that", "let me check", "therefore", "first, I need to"]


def test_each_phrase_counts_once_and_case_and_punctuation_do_not_matter():
    assert reasoning_patterns("It is 5.", FOUR) == 0.0
    assert reasoning_patterns("First I need to see: we KNOW that, we know that.", FOUR) == 0.5
    assert reasoning_patterns("Let me check. Therefore, we know that first — I need to stop.", FOUR) == 1.0
    assert reasoning_patterns("thereforebears", FOUR) == 0.0  # whole words


def test_what_one_is_worth_may_be_said_and_all_together_are_worth_one_at_most():
    assert reasoning_patterns("therefore", FOUR, each=0.025) == 0.025
    assert reasoning_patterns("therefore we know that", FOUR, each=0.9) == 1.0


def test_only_thoughts_count():
    said = "we know that </think> let me check therefore"
    assert reasoning_patterns(said, FOUR) == 0.25
    assert reasoning_patterns(said, FOUR, until="") == 0.75


def test_repeating_oneself_costs_its_share():
    # pairs of words: (therefore therefore) thrice, of which two were said before
    assert repeated_share(["therefore"] * 4, 2) == pytest.approx(2 / 3)
    assert reasoning_patterns("therefore " * 4, FOUR, ngram=2) == 0.0
    assert reasoning_patterns("therefore we know that " * 2, FOUR, ngram=4) == pytest.approx(0.5 - 1 / 5)
    assert repeated_share(["a"], 2) == 0.0


@given(st.text(max_size=200))
def test_it_is_between_nothing_and_one(text):
    assert 0.0 <= reasoning_patterns(text) <= 1.0


def test_there_must_be_something_to_look_for():
    assert len(set(PHRASES)) == len(PHRASES) == 20
    for phrases, ngram in (([], 20), (["…"], 20), (FOUR, 0)):
        with pytest.raises(ValueError, match="expected some with words"):
            reasoning_patterns("x", phrases, ngram=ngram)
