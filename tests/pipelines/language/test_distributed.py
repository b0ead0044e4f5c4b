"""The distributed runner of language experiments: the local runner's result, and what it survives."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small import small

from cluster.scaler import Bounds
from cluster.scaler import Config as SpeedConfig
from cluster.session import Config as RayConfig
from cluster.session import ray_session
from pipelines import checkpoint
from pipelines.language.experiment import EnginesConfig
from pipelines.language.reward_settings import RewardsConfig
from pipelines.language.shown import inspect_language
from pipelines.language.train import train
from pipelines.scaling.bounds import LanguageConfig as ScalingConfig
from pipelines.stored.replay_tools import ledger_report, verify_stores

pytestmark = pytest.mark.cluster

PATIENCE_S = 900.0  # for all faults together, on a slow machine


@pytest.fixture(autouse=True, scope="module")
def ray(models):
    """One session for all runs: their roles are processes of their own all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GUERDON_CACHE", str(models))
        patch.setenv("PYTHONPATH", f"{Path(__file__).parent}{os.pathsep}{Path(__file__).parents[3]}")
        with ray_session(RayConfig(object_store_mb=100), 16):
            yield


def run(tmp_path, **changes):
    return train(small(**changes), tmp_path, say=lambda text: None)


def weights(directory):
    _, tree, _ = checkpoint.load(directory.checkpoints)
    return tree["roles"]["learner"]["learner"]


def lines_of(path):
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def processes(events):
    return {e["role"]: int(e["cause"].split()[-1]) for e in events if e["what"] == "started"}


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """What the local runner does."""
    return run(tmp_path_factory.mktemp("local"))


@pytest.fixture(scope="module")
def one(local):
    """Weights that the local runner comes to."""
    return weights(local)


def last_update(directory):
    return [line for line in lines_of(directory.metrics) if line["updates"]][-1]


def test_in_lockstep_both_runners_come_to_the_same_weights_bit_for_bit(tmp_path, one):
    distributed = run(tmp_path, runner="distributed")
    other = weights(distributed)
    assert sorted(one) == sorted(other)
    assert all(torch.equal(one[name], other[name]) for name in one)
    books = json.loads(distributed.ledger.read_text())
    assert books["balanced"] and books["groups"]["stored"] == books["groups"]["begun"] == 12
    told = [line for line in lines_of(distributed.metrics) if line["updates"]]
    assert told and {line["learner/staleness_max"] for line in told} == {0.0}


def test_weights_that_go_straight_from_learner_to_engine_are_the_same_bit_for_bit(tmp_path, one):
    direct = run(tmp_path, runner="distributed", engines=EnginesConfig(count=2, sync="gloo"))
    other = weights(direct)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert json.loads(direct.ledger.read_text())["balanced"]


@pytest.mark.parametrize("sharding", ["replicated", "sharded"])
def test_two_learners_that_share_each_batch_come_to_what_one_does(tmp_path, local, one, sharding):
    directory = run(tmp_path, runner="distributed", learners=2, learner_sharding=sharding)
    other = weights(directory)
    assert sorted(one) == sorted(other)
    for name in one:
        torch.testing.assert_close(other[name], one[name], rtol=1e-3, atol=1e-5, msg=name)
    assert json.loads(directory.ledger.read_text())["balanced"]
    assert "learner-1" in processes(lines_of(directory.events))
    told, alone = last_update(directory), last_update(local)
    for name in ("sequences", "tokens", "own_tokens", "null_tokens", "policy_lag_max", "version", "reward"):
        assert told[f"learner/{name}"] == alone[f"learner/{name}"], name
    assert told["learner/loss"] == pytest.approx(alone["learner/loss"], rel=1e-3, abs=1e-5)


class Faults(threading.Thread):
    """Kills some roles, stops others, and ends the run when all that went wrong has been named and mended."""

    def __init__(self, runs, named, signals, counted=()):
        super().__init__(daemon=True)
        self.runs, self.named, self.signals, self.counted = runs, named, signals, counted
        self.missing, self.over = ["a run"], False

    def run(self):
        began, broken = time.monotonic(), {}
        while self.missing and not self.over and time.monotonic() - began < PATIENCE_S:
            time.sleep(0.1)
            for path in self.runs.glob("small-*/events.jsonl"):
                events = lines_of(path)
                now = processes(events)
                lines = lines_of(path.parent / "metrics.jsonl")
                learning = any(line["updates"] >= 2 for line in lines)
                for role, how in self.signals.items():
                    # Once, and once more where it was hit while it wrote nothing that could be lost.
                    again = self.missing == ["lost_fragments"] and broken.get(role) != now.get(role)
                    if learning and role in now and (role not in broken or again):
                        broken[role] = now[role]
                        with suppress(ProcessLookupError):
                            os.kill(now[role], how)
                self.missing = sorted(self.named - {(event["role"], event["what"]) for event in events})
                self.missing += [key for key in self.counted if not (lines and lines[-1].get(key))]
        if not self.over:
            os.kill(os.getpid(), signal.SIGTERM)  # as a person would stop it: it saves, and ends by itself


NAMED = {
    ("engine-0", "died"),
    ("engine-0", "recovered"),
    ("weights of engine-1", "interrupted"),
    ("engine-1", "recovered"),
    ("rewards-0", "died"),  # for it hung
    ("learner", "skipped a step"),
}
COUNTED = ("judge/failed/timeout", "lost_fragments")  # they come a little later than the events behind them


@pytest.mark.chaos
def test_four_faults_are_named_and_mended_and_the_books_balance(tmp_path):
    faults = Faults(tmp_path, NAMED, {"engine-0": signal.SIGKILL, "engine-1": signal.SIGSTOP}, COUNTED)
    rewards = RewardsConfig(
        weights={"right": 0.0},
        functions={"hangs": "rewards_that_fail:hangs", "explodes": "rewards_that_fail:explodes"},
        attempts=1,
        deadline_s=2.0,
    )
    engines = EnginesConfig(count=2, sync_deadline_s=3.0)
    faults.start()
    try:  # dr_grpo divides by no deviation: what is too large reaches the gradient
        directory = run(
            tmp_path,
            runner="distributed",
            method="dr_grpo",
            rewards=rewards,
            max_staleness=2,
            updates=10**6,
            engines=engines,
        )
    finally:
        faults.over = True
        faults.join()
    assert not faults.missing
    events, metrics = lines_of(directory.events), lines_of(directory.metrics)
    assert any("version" in e["cause"] and "3 s" in e["cause"] for e in events if e["what"] == "interrupted")
    assert any("not finite" in event["cause"] for event in events if event["what"] == "skipped a step")
    assert 0 <= max(line.get("learner/staleness_max", 0) for line in metrics) <= 2
    books = json.loads(directory.ledger.read_text())
    assert books["balanced"] and ledger_report(directory).balanced and verify_stores(directory) == []
    groups = books["groups"]
    assert groups["begun"] == groups["stored"] + groups["under_way"] and groups["given_up"] == 0
    assert books["lost_rollouts"] > 0 and books["skipped_steps"] and books["verdicts"]["failures"]["timeout"] > 0
    assert any("hangs" in text and "NULL" in text for text in inspect_language(directory, "", 10**6))
    began = time.monotonic()
    while any(map(alive, processes(events).values())) and time.monotonic() - began < PATIENCE_S:
        time.sleep(0.1)
    assert not any(map(alive, processes(events).values()))


@pytest.mark.chaos
def test_weights_that_go_straight_to_engines_survive_the_death_of_either_end(tmp_path):
    named = {
        ("learner-1", "renewed"),  # it shares the batches of the one that dies
        ("learner", "died"),
        ("learner", "recovered"),
        ("weights of engine-1", "interrupted"),
        ("engine-1", "died"),  # it was stopped in the middle
        ("engine-1", "recovered"),
    }
    faults = Faults(tmp_path, named, {"learner": signal.SIGKILL, "engine-1": signal.SIGSTOP})
    faults.start()
    engines = EnginesConfig(count=2, sync_deadline_s=3.0, sync="gloo")
    try:
        directory = run(tmp_path, runner="distributed", learners=2, max_staleness=2, updates=10**6, engines=engines)
    finally:
        faults.over = True
        faults.join()
    assert not faults.missing
    metrics = lines_of(directory.metrics)
    assert 0 <= max(line.get("learner/staleness_max", 0) for line in metrics) <= 2
    assert metrics[-1]["weight_syncs"] > 3
    books = json.loads(directory.ledger.read_text())
    assert books["balanced"] and ledger_report(directory).balanced and verify_stores(directory) == []
    assert books["groups"]["begun"] == books["groups"]["stored"] + books["groups"]["under_way"]


def test_engines_grow_while_the_learner_waits_for_them_and_what_they_write_is_counted(tmp_path):
    speed = SpeedConfig(up_s=1, settle_s=1)
    until = Faults(tmp_path, {("engines", "scaled"), ("engine-1", "started")}, {})
    until.start()
    try:
        directory = run(
            tmp_path,
            runner="distributed",
            updates=10**6,
            max_staleness=2,
            prompts=8,
            engines=EnginesConfig(count=1),
            scaling=ScalingConfig(engines=Bounds(most=2), rewards=Bounds(most=2), speed=speed),
        )
    finally:
        until.over = True
        until.join()
    assert not until.missing
    events = lines_of(directory.events)
    grown = [e for e in events if e["role"] == "engines" and e["what"] == "scaled"]
    assert grown and grown[0]["cause"].startswith("1 to 2"), events
    assert "engine-1" in processes(events) and not [e for e in events if e["what"] == "died"]
    books = json.loads(directory.ledger.read_text())
    assert books["balanced"] and books["groups"]["stored"] > 0
