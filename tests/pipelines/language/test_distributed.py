"""The distributed runner of language experiments: the local runner's result, and what it survives."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small import small

from pipelines import checkpoint
from pipelines.language.experiment import EnginesConfig, RewardsConfig
from pipelines.language.train import train

pytestmark = pytest.mark.cluster


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GUERDON_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("PYTHONPATH", f"{Path(__file__).parent}{os.pathsep}{Path(__file__).parents[3]}")
        yield


def run(tmp_path, **changes):
    return train(small(**changes), tmp_path, say=lambda text: None)


def weights(directory):
    _, tree, _ = checkpoint.load(directory.checkpoints)
    return tree["roles"]["learner"]["learner"]


def test_in_lockstep_both_runners_come_to_the_same_weights_bit_for_bit(tmp_path):
    local, distributed = run(tmp_path), run(tmp_path, runner="distributed")
    one, other = weights(local), weights(distributed)
    assert sorted(one) == sorted(other)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert json.loads(distributed.ledger.read_text())["balanced"]


@pytest.mark.chaos
def test_a_killed_engine_and_a_reward_that_hangs_are_named_and_the_books_balance(tmp_path):
    rewards = RewardsConfig(
        weights={"right": 0.0}, functions={"hangs": "rewards_that_fail:hangs"}, attempts=1, deadline_s=1.0
    )
    killed = []

    def kill():
        while not killed:
            time.sleep(0.05)
            for events in tmp_path.glob("small-*/events.jsonl"):
                text = events.read_text()
                if found := re.search(r'"role": "engine-0", "what": "started", "cause": "process (\d+)"', text):
                    os.kill(int(found.group(1)), signal.SIGKILL)
                    killed.append(True)

    threading.Thread(target=kill, daemon=True).start()
    directory = run(
        tmp_path,
        runner="distributed",
        rewards=rewards,
        max_staleness=2,
        updates=12,
        engines=EnginesConfig(count=2, deadline_s=60.0),
    )
    books = json.loads(directory.ledger.read_text())
    assert books["balanced"] and killed
    assert books["deaths"]["engine-0"] == 1
    events = list(directory.lines(directory.events))
    assert any(event["role"] == "engine-0" and event["what"] == "recovered" for event in events)
    assert list(directory.lines(directory.metrics))[-1]["updates"] >= 12
