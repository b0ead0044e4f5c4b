"""Processes of a running job are killed or stopped: it recovers by itself, names each event, and loses no count."""

from __future__ import annotations

import signal
import time

import psutil
import pytest

from benchmarks.apparatus.live import PATIENCE_S

pytestmark = pytest.mark.chaos

RAYS_AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")  # they notice late that their Ray was killed
CAPTIONS = 5
VICTIMS = ("learner", "env-actor-0", "judge", "reward-trainer", "replay-0")


def happened(run, role, what):
    return [event for event in run.events if event["role"] == role and event["what"] == what]


def stands_where_more_is_learnt_than_saved(run, saved_within_s=1e9):
    """Whether something was learnt after the newest checkpoint; if so, the run is left standing still.

    It stands while this is asked, so that no checkpoint comes before what is done next. None is being written either
    where the newest was written within less than their period.
    """
    run.stand_still()
    saved = sorted(run.directory.checkpoints.glob("0*"))
    fresh = saved and time.time() - saved[-1].stat().st_mtime < saved_within_s
    if fresh and run.metrics()["updates"] > run.tree["status"]["updates"]:
        return True
    run.go_on()
    return False


def stop_once_it_has_learnt_more(run):
    """A learner that went back to its checkpoint comes to where it was first: what it learns again is not counted."""
    run.learns_on()
    run.process.terminate()
    assert run.wait() == 0, run.output
    run.nothing_left()


def test_every_role_is_killed_at_once_and_the_run_goes_on(training):
    """All at once is the hardest: who recovers first finds the others dead."""
    settings = {"reward": "classification", "reward__classification__min_labels": 2, "replay__shards": 2}
    run = training("catch", frames=10**8, checkpoint__every_s=20, **settings)
    run.until(lambda: run.metrics().get("judge/ok", 0) >= CAPTIONS, PATIENCE_S, "an opinion on all that catch can say")
    run.until(lambda: all(run.process_of(role) for role in VICTIMS), PATIENCE_S, "all roles")
    # No checkpoint comes between what was drawn and the death of who learns from it.
    run.until(lambda: stands_where_more_is_learnt_than_saved(run, 10), PATIENCE_S, "update after a checkpoint")
    killed = {victim: run.kill(victim) for victim in VICTIMS}
    run.go_on()
    for victim in VICTIMS:
        run.until(lambda role=victim: happened(run, role, "recovered"), PATIENCE_S, f"recovery of {victim}")
    stop_once_it_has_learnt_more(run)

    ledger, last = run.ledger, run.metrics()
    assert ledger["balanced"] and set(VICTIMS) <= set(ledger["deaths"])
    for victim in VICTIMS:
        assert happened(run, victim, "died")[0]["cause"] and happened(run, victim, "recovered")[0]["recovered_s"] > 0
        assert victim in run.directory.report.read_text(), "the report does not name it"
        pids = [e["cause"] for e in run.events if e["role"] == victim and str(killed[victim]) not in e["cause"]]
        assert any("process" in cause for cause in pids)
    assert ledger["verdicts"]["ok"] == ledger["verdicts"]["asked"] == CAPTIONS
    # The learner went back to its checkpoint, and drew again what it had not saved: nothing is skipped or taken twice.
    assert run.tree["roles"]["learner"]["learner"]["counters"][0] == last["updates"] == ledger["experience"]["samples"]
    assert ledger["experience"]["sampled"]["frames"] == last["learnt_frames"]
    assert ledger["experience"]["samples_given_again"] > 0
    assert "Traceback" not in run.output


def test_where_one_of_two_learners_dies_both_go_back_and_an_actor_that_hangs_is_replaced_and_not_left_behind(training):
    run = training("catch", frames=10**8, checkpoint__every_s=5, learners=2, batch_fragments=2, actors__deadline_s=10)
    run.until(
        lambda: run.metrics().get("updates", 0) >= 10 and run.directory.checkpoints.is_dir(), PATIENCE_S, "update"
    )
    run.until(lambda: run.process_of("learner-1") and run.process_of("env-actor-1"), PATIENCE_S, "both roles")
    run.kill("learner-1")
    run.until(lambda: happened(run, "learner-1", "recovered"), PATIENCE_S, "recovery of learner-1")
    assert happened(run, "learner", "renewed") and not happened(run, "learner", "died")
    run.learns_on()

    before = len(happened(run, "env-actor-1", "died"))  # a busy machine may have been too slow for it once already
    hung = run.kill("env-actor-1", signal.SIGSTOP)
    run.until(lambda: happened(run, "env-actor-1", "died")[before:], PATIENCE_S, "death of the actor that hangs")
    assert "no answer to rollout() within" in happened(run, "env-actor-1", "died")[-1]["cause"]
    run.until(lambda: happened(run, "env-actor-1", "recovered")[before:], PATIENCE_S, "recovery")
    run.until(lambda: not psutil.pid_exists(hung), PATIENCE_S, "end of the actor that hung")
    stop_once_it_has_learnt_more(run)

    ledger, last = run.ledger, run.metrics()
    deaths = ledger["deaths"]
    assert ledger["balanced"] and deaths["learner-1"] == 1 and "learner" not in deaths
    assert ledger["lost_rollouts"] == sum(n for role, n in deaths.items() if role.startswith("env-actor")) >= 1
    assert run.tree["roles"]["learner"]["learner"]["counters"][0] == last["updates"] == ledger["experience"]["samples"]
    assert ledger["experience"]["sampled"]["frames"] == last["learnt_frames"]


def test_a_run_whose_own_process_is_killed_leaves_nothing_behind_and_goes_on_from_its_checkpoint(training):
    run = training("catch", frames=10**8)
    run.until(lambda: run.metrics().get("updates", 0) >= 20, PATIENCE_S, "updates")
    run.until(lambda: stands_where_more_is_learnt_than_saved(run), PATIENCE_S, "update after the checkpoint")
    run.process.kill()
    run.wait()
    run.nothing_left(within_s=PATIENCE_S, but=RAYS_AGENTS)
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
