"""Juries and mixtures."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rewards.judges.judge import Answer, question
from rewards.judges.kinds.jury import combine, disagreement
from rewards.verdicts import Status

RESPONSE = question("response", ["x"], prompt="?")


class Says:
    """A judge that gives the same answers to everything."""

    def __init__(self, value, status=Status.OK, scores=(), by_text=None):
        self.fingerprint = f"says {value} {status} {scores}"
        self._value, self._status, self._scores, self._by_text = value, status, scores, by_text
        self.asked = []

    async def judge(self, questions):
        self.asked += questions
        if isinstance(self._value, Exception):
            raise self._value
        return [
            Answer(
                self._status,
                self._by_text[one.texts[0]] if self._by_text else self._value,
                "" if self._status is Status.OK else "broken",
                tokens=5,
                scores=self._scores,
            )
            for one in questions
        ]

    async def check(self):
        pass


def jury(rubric, ask, judges, *questions, **settings):
    names = [f"j{i}" for i in range(len(judges))]
    reliabilities = settings.pop("reliabilities", [1.0] * len(judges))
    members = [{"judge": name, "reliability": r} for name, r in zip(names, reliabilities, strict=True)]
    made = rubric("jury", members=members, **settings)
    return ask(made, None, *(questions or (RESPONSE,)), judges=dict(zip(names, judges, strict=True)))


def test_a_jury_by_hand(rubric, ask):
    judges = [Says(0.2), Says(0.9), Says(1.0)]
    for how, value in [("mean", 0.7), ("median", 0.9), ("majority", 1.0)]:
        assert jury(rubric, ask, judges, how=how).value == pytest.approx(value)
    weighted = jury(rubric, ask, judges, how="weighted", reliabilities=[2, 1, 1])
    assert weighted.value == pytest.approx((0.4 + 0.9 + 1.0) / 4)
    assert weighted.details["disagreement"]["range"] == pytest.approx(0.8)
    assert weighted.details["disagreement"]["minority"] == pytest.approx(1 / 3) and weighted.tokens == 15


def test_a_member_without_a_value_is_left_out_and_counted_never_a_zero(rubric, ask):
    answer = jury(rubric, ask, [Says(0.8), Says(None, Status.TIMEOUT), Says(0.6)])
    assert answer.value == pytest.approx(0.7) and answer.details["nulls"] == 1
    assert answer.details["members"][1]["status"] == "timeout"


def test_below_the_quorum_there_is_no_verdict(rubric, ask):
    answer = jury(rubric, ask, [Says(0.8), Says(None, Status.TIMEOUT), Says(None, Status.UNPARSEABLE)], quorum=2)
    assert (answer.status, answer.value) == (Status.TIMEOUT, None) and "1 of 3 members" in answer.cause


def test_a_member_that_raises_or_miscounts_is_a_null_and_the_others_decide(rubric, ask):
    class Miscounts(Says):
        async def judge(self, questions):
            return []

    answer = jury(rubric, ask, [Says(0.5), Says(RuntimeError("gone")), Miscounts(1.0)])
    assert answer.value == 0.5 and answer.details["nulls"] == 2
    assert "gone" in answer.details["members"][1]["cause"] and "0 answers" in answer.details["members"][2]["cause"]


def test_a_value_that_is_not_finite_is_left_out(rubric, ask):
    assert jury(rubric, ask, [Says(math.nan), Says(0.5)]).value == 0.5


def test_group_scores_are_combined_member_by_member(rubric, ask):
    judges = [Says(0.5, scores=(0.0, 1.0, None)), Says(0.5, scores=(0.5, 1.0, None))]
    group = question("group", ["a", "b", "c"])
    assert jury(rubric, ask, judges, group).scores == (0.25, 1.0, None)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7), st.sampled_from(["mean", "median", "majority", "weighted"]))
def test_a_combined_value_lies_between_the_members_or_names_their_side(values, how):
    value = combine(values, [1.0] * len(values), how)
    if how == "majority":
        assert value in (0.0, 0.5, 1.0)
    else:
        assert min(values) - 1e-12 <= value <= max(values) + 1e-12
    told = disagreement(values)
    assert told["minority"] <= 0.5 and (told["deviation"] == 0) == (told["range"] == 0)


def test_members_need_a_name_or_a_rubric_and_the_quorum_must_be_reachable(rubric, ask):
    for member in [{}, {"judge": "a", "rubric": "b.yaml"}, {"judge": "a", "model": "m"}]:
        with pytest.raises(ValidationError):
            rubric("jury", members=[member, {"judge": "b"}])
    with pytest.raises(ValidationError, match="quorum"):
        rubric("jury", members=[{"judge": "a"}, {"judge": "b"}], quorum=3)
    with pytest.raises(ValueError, match=r"judge 'a'; expected one of \['z'\]"):
        ask(rubric("jury", members=[{"judge": "a"}, {"judge": "b"}]), None, RESPONSE, judges={"z": Says(1)})


def mixture(rubric, ask, quality, constraints, *questions, **settings):
    named = {f"c{i}": judge for i, judge in enumerate(constraints)}
    made = rubric("mixture", quality={"judge": "q"}, constraints=[{"judge": name} for name in named], **settings)
    return ask(made, None, *(questions or (RESPONSE,)), judges={"q": quality, **named})


def test_quality_counts_only_where_every_constraint_holds(rubric, ask):
    assert mixture(rubric, ask, Says(0.8), [Says(1.0), Says(0.5)]).value == 0.8
    failed = mixture(rubric, ask, Says(0.8), [Says(1.0), Says(0.4)])
    assert failed.value == 0.0 and failed.details["failed"] == ["c1"] and failed.details["quality"] == 0.8
    assert mixture(rubric, ask, Says(0.8), []).value == 0.8


def test_a_constraint_without_a_value_neither_holds_nor_fails(rubric, ask):
    unknown = mixture(rubric, ask, Says(0.8), [Says(None, Status.TIMEOUT)])
    assert (unknown.status, unknown.value) == (Status.TIMEOUT, None)
    certain = mixture(rubric, ask, Says(0.8), [Says(None, Status.TIMEOUT), Says(0.0)])
    assert (certain.status, certain.value) == (Status.OK, 0.0)


def test_a_calibrated_value_compares_with_the_baseline_answer(rubric, ask):
    quality = Says(0.0, by_text={"x": 0.9, "usual": 0.4})
    one = question("response", ["x"], baseline="usual")
    answer = mixture(rubric, ask, quality, [], one, baseline="baseline", scale=0.25)
    assert answer.value == pytest.approx(1 / (1 + math.exp(-0.5 / 0.25)))
    same = question("response", ["usual"], baseline="usual")
    assert mixture(rubric, ask, quality, [], same, baseline="baseline").value == 0.5


def test_a_missing_baseline_is_no_value(rubric, ask):
    quality = Says(0.0, by_text={"x": 0.9, "": 0.1})
    answer = mixture(rubric, ask, quality, [], RESPONSE, baseline="baseline")
    assert answer.status is Status.JUDGE_FAULT and "baseline" in answer.cause


def test_a_constant_baseline_keeps_the_order_of_qualities(rubric, ask):
    values = {"a": 0.1, "b": 0.5, "c": 0.9, "usual": 0.3}
    asked = [question("response", [text], baseline="usual") for text in "abc"]
    found = mixture(rubric, ask, Says(0, by_text=values), [], *asked, baseline="baseline", scale=1e-4)
    assert [answer.value for answer in found] == sorted(answer.value for answer in found)


def test_a_mixture_leaves_no_judge_behind_where_another_fails(rubric, ask):
    class Slow(Says):
        async def judge(self, questions):
            await asyncio.sleep(0.01)
            return await super().judge(questions)

    slow = Slow(0.8)
    with pytest.raises(ConnectionError, match="gone"):
        mixture(rubric, ask, slow, [Says(ConnectionError("gone"))])
    assert slow.asked  # it was waited for
