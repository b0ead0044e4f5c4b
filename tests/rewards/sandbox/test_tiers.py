"""A tier is had as asked for, or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from pydantic import ValidationError

from rewards.sandbox import tiers
from rewards.sandbox.programs import run_program
from rewards.sandbox.tiers import Config, Limits, TierAbsent, order


def test_unknown_tiers_and_settings_are_refused():
    for wrong in ({"tier": "none"}, {"walls": 3}, {"limits": {"memory_mb": 1}}):
        with pytest.raises(ValidationError):
            Config.model_validate(wrong)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize(("tier", "program"), [("bubblewrap", "bwrap"), ("gvisor", "runsc")])
def test_a_tier_whose_program_is_not_there_fails_closed_with_its_remedy(tier, program, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TierAbsent, match=rf"needs {program}.*install"):
        run_program(Config(tier=tier), "print(1)")


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize(("tier", "program"), [("bubblewrap", "bwrap"), ("gvisor", "runsc")])
def test_a_program_that_only_pretends_fails_closed(tier, program, monkeypatch, tmp_path):
    # It runs nothing, or worse, would run the code without a wall: without a hello from inside, no code is handed over.
    (tmp_path / program).write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(TierAbsent, match=f"the sandbox tier {tier} did not start"):
        run_program(Config(tier=tier, limits=Limits(start_s=5)), "print(1)")


NAMESPACES = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount", "--net", "--ipc", "true"]


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("unshare"), reason="needs Linux")
def test_where_the_kernel_gives_namespaces_to_others_the_tier_process_works():
    # Or every test that needs the sandbox would be skipped, and nobody would see that it is broken.
    if subprocess.run(NAMESPACES, capture_output=True).returncode:
        pytest.skip("no namespaces on this machine")
    assert run_program(Config(), "print(1)").stdout == "1\n"


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_an_interpreter_that_is_not_there_fails_closed():
    with pytest.raises(TierAbsent, match="did not start"):
        run_program(Config(interpreter="/nowhere/bin/python"), "print(1)")


def test_other_systems_are_told_what_to_do(monkeypatch):
    monkeypatch.setattr(tiers.sys, "platform", "darwin")
    with pytest.raises(TierAbsent, match="needs Linux, this is darwin: run in a Linux container"):
        order(Config(), "")


def test_the_fingerprint_begins_with_the_tier_and_changes_with_every_limit():
    one, other = Config(), Config(limits=Limits(memory_mb=64))
    assert one.fingerprint.startswith("process-")
    assert one.fingerprint == Config().fingerprint
    assert one.fingerprint != other.fingerprint != Config(tier="gvisor").fingerprint


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_only_the_interpreter_is_visible():
    visible = order(Config(), "")["visible"]
    assert not {"/", "/home", "/root", "/tmp", "/proc", "/etc", "/usr", os.getcwd()} & set(visible)
