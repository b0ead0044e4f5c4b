"""RLlib on Guerdon's rewards, for real: the command with APPO, and a script of one's own with PPO."""

import importlib.util
import json
from pathlib import Path

import pytest

from pipelines.evaluate import evaluate_run
from pipelines.overrides import apply
from pipelines.recipes.table import find_recipe
from pipelines.train import train

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("default")]  # RLlib warns of its own interfaces

SMALL = {
    "task": "minihack-keyroom-s5",
    "judge": "rules",
    "reward": "retrieval",
    "frames": 1024,
    "actors.count": 1,
    "actors.environments": 4,
    "rllib.train_s": 0.2,
    "tracking.enabled": False,
}


def test_appo_trains_on_verdicts_and_its_books_balance(tmp_path):
    directory = train(apply(find_recipe("rllib-appo"), SMALL), tmp_path, None, lambda text: None)
    accounts = json.loads(directory.ledger.read_text())
    last = list(directory.lines(directory.metrics))[-1]
    assert accounts["balanced"] and accounts["experience"]["sampled"]["frames"] >= 1024
    assert accounts["verdicts"]["ok"] > 0 and last["annotated_share"] > 0
    assert "success rate" in evaluate_run(directory, 1, 0, False, 1)


def test_the_example_trains_ppo(tmp_path):
    path = Path(__file__).parents[3] / "examples/rllib_rewards.py"
    spec = importlib.util.spec_from_file_location("rllib_rewards", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    accounts = example.main(512, "minihack-keyroom-s5", str(tmp_path))
    assert accounts["balanced"] and accounts["verdicts"]["ok"] > 0
