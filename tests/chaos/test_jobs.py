"""Jobs on a local head: submitted, refused, killed with their head, resumed, stopped."""

from __future__ import annotations

import json
import time

import pytest

from benchmarks.apparatus.live import PATIENCE_S
from benchmarks.apparatus.local_head import LocalHead
from benchmarks.job_resume import RUN, SETTINGS, Command, killed_once
from pipelines.run_directory import RunDirectory

pytestmark = [pytest.mark.chaos, pytest.mark.cluster]


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


def learnt_since(run, time_s):
    """Frames that a run has learnt from, as it said after a time; 0 where it has said nothing since."""
    return next((one["learnt_frames"] for one in reversed([*run.lines(run.metrics)]) if one["time"] > time_s), 0)


def test_a_job_whose_head_is_killed_goes_on_at_its_frontier_until_it_is_stopped_with_a_token_and_without(head):
    there = head("disabled")
    run = RunDirectory(there.place / "runs" / RUN)
    job = Command(there, "submit", *words(run, 10**8))
    there.mode = "token"  # the head that comes back asks for it
    again, row = killed_once(there, run, job, 0)
    assert row["resumed_at_frames"] == row["learnt_frames_in_it"] > 0

    stranger = LocalHead(there.place / "stranger")
    stranger.address = there.address
    unseen = RunDirectory(there.place / "runs" / "unseen")
    refused = Command(stranger, "submit", *words(unseen, 1000))
    assert refused.ended() == 2 and "refuses the token" in refused.output and not unseen.root.exists()

    failing = Command(
        there, "submit", *words(RunDirectory(there.place / "runs" / "failing"), 1000), "task=NoSuchTask-v0"
    )
    assert failing.ended() == 2 and "NoSuchTask-v0" in failing.output, "a job's exit code is passed on"
    listed = Command(there, "jobs", "list")
    assert listed.ended() == 0 and "FAILED" in listed.output and "RUNNING" in listed.output

    (resumed,) = (event for event in run.lines(run.events) if event["what"] == "resumed")
    deadline = time.monotonic() + PATIENCE_S
    while learnt_since(run, resumed["time_s"]) <= row["resumed_at_frames"] and time.monotonic() < deadline:
        time.sleep(0.1)
    stopped = Command(there, "jobs", "stop", again.job())
    assert stopped.ended() == 0 and again.ended() == 143, again.output[-3000:]
    ledger = json.loads(run.ledger.read_text())
    learnt = [*run.lines(run.metrics)][-1]["learnt_frames"]
    assert ledger["balanced"] and ledger["experience"]["sampled"]["frames"] == learnt > row["resumed_at_frames"]
