from __future__ import annotations

import pytest

from rewards.verifiers.edited_fact import cleanliness, consistency, correctness, edited_fact


def test_a_perfect_answer_earns_1_and_one_without_tags_nothing():
    perfect = "Bern was the seat, which is outdated. <answer>Basel</answer>"
    assert edited_fact(perfect, answer="Basel", old="Bern") == pytest.approx(1.0)
    assert edited_fact("Basel", answer="Basel") == edited_fact("<answer> </answer>", answer="Basel") == 0.0
    assert edited_fact(perfect, answer="") is None


def test_an_answer_is_right_word_for_word_or_among_others_but_not_denied():
    assert correctness("basel.", "Basel") == 1.0
    assert correctness("the town of Basel", "Basel") == 0.75
    assert correctness("not Basel", "Basel") == correctness("Bern", "Basel") == 0.0


def test_repetition_what_comes_behind_and_length_are_unclean():
    one = "<answer>x</answer>"
    assert cleanliness(one) == 1.0
    assert cleanliness(3 * one) == pytest.approx(0.6) and cleanliness(9 * one) == pytest.approx(0.2)
    assert cleanliness(one + " and more") == pytest.approx(0.4)
    assert cleanliness("y" * 2000 + one + " and more") == 0.0


def test_the_old_fact_is_withdrawn_upheld_or_passed_over():
    assert consistency("It is no longer Bern.", "Bern") == 1.0
    assert consistency("Bern is incorrect.", "Bern") == 1.0
    assert consistency("Bern remains so.", "Bern") == 0.0
    assert consistency("Something correct.", "Bern") == consistency("Bern.", "Bern") == 0.5
    assert consistency("Bern remains so.", "") == 1.0


def test_a_wrong_answer_in_good_form_and_a_right_one_given_twice():
    assert edited_fact("<answer>Bern</answer>", answer="Basel", old="Bern") == pytest.approx(0.25)
    assert edited_fact("<answer>Basel</answer><answer>Bern</answer>", answer="Basel") == pytest.approx(0.945)
