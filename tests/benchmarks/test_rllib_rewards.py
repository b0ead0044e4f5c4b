"""The experiment `rllib-rewards`: two arms of the same algorithm that differ in their reward and in nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.learning_minihack import chosen, main, outcomes_of
from benchmarks.rllib_rewards import APPO, PLAN
from pipelines.results import read_result
from pipelines.rllib.settings import unsupported


@pytest.mark.parametrize("plan", [PLAN, APPO])
def test_the_arms_are_runs_of_rllib_that_differ_in_the_reward_alone(plan):
    by_arm = {(trial.task, trial.method, trial.seed): trial.experiment() for trial in plan.trials()}
    assert len(by_arm) == 6
    for (recipe, method, seed), experiment in by_arm.items():
        assert experiment.rllib is not None and experiment.rllib.algorithm == recipe.removeprefix("rllib-")
        assert experiment.runner == "distributed" and unsupported(experiment) is None
        other = by_arm[recipe, "extrinsic", seed]
        assert (experiment.frames, experiment.task) == (320_000, "minihack-keyroom-s10")
        same = {"reward": other.reward} if method == "retrieval" else {}
        assert experiment.reward.source == method
        assert experiment.model_copy(update=same) == other
        assert experiment.reward.model_copy(update={"source": "extrinsic"}) == other.reward


@pytest.mark.cluster
@pytest.mark.filterwarnings("default")  # RLlib warns of its own interfaces
def test_a_small_arm_runs_on_rllib_and_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    settings = {"task": "minihack-keyroom-s5", "frames": 1024, "actors.count": 1, "task_options.max_episode_steps": 40}
    plan = replace(PLAN, tasks={"rllib-ppo": settings}, methods={"retrieval": {}}, seeds=1, judge="rules")
    words = [f"work={tmp_path}/work", f"results={tmp_path}/results", "plot=false"]
    assert main(words, plan) == 0
    result = read_result(tmp_path / "results" / "rllib-rewards.json")
    assert (
        not result.holds and "on minihack-keyroom-s10, RLlib's PPO rewarded" in result.claim
    )  # one arm of one seed shows nothing
    (outcome,) = outcomes_of(chosen(plan, {}), tmp_path / "work")["rllib-ppo", "retrieval"].values()
    assert outcome.ledger_balanced and outcome.frames >= 1024  # so short a run may end before its first verdict
