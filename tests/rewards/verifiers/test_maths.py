"""Mathematical equivalence in forks that are killed when they are late."""

from __future__ import annotations

import asyncio
import os
import time

import psutil
import pytest

from rewards.functions import PolicyFault
from rewards.verdicts import Status
from rewards.verifiers import maths
from rewards.verifiers.maths import Limits, comparer, maths_match, outcome


def ask(completion, answer, **limits):
    return asyncio.run(maths_match(completion, answer, **limits))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("completion", "answer", "value"),
    [
        ("The answer is \\boxed{\\frac{1}{2}}.", "0.5", 1.0),
        ("so $x = 3$", "3", 1.0),
        ("\\boxed{x^2 + 2x + 1}", "(x+1)^2", 1.0),
        ("\\boxed{\\{1, 2, 3\\}}", "\\{3, 1, 2\\}", 1.0),
        ("\\boxed{[1, 2)}", "[1, 2)", 1.0),
        ("\\boxed{(1, 2)}", "[1, 2]", 0.0),
        ("\\boxed{\\sqrt{8}}", "2\\sqrt{2}", 1.0),
        ("\\boxed{3}", "4", 0.0),
        ("\\boxed{2e-8}", "2 \\cdot 10^{-8}", 1.0),
        ("\\boxed{0.0002}", "2E-4", 1.0),
        ("so $v = 3.0e8$.", "300000000", 1.0),
        ("\\boxed{2e-8}", "2e-8", 1.0),
        ("\\boxed{2e-8}", "2 \\cdot e - 8", 1.0),
        ("\\boxed{2e-8}", "2 \\cdot 10^{-7}", 0.0),
        ("\\boxed{2e-8}", "0", 0.0),
        ("\\boxed{2e^{3}}", "2000", 0.0),
    ],
)
def test_equivalent_answers(completion, answer, value):
    assert ask(completion, answer) == value


def test_no_reference_abstains_a_bad_one_is_our_fault_and_no_answer_is_the_policys():
    assert ask("\\boxed{1}", " ") is None
    with pytest.raises(ValueError, match="reference cannot be read"):
        ask("\\boxed{1}", "\\frac{")
    with pytest.raises(PolicyFault, match="no mathematical answer"):
        ask("I do not know", "1")


@pytest.mark.slow
@pytest.mark.parametrize("hostile", ["\\boxed{9^{9^{9^9}}}", "9**9**9**9", "\\boxed{10000000!}"])
def test_hostile_answers_are_killed_and_leave_nothing(hostile):
    ask("\\boxed{1}", "1")  # the algebra is loaded
    with pytest.raises(PolicyFault, match="cannot be compared"):
        ask(hostile, "1", cpu_s=1)
    assert not comparer_process().children(recursive=True)
    assert ask("\\boxed{2}", "2") == 1.0


@pytest.mark.slow
def test_a_hostile_answer_does_not_hold_up_the_others():
    async def together():
        slow = asyncio.ensure_future(maths_match("9**9**9**9", "1", cpu_s=2))
        await asyncio.sleep(0.05)
        value = await maths_match("\\boxed{1}", "1")
        still_at_it = not slow.done()
        with pytest.raises(PolicyFault):
            await slow
        return value, still_at_it

    if (os.cpu_count() or 1) < 2:
        pytest.skip("one comparison at a time on one core")
    assert asyncio.run(together()) == (1.0, True)


def test_when_its_process_is_killed_the_next_question_starts_another():
    ask("\\boxed{1}", "1")
    before = comparer()
    comparer_process().kill()
    deadline = time.monotonic() + 120
    while before.alive and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ask("\\boxed{1}", "1") == 1.0
    assert comparer() is not before


def reply(**parts):
    return {"number": 0, "understood": True, "said": "", "late": False, "cpu_s": 0.0, **parts}


def test_whose_fault_it_is_follows_from_who_used_the_time():
    limits = Limits(cpu_s=2)
    with pytest.raises(PolicyFault, match="more than 2 s"):
        outcome(reply(cpu_s=1.99), limits)
    with pytest.raises(TimeoutError, match="ask again"):
        outcome(reply(late=True, cpu_s=0.1), limits)
    with pytest.raises(PolicyFault, match="ends the process"):
        outcome(reply(), limits)  # the fork died over the policy's answer
    with pytest.raises(ValueError, match="correct the data"):
        outcome(reply(understood=False, late=True, cpu_s=2.0), limits)
    with pytest.raises(TimeoutError, match="ask again"):
        outcome(reply(understood=False, late=True, cpu_s=0.1), limits)  # it had not come to the reference yet
    assert outcome(reply(said="true"), limits) == 1.0


def test_its_version_is_the_same_before_and_after_the_first_question(monkeypatch):
    monkeypatch.setattr(maths, "_running", type(maths._running)())
    before = maths_match.configured(cpu_s=4).version
    monkeypatch.setattr(maths, "_running", type(maths._running)([object()]))
    assert maths_match.configured(cpu_s=4).version == before


def test_as_a_reward_its_failures_have_statuses_and_no_values():
    columns = {"completion": ["\\boxed{1}", "none", "\\boxed{2}"], "answer": ["1", "1", ""]}
    answers = asyncio.run(maths_match.answer(columns))
    assert [a.status for a in answers] == [Status.OK, Status.POLICY_FAULT, Status.UNPARSEABLE]
    assert [a.value for a in answers] == [1.0, None, None]


def comparer_process():
    return psutil.Process(comparer()._process.pid)
