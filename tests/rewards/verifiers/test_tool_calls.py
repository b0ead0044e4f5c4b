"""Tool calls: identities of ToolRL and numbers by hand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.functions import PolicyFault
from rewards.verifiers.tool_calls import calls_of, tool_call_match, tool_call_score

WANTED = [
    {"name": "search", "arguments": {"query": "cats", "top": 3}},
    {"name": "add", "arguments": {"x": 1, "y": 2}},
    {"name": "add", "arguments": {"x": 5, "y": 2}},
]
values = st.integers(0, 2) | st.sampled_from(["u", "v"]) | st.booleans()
call = st.fixed_dictionaries(
    {"name": st.sampled_from(["f", "g"]), "arguments": st.dictionaries(st.sampled_from("xyz"), values, max_size=3)}
)


def written(calls, think="hm"):
    return f"<think>{think}</think>\n<tool_call>\n" + "\n".join(map(json.dumps, calls)) + "\n</tool_call>"


def test_a_perfect_call_gives_four_and_an_unreadable_one_minus_three():
    assert tool_call_score(written(WANTED), WANTED) == pytest.approx(4.0)
    assert tool_call_score("I would search for cats.", WANTED) == -3.0
    assert tool_call_score("<think>x</think><tool_call>search(cats)</tool_call>", WANTED) == -2.0  # the form is right


def test_partial_credit_by_hand():
    # One of three calls, its one argument of two right: names 1/3; argument names 1/2, values 1. S_max = 1 + 3 * 3.
    calls = [{"name": "search", "arguments": {"query": "cats"}}]
    assert tool_call_score(written(calls), WANTED) == pytest.approx(1 + 6 * (1 / 3 + 1 / 2 + 1) / 10 - 3)


def test_calls_of_one_name_are_matched_for_the_best():
    assert tool_call_score(written([WANTED[2], WANTED[1], WANTED[0]]), WANTED) == pytest.approx(4.0)


@pytest.mark.slow
@given(st.lists(call, min_size=1, max_size=4), st.lists(call, min_size=1, max_size=3), st.randoms())
def test_order_of_calls_and_arguments_does_not_count(made, wanted, chance):
    shuffled = [{**c, "arguments": dict(reversed(c["arguments"].items()))} for c in chance.sample(made, len(made))]
    assert tool_call_score(written(shuffled), wanted) == pytest.approx(tool_call_score(written(made), wanted))


@given(st.lists(call, min_size=1, max_size=4), st.lists(call, min_size=1, max_size=3))
def test_scores_lie_between_minus_three_and_four_and_the_top_is_a_match(made, wanted):
    score = tool_call_score(written(made), wanted)
    assert -3.0 <= score <= 4.0 + 1e-9
    if tool_call_match(written(made), wanted, ordered=False) == 1.0:
        assert score == pytest.approx(4.0)


def test_an_exact_match_may_or_may_not_mind_the_order():
    swapped = [WANTED[1], WANTED[0], WANTED[2]]
    assert tool_call_match(written(WANTED), WANTED) == 1.0
    assert tool_call_match(written(swapped), WANTED) == 0.0
    assert tool_call_match(written(swapped), WANTED, ordered=False) == 1.0
    assert tool_call_match(written(WANTED[:2]), WANTED, ordered=False) == 0.0
    assert tool_call_match(written([*WANTED, WANTED[0]]), WANTED, ordered=False) == 0.0


def test_true_is_not_one():
    assert (
        tool_call_match(written([{"name": "f", "arguments": {"x": True}}]), [{"name": "f", "arguments": {"x": 1}}])
        == 0.0
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<tool_call></tool_call>",
        "<tool_call>{}</tool_call>",
        '<tool_call>{"name": 1}</tool_call>',
        "<tool_call>x",
        '<tool_call>{"name": "f", "arguments": []}</tool_call>',
        "<tool_call>" + "{}\n" * 101 + "</tool_call>",
    ],
)
def test_what_is_no_call_is_the_policys_fault(text):
    with pytest.raises(PolicyFault):
        calls_of(text)


def test_a_wrong_reference_is_not_the_policys_fault():
    for wanted in ([], [{"tool": "f"}]):
        with pytest.raises(ValueError, match="got"):
            tool_call_score(written(WANTED), wanted)
