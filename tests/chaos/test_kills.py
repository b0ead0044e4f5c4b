"""Processes of a running job are killed or stopped: it recovers by itself, names each event, and loses no count."""

from __future__ import annotations

import signal
import time

import psutil
import pytest

pytestmark = pytest.mark.chaos

RAYS_AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")  # they notice late that their Ray was killed
VICTIMS = ("env-actor-0", "judge", "reward-trainer", "learner", "replay-0")


def happened(run, role, what):
    return [event for event in run.events if event["role"] == role and event["what"] == what]


def stop_once_it_has_learnt_more(run):
    """A learner that went back to its checkpoint comes to where it was first: what it learns again is not counted."""
    before = run.metrics()["updates"]
    run.until(lambda: run.metrics()["updates"] >= before + 3, 90, "further updates")
    run.process.terminate()
    assert run.wait(150) == 0, run.output
    run.nothing_left()


def test_every_role_is_killed_within_seconds_and_the_run_goes_on(training):
    """All at once is the hardest: who recovers first finds the others dead."""
    settings = {"reward": "classification", "reward__classification__min_labels": 2, "replay__shards": 2}
    run = training("catch", frames=10**8, checkpoint__every_s=5, **settings)
    run.until(lambda: run.metrics().get("updates", 0) >= 20 and run.directory.checkpoints.is_dir(), 120, "update")
    killed = {}
    for victim in VICTIMS:
        killed[victim] = run.kill(victim)
        time.sleep(0.5)
    for victim in VICTIMS:
        run.until(lambda role=victim: happened(run, role, "recovered"), 90, f"recovery of {victim}")
    stop_once_it_has_learnt_more(run)

    ledger, last = run.ledger, run.metrics()
    assert ledger["balanced"] and set(VICTIMS) <= set(ledger["deaths"])
    for victim in VICTIMS:
        assert happened(run, victim, "died")[0]["cause"] and happened(run, victim, "recovered")[0]["recovered_s"] > 0
        assert victim in run.directory.report.read_text(), "the report does not name it"
        pids = [e["cause"] for e in run.events if e["role"] == victim and str(killed[victim]) not in e["cause"]]
        assert any("process" in cause for cause in pids)
    assert ledger["verdicts"]["ok"] == ledger["verdicts"]["asked"] > 0
    # The learner went back to its checkpoint, and drew again what it had not saved: nothing is skipped or taken twice.
    assert run.tree["roles"]["learner"]["learner"]["counters"][0] == last["updates"] == ledger["experience"]["samples"]
    assert ledger["experience"]["sampled"]["frames"] == last["learnt_frames"]
    assert ledger["experience"]["samples_given_again"] > 0
    assert "Traceback" not in run.output


def test_where_one_of_two_learners_dies_both_go_back_to_the_checkpoint(training):
    run = training("catch", frames=10**8, checkpoint__every_s=5, learners=2, batch_fragments=2)
    run.until(lambda: run.metrics().get("updates", 0) >= 10 and run.directory.checkpoints.is_dir(), 120, "update")
    run.kill("learner-1")
    run.until(lambda: happened(run, "learner-1", "recovered"), 90, "recovery of learner-1")
    assert happened(run, "learner", "renewed") and not happened(run, "learner", "died")
    stop_once_it_has_learnt_more(run)
    ledger, last = run.ledger, run.metrics()
    assert ledger["balanced"] and ledger["deaths"] == {"learner-1": 1}
    assert run.tree["roles"]["learner"]["learner"]["counters"][0] == last["updates"] == ledger["experience"]["samples"]
    assert ledger["experience"]["sampled"]["frames"] == last["learnt_frames"]


def test_an_actor_that_hangs_is_replaced_after_its_deadline_and_not_left_behind(training):
    run = training("catch", frames=10**8, actors__deadline_s=4)
    run.until(lambda: run.metrics().get("updates", 0) >= 5 and run.process_of("env-actor-1"), 120, "update")
    hung = run.kill("env-actor-1", signal.SIGSTOP)
    run.until(lambda: happened(run, "env-actor-1", "died"), 40, "death of the actor that hangs")
    assert "no answer to rollout() within 4 s" in happened(run, "env-actor-1", "died")[0]["cause"]
    run.until(lambda: happened(run, "env-actor-1", "recovered"), 60, "recovery")
    run.until(lambda: not psutil.pid_exists(hung), 20, "end of the actor that hung")
    stop_once_it_has_learnt_more(run)
    ledger = run.ledger
    assert ledger["balanced"] and ledger["deaths"] == {"env-actor-1": 1} and ledger["lost_rollouts"] == 1


def test_a_run_whose_own_process_is_killed_leaves_nothing_behind_and_goes_on_from_its_checkpoint(training):
    run = training("catch", frames=10**8)
    run.until(lambda: run.metrics().get("updates", 0) >= 20 and run.directory.checkpoints.is_dir(), 120, "checkpoint")
    run.until(lambda: list(run.directory.checkpoints.glob("0*")), 30, "checkpoint")
    run.until(lambda: run.metrics()["updates"] > run.tree["status"]["updates"], 60, "update after the checkpoint")
    run.process.kill()
    run.wait()
    run.nothing_left(within_s=60, but=RAYS_AGENTS)
    saved = run.tree["status"]["learnt_frames"]
    again = training("resume=last", frames=saved + 200)
    assert again.wait() == 0, again.output
    again.nothing_left()
    learnt, experience = again.tree["status"]["learnt_frames"], again.ledger["experience"]
    assert learnt >= saved + 200 and again.ledger["balanced"]
    # What was drawn after the checkpoint is drawn again, as far as the run has come by its end.
    assert experience["samples"] - experience["samples_in_no_checkpoint"] == again.tree["status"]["updates"]
    assert experience["samples_given_again"] > 0 and experience["sampled"]["frames"] >= learnt
    assert experience["accepted"]["frames"] == again.tree["status"]["frames"], "what was stored after it was counted"
