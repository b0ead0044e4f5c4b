import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rewards.annotation.contract import checked
from rewards.judges.judge import question
from rewards.judges.kinds.checklist import Checklist, Mark, credit
from rewards.verdicts import Status

ITEMS = [
    {"id": "found", "text": "It found the order.", "weight": 1},
    {"id": "refunded", "text": "It paid back.", "weight": 3, "after": ["found"]},
]
STEPS = ["look up order 7", "order 7 is there", "refund of 12 EUR sent"]


def checklist(items=ITEMS, **settings):
    return Checklist.model_validate({"id": "c", "version": 1, "kind": "checklist", "items": items, **settings})


def marks(**quotes):
    return {name: Mark(quote is not None, quote or "") for name, quote in quotes.items()}


def test_all_items_with_evidence_give_exactly_one_and_each_step_gets_its_part():
    answer = credit(checklist(), marks(found="order 7 is there", refunded="refund of 12 EUR"), STEPS)
    assert answer.value == 1.0 and answer.scores == (0.0, 0.25, 0.75)


def test_a_quote_that_does_not_stand_in_the_text_proves_nothing():
    answer = credit(checklist(), marks(found="order 8 is there", refunded="refund of 12 EUR"), STEPS)
    assert answer.value == 0.0 and answer.details["unproved"] == ["found"]
    assert answer.details["items"]["refunded"]["credited_at"] is None  # it comes after one that is not done


def test_an_item_counts_once_at_its_first_step_and_not_before_what_it_depends_on():
    steps = ["refund of 12 EUR sent", "order 7 is there", "refund of 12 EUR sent"]
    answer = credit(checklist(), marks(found="order 7 is there", refunded="refund of 12 EUR"), steps)
    assert answer.scores == (0.0, 1.0, 0.0) and answer.value == 1.0


def test_an_item_that_is_not_marked_done_earns_nothing_whatever_it_quotes():
    told = {"found": Mark(False, "order 7"), "refunded": Mark(False, "refund")}
    assert credit(checklist(), told, STEPS).value == 0.0


@pytest.mark.parametrize("quote", ["", " ", "\n", ":", "e"])
def test_an_empty_or_tiny_quote_proves_nothing(quote):
    assert credit(checklist(ITEMS[:1]), marks(found=quote), STEPS).value == 0.0


def test_a_short_text_may_be_quoted_whole_and_spaces_and_case_do_not_matter():
    assert credit(checklist(ITEMS[:1]), marks(found="42"), ["42"]).value == 1.0
    assert credit(checklist(ITEMS[:1]), marks(found="Order 7  IS\nthere"), STEPS).value == 1.0


@given(st.lists(st.tuples(st.floats(0.1, 5), st.booleans()), min_size=1, max_size=6))
def test_the_value_is_the_share_of_the_weight_that_is_proved(items):
    rows = [{"id": f"i{n}", "text": "x", "weight": weight} for n, (weight, _) in enumerate(items)]
    told = {f"i{n}": Mark(True, "the text" if holds else "something else") for n, (_, holds) in enumerate(items)}
    answer = credit(checklist(rows), told, ["here is the text"])
    share = sum(weight for weight, holds in items if holds) / sum(weight for weight, _ in items)
    assert answer.value == pytest.approx(share) == pytest.approx(sum(answer.scores))


def test_eleven_elevenths_are_one():
    rows = [{"id": f"i{n}", "text": "x"} for n in range(11)]  # 1 / 11, eleven times, is 1.0000000000000002 in floats
    answer = credit(checklist(rows), {f"i{n}": Mark(True, "the text") for n in range(11)}, ["here is the text"])
    assert checked(answer).status is Status.OK and answer.scores == (1.0,)


def test_one_item_and_one_step_is_a_binary_reward():
    for quote, value in [("refund", 1.0), (None, 0.0)]:
        assert credit(checklist(ITEMS[:1]), marks(found=quote), STEPS[2:]).value == value


def test_the_model_fills_a_form_with_one_mark_an_item(rubric, scripted, ask):
    reply = {"found": {"evidence": "order 7", "done": True}, "refunded": {"evidence": "", "done": False}}
    model = scripted(write=lambda chat, schema: reply)
    answer = ask(rubric("checklist", items=ITEMS), model, question("trajectory", STEPS))
    assert answer.value == 0.25 and answer.scores == (0.25, 0.0, 0.0) and answer.tokens == 20
    ((_, schema),) = model.written
    assert schema["required"] == ["found", "refunded"] and schema["additionalProperties"] is False


@pytest.mark.parametrize(
    "reply", ["", "not JSON", "{}", '{"found": true}', '{"found": {"evidence": 3, "done": true}, "refunded": 1}', "NaN"]
)
def test_a_reply_that_is_no_checklist_is_unparseable_and_no_value(rubric, scripted, ask, reply):
    answer = ask(rubric("checklist", items=ITEMS), scripted(write=lambda *_: reply), question("response", ["x"]))
    assert (answer.status, answer.value) == (Status.UNPARSEABLE, None) and "expected JSON" in answer.cause


def test_items_that_depend_on_later_ones_or_stand_twice_are_refused():
    with pytest.raises(ValidationError, match="stand before it"):
        checklist(ITEMS[::-1])
    with pytest.raises(ValidationError, match="twice"):
        checklist([ITEMS[0], ITEMS[0]])
