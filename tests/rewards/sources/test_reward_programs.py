from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.sandbox.programs import Output
from rewards.sandbox.session import Ending, sandbox_works
from rewards.sandbox.tiers import Config
from rewards.sources import reward_programs
from rewards.sources.reward_programs import Rewards, faults, run, signed

FIELDS = ("distance", "in_lava")
GOOD = """
def reward(prev_obs, obs):
    closer = prev_obs["distance"] - obs["distance"]
    if obs["in_lava"]:
        return closer, -1
    return 100 * closer, float(obs.get("distance", 1) == 0)
"""
SANDBOXED = pytest.mark.skipif(not sandbox_works(Config()), reason="no sandbox of tier process on this machine")
finite = st.floats(-9, 9, width=16)


def body(line):
    return f"def reward(prev_obs, obs):\n    {line}\n    return 0, 0\n"


def test_a_program_without_faults_has_none():
    assert faults(GOOD, FIELDS) == ()
    assert faults("def reward(prev_obs: dict, obs: dict) -> tuple[float, float]:\n    return 0, 1", FIELDS) == ()


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        ("def reward(prev_obs, obs:\n    return 0, 0", "no Python"),
        ("", "expected one function"),
        ("import os\n" + GOOD, "expected one function"),
        (GOOD + "\nreward({}, {})", "expected one function"),
        ("def reward(obs):\n    return 0, 0", "expected one function"),
        ("def reward(prev_obs, obs=print('now')):\n    return 0, 0", "expected one function"),
        ("@print\ndef reward(prev_obs, obs):\n    return 0, 0", "expected one function"),
        ("async def reward(prev_obs, obs):\n    return 0, 0", "expected one function"),
        (body("import os"), "import nothing: import os"),
        (body("from os import path"), "import nothing"),
        (body("x = obs['dist']"), "no field 'dist'; expected one of distance, in_lava"),
        (body("x = prev_obs.get('dist')"), "no field 'dist'"),
        (body("x = obs[key]"), "no field key"),
        (body(f"x = obs[{'-' * 900}1]"), "no field ---"),
        ("#" * 20_001, "characters"),
        (body("x = y + 1"), "name y is not known"),
        (body("open('x')"), "name open is not allowed"),
        (body("obs.clear()"), "no method but get: .clear"),
        (body("x = ().__class__"), "no method but get: .__class__"),
        ("def reward(prev_obs, obs):\n    return 1", "two numbers"),
        ("def reward(prev_obs, obs):\n    pass", "two numbers"),
        ("def reward(prev_obs, obs):\n    return", "two numbers"),
    ],
)
def test_a_fault_that_can_be_read_is_told(program, fault):
    assert any(fault in found for found in faults(program, FIELDS)), faults(program, FIELDS)


@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=5), st.floats(0.01, 1e4), st.floats(0.01, 1e4))
def test_scaling_either_reward_by_a_positive_number_changes_nothing(pairs, one, other):
    dense, sparse = np.array(pairs).T
    plain = signed(Rewards(Column.full(dense), Column.full(sparse)))
    scaled = signed(Rewards(Column.full(dense * one), Column.full(sparse * other)))
    np.testing.assert_array_equal(plain.values, scaled.values)


def test_signs_by_hand_and_null_where_one_is():
    known = np.array([True, True, True, False])
    found = signed(Rewards(Column(np.array([7, -3, 0, 1]), known), Column.full([0, 5, -0.1, 1])))
    np.testing.assert_allclose(found.values, [0.1, 0.9, -1.0, np.nan], rtol=1e-6)
    with pytest.raises(ValueError, match="below 1"):
        signed(Rewards(Column.full([1]), Column.full([1])), scale=1.0)


@pytest.mark.parametrize(
    ("stdout", "reason", "expected"),
    [
        ("[[1.0, 0.0], null]", "exit", [1.0, None]),
        ('[[1.0, "2"], [1.0, NaN]]', "exit", [None, None]),
        ("[[1.0, 0.0], [1e39, 0.0]]", "exit", [1.0, None]),
        ("[[1.0, 0.0]]", "exit", [None, None]),
        ("[[1.0, 0.0], [1.0, 0.0]]", "deadline", [None, None]),
        ("[" * 5000, "exit", [None, None]),
        ("7", "exit", [None, None]),
    ],
)
def test_what_comes_out_of_the_sandbox_is_numbers_or_null(monkeypatch, stdout, reason, expected):
    ending = Ending("process", reason, 0, "", 0.1, 0.1, 0.0, 1.0, "")
    monkeypatch.setattr(reward_programs, "run_program", lambda *_: Output(stdout, ending))
    found = run(GOOD, [({}, {}), ({}, {})], Config())
    assert [v if ok else None for v, ok in zip(found.dense.values, found.dense.valid, strict=True)] == expected
    assert found.sparse.valid.tolist() == found.dense.valid.tolist()


@pytest.mark.slow
@SANDBOXED
def test_in_the_sandbox_it_says_what_it_is_worth():
    far, near = {"distance": 2, "in_lava": False}, {"distance": 0, "in_lava": False}
    lava = {"distance": 1, "in_lava": True}
    found = run(GOOD, [(far, near), (near, far), (far, lava), (far, {})], Config())
    assert found.dense.values[:3].tolist() == [200, -200, 1] and found.sparse.values[:3].tolist() == [1, 0, -1]
    assert found.dense.valid.tolist() == [True, True, True, False]


@pytest.mark.slow
@SANDBOXED
@pytest.mark.parametrize("line", ["import os; os._exit(0)", "open('/etc/shadow').read()", "raise SystemExit"])
def test_in_the_sandbox_a_program_that_was_not_read_does_no_harm(line):
    assert not run(body(line), [({}, {})], Config()).dense.valid.any()


@pytest.mark.slow
@SANDBOXED
def test_what_a_program_prints_is_no_reward():
    found = run("print([[9.0, 9.0]])\n" + body("print('[[8.0, 8.0]]')"), [({}, {})], Config())
    assert found.dense.values.tolist() == [0.0]
