"""RLlib on Guerdon's rewards, for real: the command with APPO, and a script of one's own with PPO."""

import importlib.util
import json
import os
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.evaluate import evaluate_run
from pipelines.overrides import apply
from pipelines.recipes.table import find_recipe
from pipelines.run_directory import RunDirectory
from pipelines.train import train

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("default")]  # RLlib warns of its own interfaces

SMALL = {
    "task": "minihack-keyroom-s5",
    "judge": "rules",
    "reward": "retrieval",
    "frames": 10**7,
    "report_every_s": 0.5,
    "actors.count": 1,
    "actors.environments": 4,
    "rllib.train_s": 0.2,
    "tracking.enabled": False,
}


def lines(runs):
    return [line for path in runs.glob("*/metrics.jsonl") for line in RunDirectory(path.parent).lines(path)]


def annotated(line):
    return (line.get("annotated_share") or 0) > 0 and line["learnt_frames"] >= 1024


@contextmanager
def stopped_once(runs, holds, patience_s=900.0):
    """Stop the run in this process, as a person would, once a line of its metrics is as wanted."""
    over, deadline = threading.Event(), time.monotonic() + patience_s

    def watch():
        while not any(map(holds, lines(runs))) and time.monotonic() < deadline:
            if over.wait(0.1):
                return
        os.kill(os.getpid(), signal.SIGTERM)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def test_appo_trains_on_verdicts_and_its_books_balance(tmp_path):
    with stopped_once(tmp_path, annotated):
        directory = train(apply(find_recipe("rllib-appo"), SMALL), tmp_path, None, lambda text: None)
    accounts = json.loads(directory.ledger.read_text())
    assert any(map(annotated, lines(tmp_path))), "no verdict came in time"
    assert accounts["balanced"] and accounts["experience"]["sampled"]["frames"] >= 1024
    assert accounts["verdicts"]["ok"] > 0
    assert "success rate" in evaluate_run(directory, 1, 0, False, 1)


def test_the_example_trains_ppo(tmp_path):
    path = Path(__file__).parents[3] / "examples/rllib_rewards.py"
    spec = importlib.util.spec_from_file_location("rllib_rewards", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    accounts = example.main(512, "minihack-keyroom-s5", str(tmp_path))
    assert accounts["balanced"] and accounts["verdicts"]["asked"] > 0
