"""Jobs on a local head: submitted, refused, killed with their head, resumed."""

from __future__ import annotations

import json

import pytest

from benchmarks.apparatus.local_head import LocalHead
from benchmarks.job_resume import RUN, SETTINGS, Command, killed_once
from pipelines.run_directory import RunDirectory

pytestmark = [pytest.mark.chaos, pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture
def head(tmp_path_factory):
    """Started heads, by their mode of authentication; what is left of them is killed."""
    started = []

    def start(mode):
        started.append(LocalHead(tmp_path_factory.mktemp("h"), mode=mode))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.kill()
        assert not one.processes()


def words(run, frames):
    settings = [f"{key}={value}" for key, value in {**SETTINGS, "frames": frames}.items()]
    return ["catch", *settings, f"run={run.root.name}", f"runs={run.root.parent}", "environment=cluster"]


def test_a_job_whose_head_is_killed_goes_on_at_its_frontier_and_who_has_no_token_is_refused(head):
    there = head("token")
    run = RunDirectory(there.place / "runs" / RUN)

    stranger = LocalHead(there.place / "stranger")
    stranger.address = there.address
    refused = Command(stranger, "submit", *words(run, 1000))
    assert refused.ended() == 2 and "refuses the token" in refused.output and not run.root.exists()

    again, row = killed_once(there, run, Command(there, "submit", *words(run, 15_000)), 0)
    assert row["resumed_at_frames"] == row["learnt_frames_in_it"] > 0
    assert again.ended() == 0, again.output[-3000:]
    ledger = json.loads(run.ledger.read_text())
    lines = list(run.lines(run.metrics))
    assert ledger["balanced"] and ledger["experience"]["sampled"]["frames"] == lines[-1]["learnt_frames"] >= 15_000


def test_without_authentication_jobs_run_too_and_their_exit_code_is_passed_on(head):
    there = head("disabled")
    run = RunDirectory(there.place / "runs" / "failing")
    failing = Command(there, "submit", *words(run, 1000), "task=NoSuchTask-v0")
    assert failing.ended() == 2 and "NoSuchTask-v0" in failing.output
    listed = Command(there, "jobs", "list")
    assert listed.ended() == 0 and "FAILED" in listed.output
