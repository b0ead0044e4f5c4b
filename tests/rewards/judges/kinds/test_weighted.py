import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rewards.judges.judge import question
from rewards.verdicts import Status

RESPONSE = question("response", ["an answer"])
CRITERIA = [{"id": "right", "text": "It is right.", "weight": 3}, {"id": "short", "text": "It is short."}]
RULES = [{"id": "polite", "text": "It is polite."}]


def says(**probabilities):
    """A model that holds each criterion, by its id, for true with a probability."""

    def choose(chat, choices):
        asked = chat[1]["content"].rsplit("\n\n", 1)[-1]
        p = next(value for name, value in probabilities.items() if asked.startswith(f"{name}:"))
        return p if isinstance(p, tuple) else (p, 1 - p)

    return choose


def test_the_value_is_the_weighted_mean_of_the_criteria(rubric, scripted, ask):
    answer = ask(rubric("rubric", criteria=CRITERIA), scripted(says(right=0.9, short=0.2)), RESPONSE)
    assert answer.value == pytest.approx((3 * 0.9 + 0.2) / 4)
    assert answer.details["criteria"] == {"right": pytest.approx(0.9), "short": pytest.approx(0.2)}


def test_hard_criteria_count_by_the_likelier_answer(rubric, scripted, ask):
    answer = ask(rubric("rubric", criteria=CRITERIA, soft=False), scripted(says(right=0.9, short=0.2)), RESPONSE)
    assert answer.value == 0.75


def test_a_broken_rule_vetoes_whatever_the_criteria_say(rubric, scripted, ask):
    judged = rubric("rubric", criteria=CRITERIA, rules=RULES)
    answer = ask(judged, scripted(says(right=1.0, short=1.0, polite=0.4)), RESPONSE)
    assert answer.value == 0.0 and answer.status is Status.OK
    assert answer.details["broken_rules"] == ["polite"] and answer.details["unvetoed"] == 1.0
    assert ask(judged, scripted(says(right=1.0, short=1.0, polite=0.6)), RESPONSE).value == 1.0


def test_a_graded_criterion_is_worth_its_expected_grade(rubric, scripted, ask):
    judged = rubric("rubric", criteria=[{"id": "right", "text": "It is right.", "levels": 3}])
    assert ask(judged, scripted(says(right=(0.0, 0.5, 0.5))), RESPONSE).value == pytest.approx(0.75)


@pytest.mark.parametrize("broken", ["right", "polite"])
def test_a_criterion_or_rule_without_an_answer_leaves_no_value(rubric, scripted, ask, broken):
    told = {"right": 1.0, "short": 1.0, "polite": 1.0, broken: (math.nan, math.nan)}
    model = scripted(says(**told))
    answer = ask(rubric("rubric", criteria=CRITERIA, rules=RULES), model, RESPONSE)
    assert (answer.status, answer.value) == (Status.JUDGE_FAULT, None)
    assert len(model.chosen) == 3 and answer.tokens == 30  # what was asked beside it is waited for and counted


@given(st.lists(st.tuples(st.floats(0.1, 10), st.booleans()), min_size=1, max_size=6))
def test_the_value_is_one_exactly_where_all_criteria_hold_and_zero_where_none_does(items):
    total = math.fsum(weight for weight, _ in items)
    value = math.fsum(weight for weight, holds in items if holds) / total
    assert (value == pytest.approx(1)) == all(holds for _, holds in items)
    assert (value == 0) == (not any(holds for _, holds in items))


def test_one_criterion_is_a_binary_reward(rubric, scripted, ask):
    judged = rubric("rubric", criteria=CRITERIA[:1], soft=False)
    assert [ask(judged, scripted(says(right=p)), RESPONSE).value for p in (0.9, 0.1)] == [1.0, 0.0]


def test_criteria_come_after_the_text_so_that_it_is_read_once(rubric, scripted, ask):
    model = scripted(says(right=0.9, short=0.2, polite=1.0))
    ask(rubric("rubric", criteria=CRITERIA, rules=RULES), model, RESPONSE)
    beginnings = {chat[0]["content"] + chat[1]["content"].rsplit("\n\n", 1)[0] for chat, _ in model.chosen}
    assert len(model.chosen) == 3 and len(beginnings) == 1


def test_ids_that_stand_twice_and_weights_that_are_none_are_refused(rubric):
    with pytest.raises(ValidationError, match="more than once"):
        rubric("rubric", criteria=[CRITERIA[0], CRITERIA[0]])
    for weight in (0, -1, math.inf, math.nan):
        with pytest.raises(ValidationError):
            rubric("rubric", criteria=[{**CRITERIA[0], "weight": weight}])
