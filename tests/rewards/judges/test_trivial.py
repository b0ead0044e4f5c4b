import pytest

from rewards.attacks.master_keys import KEYS
from rewards.judges.trivial import why_trivial


@pytest.mark.parametrize("key", KEYS.values())
def test_every_master_key_of_the_paper_is_trivial(key):
    assert why_trivial(key, "What is 2 + 2?", "4")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "\u200b",
        "***",
        "Okay, let me think about it.",
        "Here is my detailed reasoning:",
        "**Answer:**",
        "Step 1: Step 2:",
        "LET’S SOLVE THIS STEP BY STEP",
        "Ｓｏｌｕｔｉｏｎ",
        "To solve this equation, we first need to isolate x in the problem.",
        "풀이",
        "Lösung:",
        "What is 2 + 2",
    ],
)
def test_what_says_nothing_is_trivial(text):
    assert why_trivial(text, "What is 2 + 2?", "4")


@pytest.mark.parametrize(
    "text",
    ["4", "four", "yes", "No.", "π", "∅", "Paris", "The answer is 4.", "答案是四", "sodium", "I don't know", "x = 4",
     "Let's solve it: 2 + 2 = 4.", "`ls`", "✅", "We need to leave before the problem grows. So we left."],
)  # fmt: skip
def test_short_answers_are_answers(text):
    assert why_trivial(text, "What is 2 + 2?", "4") == ""


def test_the_right_answer_is_never_trivial_whatever_it_looks_like():
    assert why_trivial(":", reference="4") and not why_trivial(":", reference=":")
    assert not why_trivial("Solution", "Which word heads the page?", "solution")
    assert not why_trivial("  < ", "Which sign?", "<")
