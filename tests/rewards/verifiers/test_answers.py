"""SQuAD's normalisation, exact match and F1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.verifiers.answers import answer_f1, answer_match, normalised, word_f1


def test_case_punctuation_articles_and_space_count_for_nothing():
    assert normalised("The  Eiffel-Tower, a (tower)!") == "eiffeltower tower"
    assert answer_match("The cat.", "a CAT") == 1.0
    assert answer_match("another cat", "cat") == 0.0


def test_f1_of_words_by_hand():
    # 2 words shared; 3 written, 4 wanted: precision 2/3, recall 1/2, F1 = 4/7.
    assert word_f1("big red dog", "the old red dog barks") == pytest.approx(4 / 7)
    assert word_f1("dog dog", "dog") == pytest.approx(2 / 3)
    assert answer_f1("red dog", ["cat", "dog"]) == pytest.approx(2 / 3)


def test_what_normalisation_leaves_nothing_of_is_compared_as_it_stands():
    assert answer_match("", "A") == answer_match("...", "A") == answer_match("-", "+") == 0.0
    assert answer_match(" a ", "A") == answer_match("+", "+") == 1.0
    assert answer_f1("", "A") == word_f1("-", "+") == 0.0


def test_two_empty_answers_agree_and_no_reference_abstains():
    assert word_f1(" ", "") == 1.0
    assert word_f1("the", "") == 0.0
    assert word_f1("dog", "a") == 0.0
    assert answer_f1("dog", []) is None
    assert answer_match("dog", []) is None


@given(st.text(max_size=40), st.text(max_size=40))
def test_f1_is_symmetric_and_at_least_exact_match(one, other):
    value = word_f1(one, other)
    assert 0.0 <= value <= 1.0
    assert value == word_f1(other, one)
    assert value >= answer_match(one, other)


@given(st.text(max_size=40))
def test_normalising_twice_changes_nothing_but_what_the_first_time_uncovered(text):
    once = normalised(text)
    assert normalised(once) in (once, normalised(normalised(once)))
