"""Format and length rules."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.functions import PolicyFault
from rewards.verifiers import patterns
from rewards.verifiers.length import correct_and_short, overlong_punishment, words_within
from rewards.verifiers.patterns import pattern_match, search
from rewards.verifiers.tags import sections, tag_format, tag_format_parts

GOOD = "<think>2 + 2</think>\n<answer>4</answer>"


def test_patterns_are_found_or_not():
    assert pattern_match("see 42", r"\d+") == 1.0
    assert pattern_match("see 42", r"\d+", whole=True) == 0.0
    assert pattern_match("42", r"\d+", whole=True) == 1.0


def test_a_text_that_makes_a_pattern_explode_is_the_policys_fault(monkeypatch):
    monkeypatch.setattr(patterns.time, "thread_time", time.monotonic)  # the thread got a processor all the time
    with pytest.raises(PolicyFault, match="cannot be searched"):
        search(r"(a|aa)+$", "a" * 200 + "b", deadline_s=0.1)


def test_a_busy_machine_is_not_the_policys_fault(monkeypatch):
    monkeypatch.setattr(patterns.time, "thread_time", lambda: 0.0)  # the thread got no processor
    with pytest.raises(TimeoutError, match="busy"):
        search(r"(a|aa)+$", "a" * 200 + "b", deadline_s=0.1)


def test_a_wrong_pattern_is_not_the_policys_fault():
    with pytest.raises(ValueError, match="got the pattern"):
        search("(", "x")


def test_sections_between_tags():
    assert sections(GOOD) == {"think": "2 + 2", "answer": "4"}
    assert tag_format(GOOD) == 1.0
    assert tag_format_parts(GOOD) == 1.0


@pytest.mark.parametrize(
    ("completion", "parts"),
    [
        ("4", 0.0),
        ("<think>x</think>", 0.5),
        (GOOD + " bye", 1.0),
        ("hi " + GOOD, 1.0),
        ("<answer>4</answer><think>x</think>", 1.0),
        (GOOD + "<answer>5</answer>", 0.5),
        ("<think>a</think><think>b</think><answer>4</answer>", 0.5),
        ("<think></think><answer>4</answer>", 1.0),
        ("</think>x<think><answer>4</answer>", 1.0),
    ],
)
def test_what_is_not_strictly_of_the_form_gives_nothing(completion, parts):
    assert tag_format(completion) == 0.0
    assert tag_format_parts(completion) == parts


@given(
    st.text(max_size=20).filter(lambda t: "<" not in t and t.strip()),
    st.text(max_size=20).filter(lambda t: "<" not in t),
)
def test_whatever_is_put_between_tags_comes_out(thought, said):
    assert sections(f"<think>{thought}</think><answer>{said}</answer>") == {
        "think": thought.strip(),
        "answer": said.strip(),
    }


def test_overlong_punishment_is_equation_13_of_dapo():
    # L_max 20480, L_cache 4096, as in the paper.
    values = [overlong_punishment(n, 20480, 4096) for n in (0, 16384, 17408, 18432, 20480, 20481, 99999)]
    assert values == pytest.approx([0.0, 0.0, -0.25, -0.5, -1.0, -1.0, -1.0])
    with pytest.raises(ValueError, match="buffer"):
        overlong_punishment(1, 10, 0)


@given(st.integers(0, 500), st.integers(0, 500))
def test_more_tokens_never_cost_less(one, other):
    low, high = sorted((one, other))
    assert overlong_punishment(low, 300, 100) >= overlong_punishment(high, 300, 100)


def test_words_within_bounds():
    assert words_within("one two three", at_least=3, at_most=3) == 1.0
    assert words_within("one two three", at_most=2) == 0.0
    assert words_within("", at_least=1) == 0.0
    with pytest.raises(ValueError, match="at_most"):
        words_within("x", at_least=3, at_most=2)


CORRECT = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
LENGTHS = np.array([[10, 20, 30, 5], [10, 20, 30, 40], [1, 2, 3, 4]])


def test_correct_and_short_by_hand():
    # The first group is the best third. Its correct lengths have mean 20 and standard deviation sqrt(200/3).
    z = 10 / np.sqrt(200 / 3)
    sigmoid = 1 / (1 + np.exp(np.array([z, 0.0, -z])))
    expected = np.array([[*(1 - 0.2 * sigmoid), 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(correct_and_short(CORRECT, LENGTHS, share=1 / 3), expected)


def test_share_zero_is_the_plain_reward_and_share_one_reaches_every_group():
    np.testing.assert_array_equal(correct_and_short(CORRECT, LENGTHS, share=0), CORRECT.astype(float))
    everywhere = correct_and_short(CORRECT, LENGTHS, share=1)
    assert everywhere[1, 0] == pytest.approx(0.9)  # one correct answer: z = 0, half of the weight
    assert not everywhere[2].any()


@given(
    st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=5), st.floats(0, 1), st.floats(0, 1)
)
def test_a_wrong_answer_gets_nothing_and_a_right_one_never_less_than_one_minus_the_weight(correct, share, weight):
    lengths = np.arange(len(correct) * 4).reshape(-1, 4) % 7
    rewards = correct_and_short(correct, lengths, share, weight)
    right = np.array(correct)
    assert not rewards[~right].any()
    assert (rewards[right] >= 1 - weight - 1e-12).all()
    assert (rewards <= 1).all()
