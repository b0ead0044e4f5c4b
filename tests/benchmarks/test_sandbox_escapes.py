"""Every attack is blocked behind the wall that this machine has, and the experiment notices those that are not."""

from __future__ import annotations

import pytest

from benchmarks.apparatus.sandbox_attacks import ATTACKS, SOLUTION, Attack
from benchmarks.sandbox_escapes import LIMITS, Trial, attempt, attempt_without, checks_of, refuses, report, world
from pipelines.results import read_result
from rewards.sandbox.session import sandbox_works
from rewards.sandbox.testing import run_tests
from rewards.sandbox.tiers import Config

CONFIG = Config(limits=LIMITS)
needs_sandbox = pytest.mark.skipif(not sandbox_works(CONFIG), reason="no sandbox of tier process on this machine")
BY_NAME = {attack.name: attack for attack in ATTACKS}
QUICK = [
    "os._exit(0) when called",
    "int with an __eq__ that is always true",
    "verdict frame behind every secret found in memory",
    "verdict in place of an answer, with the right echo",
    "environment",
    "environment of a neighbour",
    "secret file",
    "inherited files",
    "connection to this machine",
    "socket with an abstract name",
    "file outside",
    "signals to the asker",
    "surviving daemon",
]


@pytest.fixture(scope="module")
def at():
    with world() as made:
        yield made


def test_attacks_have_names_of_their_own_and_cover_every_kind():
    assert len(BY_NAME) == len(ATTACKS)
    assert {attack.kind for attack in ATTACKS} == {"forge", "harm", "read", "network", "write", "process"}


@pytest.mark.slow
@needs_sandbox
@pytest.mark.parametrize("name", QUICK)
def test_an_attack_is_blocked(name, at):
    trial = attempt(BY_NAME[name], CONFIG, at, 1)
    assert trial.blocked, trial.outcome


@needs_sandbox
@pytest.mark.attacks
@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in QUICK])
def test_the_other_attacks_are_blocked_too(name, at):
    trial = attempt(BY_NAME[name], CONFIG, at, 2)
    assert trial.blocked, trial.outcome


@pytest.mark.slow
@needs_sandbox
def test_the_right_solution_passes(at):
    assert run_tests(CONFIG, SOLUTION, checks_of(3)).passed == (True, True, True)


@pytest.mark.slow
@needs_sandbox
def test_code_that_is_right_is_noticed_as_not_blocked(at):
    trial = attempt(Attack("none", "forge", SOLUTION), CONFIG, at, 4)
    assert not trial.blocked
    assert trial.outcome == "passed"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "trace"),
    [
        ("os._exit(0) on import", "passed"),
        ("secret file", "passed"),
        ("file outside", "a file was written"),
        ("signals to the asker", "a signal arrived"),
        ("connection to this machine", "a connection by tcp"),
        ("surviving daemon", "a process survived"),
    ],
)
def test_without_a_sandbox_the_same_attacks_work_and_are_noticed(name, trace, at):
    trial = attempt_without(BY_NAME[name], at, 5)
    assert not trial.blocked
    assert trace in trial.outcome


def test_an_absent_tier_refuses_every_attack(at, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "needs runsc" in refuses(Config(tier="gvisor", limits=LIMITS), at)


@pytest.mark.slow
def test_the_claim_falls_with_one_attack_that_gets_through(tmp_path):
    blocked = Trial(ATTACKS[0], "process", True, "failed", 0.1)
    through = Trial(ATTACKS[1], "process", False, "passed", 0.1)
    naive = Trial(ATTACKS[0], "without", False, "passed", 0.1)
    timings = {"process": ([0.1, 0.2], [0.05, 0.05])}
    assert report([blocked, naive], timings, {"gvisor": "needs runsc"}, "x", tmp_path).holds
    assert not report([blocked, through], timings, {}, "x", tmp_path).holds
    assert not report([blocked], timings, {"gvisor": ""}, "x", tmp_path).holds
    assert not report([], {}, {"process": "absent"}, "x", tmp_path).holds
    result = read_result(tmp_path / "sandbox-escapes.json")
    assert result.rows[-1]["where"] == "process"
