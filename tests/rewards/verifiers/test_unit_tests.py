"""Code rewarded by its tests, through the sandbox where this machine has one."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.functions import PolicyFault
from rewards.sandbox.session import sandbox_works
from rewards.sandbox.tiers import Config
from rewards.verdicts import Status
from rewards.verifiers.unit_tests import (
    all_passed,
    code_of,
    difficulty_weights,
    outputs_match,
    share_passed,
)

needs_sandbox = pytest.mark.skipif(not sandbox_works(Config()), reason="no sandbox of tier process on this machine")
TESTS = ["assert double(2) == 4", "assert double(-3) == -6", "assert double('ab') == 'abab'"]


def judge(function, **columns):
    (answer,) = asyncio.run(function.answer({name: [value] for name, value in columns.items()}))
    return answer


def test_code_is_what_stands_in_the_last_fence():
    assert code_of("x = 1") == "x = 1"
    assert code_of("Look:\n```python\nx = 1\n```\nand\n```\ny = 2\n```\n") == "y = 2\n"
    assert code_of("```py\nx = 1\n```") == "x = 1\n"
    for nothing in ("", "  \n", "```python\n\n```"):
        with pytest.raises(PolicyFault, match="no code"):
            code_of(nothing)


@pytest.mark.slow
@needs_sandbox
def test_the_share_of_passed_tests_and_the_tier_are_in_the_answer():
    half = judge(share_passed, completion="def double(x):\n    return x + x if x != 'ab' else 1", tests=TESTS)
    assert (half.status, half.value) == (Status.OK, pytest.approx(2 / 3))
    assert half.details["tier"] == "process"
    assert half.details["passed"] == [True, True, False]
    assert judge(all_passed, completion="def double(x): return 2 * x", tests=TESTS).value == 1.0
    assert judge(all_passed, completion="def double(x): return 4", tests=TESTS).value == 0.0


@pytest.mark.slow
@needs_sandbox
@pytest.mark.parametrize(
    "completion", ["def double(x:", "import os\nos._exit(0)", "```python\n```", "def double(x):\n    raise SystemExit"]
)
def test_code_that_cannot_be_tested_is_the_policys_fault_and_has_no_value(completion):
    answer = judge(share_passed, completion=completion, tests=TESTS)
    assert (answer.status, answer.value) == (Status.POLICY_FAULT, None)


@pytest.mark.slow
@needs_sandbox
def test_broken_tests_and_an_absent_tier_are_faults_of_the_judge():
    for columns in (
        {"tests": ["assert double("]},
        {"tests": []},
        {"tests": TESTS, "sandbox": {"tier": "bubblewrap", "interpreter": "/nowhere/python"}},
    ):
        answer = judge(share_passed, completion="def double(x): return 2 * x", **columns)
        assert (answer.status, answer.value) == (Status.JUDGE_FAULT, None)


@pytest.mark.slow
@needs_sandbox
def test_outputs_are_compared_outside():
    program = "n = int(input())\nprint(n * n, ' ')\n"
    answer = judge(outputs_match, completion=program, inputs=["3\n", "4"], outputs=["9", "17\n"])
    assert (answer.value, answer.details) == (0.5, {"tier": "process", "right": 1, "of": 2})
    wrong = judge(outputs_match, completion="print(9)\nraise SystemExit(1)", inputs=["3"], outputs=["9"])
    assert wrong.value == 0.0
    endless = judge(
        outputs_match,
        completion="while True: pass",
        inputs=["3"],
        outputs=["9"],
        sandbox={"tier": "process", "limits": {"wall_s": 0.5}},
    )
    assert endless.status in (Status.POLICY_FAULT, Status.JUDGE_FAULT, Status.TIMEOUT)  # or a very busy machine
    assert endless.value is None


def test_as_many_outputs_as_inputs():
    assert judge(outputs_match, completion="x", inputs=["1"], outputs=[]).status is Status.JUDGE_FAULT


matrices = st.integers(1, 6).flatmap(
    lambda m: st.lists(st.lists(st.booleans(), min_size=m, max_size=m), min_size=1, max_size=6)
)


@given(matrices)
def test_difficulty_weights_sum_to_one_and_passing_everything_is_worth_one(passed):
    weights = difficulty_weights(passed)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()
    assert np.ones(weights.shape) @ weights == pytest.approx(1.0)


def test_rarely_passed_tests_weigh_more():
    # Pass rates 1/2, 1/2, 1/4 of four programs: (1/2)/2, (1/2)/2, 3/4, so 1/5, 1/5, 3/5.
    passed = [[1, 1, 1], [1, 1, 0], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(difficulty_weights(passed), [0.2, 0.2, 0.6])


@given(matrices, st.integers(2, 5))
def test_copies_of_a_test_weigh_together_as_much_as_one(passed, copies):
    matrix = np.array(passed)
    unique = matrix[:, np.unique(matrix.sum(axis=0), return_index=True)[1]]  # each pass rate once
    copied = np.hstack([unique, *[unique[:, :1]] * (copies - 1)])
    np.testing.assert_allclose(unique @ difficulty_weights(unique), copied @ difficulty_weights(copied))


def test_where_all_is_passed_all_weighs_the_same():
    np.testing.assert_allclose(difficulty_weights(np.ones((3, 4))), np.full(4, 0.25))
