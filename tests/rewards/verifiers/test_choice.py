"""Which letter was chosen, and when none was."""

from __future__ import annotations

import time

import pytest

from rewards.functions import PolicyFault
from rewards.verifiers.choice import choice_match, chosen


@pytest.mark.parametrize(
    ("completion", "letter"),
    [
        ("C", "C"),
        (" (b) ", "B"),
        ("D.", "D"),
        ("Thinking … A and B are wrong. The answer is C.", "C"),
        ("The correct answer is: (d)", "D"),
        ("so \\boxed{B}", "B"),
        ("\\boxed{\\text{A}}", "A"),
        ("<think>A? B?</think><answer> C </answer>", "C"),
        ("Final answer: **A**", "A"),
        ("my choice is b", "B"),
        ("the answer is A because of it", "A"),
        ("**Answer:** B", "B"),
        ("**Answer**: C", "C"),
        ("**Final answer:** (d)", "D"),
        ("The answer is C, and A is wrong.", "C"),
        ("\\boxed{C}, and A or B are wrong", "C"),
    ],
)
def test_a_choice_that_says_what_it_is_is_found(completion, letter):
    assert chosen(completion, 4) == letter


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "A dog barks.",
        "I think B or C",
        "A B C D",
        "The answer is A. The answer is B.",
        "\\boxed{A} \\boxed{B}",
        "\\boxed{A, B}",
        "\\boxed{(A) and (C)}",
        "The answer is A or B.",
        "Because",
        "the answer is a bit unclear",
    ],
)
def test_no_choice_and_several_choices_are_faults_of_the_policy(completion):
    with pytest.raises(PolicyFault, match="expected one"):
        chosen(completion, 4)


def test_a_letter_that_is_no_option_is_a_fault_of_the_policy():
    with pytest.raises(PolicyFault, match="got choice E"):
        chosen("E", 4)


def test_right_wrong_and_bad_references():
    assert choice_match("The answer is (c).", "C") == 1.0
    assert choice_match("The answer is (c).", "b") == 0.0
    assert choice_match("C", "") is None
    with pytest.raises(ValueError, match="got answer"):
        choice_match("C", "AB")


def test_hostile_texts_take_no_time():
    start = time.process_time()
    for text in ("answer is " * 100_000, "\\boxed{" * 100_000, "<answer>" + " " * 500_000, "(" * 500_000):
        with pytest.raises(PolicyFault):
            chosen(text, 4)
    assert time.process_time() - start < 20  # of this process: what is quadratic takes minutes
