"""Problems that are made: right by construction, and other words that say the same."""

import re

import pytest

from rewards.evaluation.consistency import order_consistency, pairs_in_both_orders
from rewards.evaluation.problem_sets import SETS, length, steps, sums
from rewards.evaluation.problems import Problem, in_other_words

NULL = float("nan")


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_right_by_construction_and_says_the_same_in_other_words(name):
    problems = SETS[name](30, 7)
    assert problems == SETS[name](30, 7) != SETS[name](30, 8) and len({one.prompt for one in problems}) > 15
    for problem in problems:
        for one in (problem, in_other_words(problem, "answers")):
            last = [re.findall(r"\d+", text)[-1] for text in one.answers]
            assert [said == problem.answer for said in last] == [bool(g) for g in problem.gold] or name == "steps"
            assert len(set(one.answers)) == len(one.answers) > 3
        asked = in_other_words(problem, "prompt")
        assert asked.prompt != problem.prompt and asked.answers == problem.answers
        assert sorted(re.findall(r"\d+", asked.prompt)) == sorted(re.findall(r"\d+", problem.prompt))


def test_exactly_one_solution_in_steps_has_no_slip():
    for problem in steps(40, 3):
        for one in (problem, in_other_words(problem, "answers")):
            slips = []
            for text in one.answers:
                sums_in_it = re.findall(r"(\d+) ([*+-]) (\d+) = (-?\d+)", text)
                worked = {"*": int.__mul__, "+": int.__add__, "-": int.__sub__}
                wrong = sum(worked[sign](int(a), int(b)) != int(c) for a, sign, b, c in sums_in_it)
                slips.append(wrong + (sums_in_it[-1][3] != re.findall(r"-?\d+", text)[-1]))
            assert slips[0] == 0 and all(slip == 1 for slip in slips[1:])


def test_the_right_answer_of_the_length_set_is_the_shortest():
    for problem in length(20, 0):
        assert len(problem.chosen[0]) * 5 < min(map(len, problem.rejected))


def test_problems_are_checked_and_without_other_words_they_are_wrapped():
    wrapped = in_other_words(Problem("Why?", ("a", "b"), ("c",)), "answers")
    assert wrapped.chosen == ("Here is my answer. a", "Here is my answer. b") and wrapped.prompt == "Why?"
    with pytest.raises(ValueError, match="0 rejected"):
        Problem("Why?", ("a",), ())
    with pytest.raises(ValueError, match="expected 3: prompt"):
        Problem("Why?", ("a",), ("b",), reworded=("x",))
    with pytest.raises(ValueError, match="got 'all'"):
        in_other_words(sums(1, 0)[0], "all")
    question = Problem("Why?", ("a",), ("b",), "r").ask("response", "a")
    assert question.fields == {"prompt": "Why?", "answer": "r", "reference": "r"}


def test_orders_worked_by_hand():
    # kept, turned, tie kept, NULL
    found = order_consistency([3, 3, 1, 1], [1, 1, 1, 0], [9, 0, 5, NULL], [8, 4, 5, 0])
    assert found.value == pytest.approx(2 / 3) and found.n == 3
    # right in both; first wins twice; a tie; NULL in one order
    pairs = pairs_in_both_orders([0.9, 0.8, 0.5, NULL], [0.1, 0.7, 0.5, 0.0])
    assert pairs.better_first.value == pytest.approx(2.5 / 3) and pairs.better_second.value == pytest.approx(2.5 / 4)
    assert pairs.both.value == pytest.approx(1 / 3)
    assert pairs.shift == pytest.approx((0.0 + 0.25 + 0.0) / 3)
    assert pairs_in_both_orders([NULL], [0.5]).shift is None
