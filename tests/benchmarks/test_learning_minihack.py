"""The experiment `learning-minihack`: its plan, its claim, and one whole small sweep."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.learning_minihack import TASKS, Plan, chosen, figures_of, holds, main, outcomes_of
from benchmarks.sweep import Outcome
from pipelines.errors import UserError
from pipelines.results import read_result

SMALL = Plan(
    name="learning-catch",
    recipe="catch",
    common={"judge.goal": "explore and descend"},
    tasks={"catch": {"frames": 2000}},
    methods={"extrinsic": {}, "classification": {}},
    seeds=2,
    more_seeds={},
    candidate="classification",
    judge="rules",
)


def outcome(success: float) -> Outcome:
    return Outcome([(100, success, success)], success, success, 9, 100, 1.0, 0, 0, True)


def outcomes(task: str, extrinsic: list[float], judged: list[float]) -> dict:
    scores = {"extrinsic": extrinsic, "classification": judged}
    return {(task, m): {seed: outcome(x) for seed, x in enumerate(rates)} for m, rates in scores.items()}


def test_the_plan_goes_seed_by_seed_with_more_seeds_where_the_claim_is():
    trials = Plan().trials()
    per_seed = [sum(trial.seed == seed for trial in trials) for seed in range(5)]
    assert per_seed == [6 * len(TASKS)] * 3 + [2 * len(TASKS)] * 2
    assert [trial.seed for trial in trials] == sorted(trial.seed for trial in trials)


def test_every_trial_of_the_table_is_an_experiment_with_equal_steps():
    frames = {}
    for trial in Plan().trials():
        experiment = trial.experiment()
        assert (experiment.task, experiment.reward.source, experiment.seed) == (trial.task, trial.method, trial.seed)
        frames.setdefault(trial.task, set()).add(experiment.frames)
    assert all(len(lengths) == 1 for lengths in frames.values())


def test_the_judge_is_no_setting_of_a_run_that_asks_none():
    settings = {trial.method: trial.settings for trial in Plan(judge="rules").trials()}
    assert settings["ranking"]["judge.kind"] == "rules"
    assert "judge.kind" not in settings["rnd"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extrinsic", "judged", "true"),
    [
        ([0.0, 0.1, 0.0], [0.9, 0.8, 1.0], True),
        ([0.0, 0.1, 0.0], [0.9, 0.0, 1.0], False),  # intervals overlap
        ([0.6, 0.6, 0.6], [0.9, 0.9, 0.9], False),  # extrinsic-only solves it too
        ([0.0, 0.0, 0.0], [0.3, 0.3, 0.3], False),  # apart, but not solved
        ([0.0, 0.0], [0.9, 0.9], False),  # too few seeds
        ([0.0, 0.0, 0.0], [], False),
    ],
)
def test_the_claim_is_computed(extrinsic, judged, true):
    plan = replace(SMALL, tasks={"a": {}})
    assert holds(plan, figures_of(plan, outcomes("a", extrinsic, judged))) is true


@pytest.mark.slow
def test_the_claim_must_hold_on_every_task():
    plan = replace(SMALL, tasks={"a": {}, "b": {}})
    found = outcomes("a", [0.0] * 3, [1.0] * 3) | outcomes("b", [0.0] * 3, [0.4] * 3)
    figures = figures_of(plan, found)
    assert figures["all tasks, classification"].value == pytest.approx(0.7)
    assert not holds(plan, figures)


@pytest.mark.slow
def test_over_all_tasks_only_seeds_that_finished_each_are_counted():
    plan = replace(SMALL, tasks={"a": {}, "b": {}})
    figures = figures_of(plan, outcomes("a", [0.0] * 3, [1.0, 0.0]) | outcomes("b", [0.0] * 3, [1.0]))
    assert figures["a, classification"].n == 2
    assert figures["all tasks, classification"].value == 1.0


def test_the_command_line_narrows_the_plan():
    task = next(iter(TASKS))
    (trial,) = chosen(Plan(), {"tasks": [task], "methods": ["rnd"], "seeds": 1, "frames": 5000}).trials()
    assert (trial.task, trial.method, trial.settings["frames"]) == (task, "rnd", 5000)
    with pytest.raises(UserError, match="expected some of extrinsic"):
        chosen(Plan(), {"methods": ["magic"]})


@pytest.mark.slow
@pytest.mark.timeout(900)  # four processes that import torch, on whatever machine
def test_a_sweep_runs_is_collected_and_is_not_run_again(tmp_path, capfd):
    where = [f"work={tmp_path}/work", f"results={tmp_path}/results"]
    assert main([*where, "workers=2"], SMALL) == 0
    result = read_result(tmp_path / "results" / "learning-catch.json")
    assert len(result.rows) == 4
    assert all(row["ledger_balanced"] for row in result.rows)
    assert all((row["verdicts"] > 0) is (row["method"] == "classification") for row in result.rows)
    assert result.figures["catch, extrinsic"].n == 2
    assert not result.holds  # two seeds are not three
    assert (tmp_path / "results" / "learning-catch.png").stat().st_size > 10_000
    assert (tmp_path / "results" / "learning-catch.csv").read_text().count("\n") == 1 + 4 * 50
    first = outcomes_of(SMALL, tmp_path / "work")
    assert main([*where, "plot=false"], SMALL) == 0
    assert "4 finished before" in capfd.readouterr().out
    assert outcomes_of(SMALL, tmp_path / "work") == first


def test_nothing_is_collected_from_nothing(tmp_path):
    with pytest.raises(UserError, match="no finished run"):
        main(["collect=true", f"work={tmp_path}", f"results={tmp_path}"], SMALL)
