from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.trajectory import EpisodeEnd
from pipelines.display import LineDisplay
from pipelines.driver.lifecycle import write_config
from pipelines.environment.run import Run
from pipelines.errors import UserError
from pipelines.evaluate import bootstrap, evaluate_run, figures_of, interquartile_mean, table_of, wilson
from pipelines.local import run_local
from pipelines.recipes.catch import catch
from pipelines.run_directory import RunDirectory


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run, played once for all tests of this file."""
    recipe = catch()
    experiment = recipe.model_copy(
        update={
            "frames": 1_500,
            "runner": "local",
            "report_every_s": 1e-6,
        }
    )
    directory = RunDirectory.create(tmp_path_factory.mktemp("runs"), "small")
    run = Run(experiment, directory, LineDisplay(experiment.frames, every_s=1e12), "umpire")
    write_config(experiment, directory)
    run_local(run, None)
    run.report(force=True)
    run.close()
    directory.unlock()
    return directory.root


@pytest.fixture
def finished(played: Path, tmp_path: Path) -> RunDirectory:
    """A copy of the run, to be read or damaged."""
    return RunDirectory(Path(shutil.copytree(played, tmp_path / "small")))


def evaluate(directory: RunDirectory, **settings: object) -> str:
    return evaluate_run(directory, **({"episodes": 12, "seed": 3, "greedy": False, "environments": 4} | settings))


@pytest.mark.slow
def test_a_run_is_evaluated_with_intervals_and_written_down(finished: RunDirectory) -> None:
    text = evaluate(finished)
    for part in ("mean return", "median return", "IQM return", "success rate", "episode length", " to "):
        assert part in text
    stored = json.loads((finished.root / "evaluation.json").read_text())
    assert stored["episodes"] == len(stored["returns"]) == len(stored["successes"]) == 12
    assert stored["lengths"] == [9] * 12
    assert stored["figures"]["mean return"]["value"] == pytest.approx(np.mean(stored["returns"]))
    assert stored["figures"]["success rate"]["value"] == sum(stored["successes"]) / 12


@pytest.mark.slow
def test_the_same_seed_gives_the_same_result(finished: RunDirectory) -> None:
    def returns(seed: int) -> list[float]:
        evaluate(finished, seed=seed, episodes=40)
        return list(json.loads((finished.root / "evaluation.json").read_text())["returns"])

    assert returns(3) == returns(3)
    assert returns(3) != returns(4)


@pytest.mark.slow
def test_fewer_episodes_than_environments_can_be_played(finished: RunDirectory) -> None:
    evaluate(finished, episodes=1, environments=16)
    stored = json.loads((finished.root / "evaluation.json").read_text())
    assert stored["environments"] == 1
    assert stored["figures"]["mean return"]["low"] is None


def test_a_run_without_a_checkpoint_is_refused_with_the_remedy(finished: RunDirectory) -> None:
    shutil.rmtree(finished.checkpoints)
    with pytest.raises(UserError, match=r"has no checkpoint.*checkpoint\.every_s"):
        evaluate(finished)


def test_a_checkpoint_of_another_policy_is_refused(finished: RunDirectory) -> None:
    finished.config.write_text(finished.config.read_text().replace("hidden: 32", "hidden: 16", 1))
    with pytest.raises(UserError, match="does not fit"):
        evaluate(finished)


@pytest.mark.parametrize("settings", [{"episodes": 0}, {"environments": 0}, {"seed": -1}])
def test_numbers_out_of_range_are_refused(finished: RunDirectory, settings: dict[str, int]) -> None:
    with pytest.raises(UserError, match="expected at least"):
        evaluate(finished, **settings)


def test_wilson_intervals_worked_by_hand() -> None:
    # 8 of 10 at z = 2: middle (0.8 + 0.2)/1.4, half 2/1.4 of sqrt(0.016 + 0.01).
    low, high = wilson(8, 10, z=2.0)
    assert low == pytest.approx((1 - 2 * 0.026**0.5) / 1.4)
    assert high == pytest.approx((1 + 2 * 0.026**0.5) / 1.4)


def test_wilson_agrees_with_an_independent_implementation() -> None:
    from scipy.stats import binomtest

    for successes, n in ((0, 5), (1, 30), (17, 40), (40, 40)):
        expected = binomtest(successes, n).proportion_ci(method="wilson")
        assert wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share_and_stays_between_0_and_1(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    assert wilson(n - successes, n) == pytest.approx((1 - high, 1 - low))


def test_wilson_refuses_what_is_no_share() -> None:
    with pytest.raises(ValueError, match="got 3 successes of 2"):
        wilson(3, 2)


def test_the_interquartile_mean_leaves_out_the_outer_quarters() -> None:
    assert interquartile_mean(np.array([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -100.0])) == 3.5
    assert interquartile_mean(np.array([1.0, 5.0])) == 3.0
    assert interquartile_mean(np.array([[0.0, 1.0, 2.0, 9.0], [4.0, 4.0, 4.0, 4.0]])).tolist() == [1.5, 4.0]


def test_the_interquartile_mean_agrees_with_an_independent_implementation() -> None:
    from scipy.stats import trim_mean

    values = np.random.default_rng(0).normal(size=41)
    assert interquartile_mean(values) == pytest.approx(trim_mean(values, 0.25))


@pytest.mark.slow
def test_bootstrap_intervals_are_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(1).normal(size=400)
    figure = bootstrap(values, lambda sample: sample.mean(-1))
    assert figure.low is not None and figure.high is not None
    expected = 2 * 1.96 * values.std() / 400**0.5
    assert figure.high - figure.low == pytest.approx(expected, rel=0.1)
    assert figure == bootstrap(values, lambda sample: sample.mean(-1))


def test_success_is_left_out_where_the_task_does_not_say() -> None:
    ends = [EpisodeEnd("0/0", 1.0, 5, None, False), EpisodeEnd("0/1", 2.0, 7, None, True)]
    figures = figures_of(ends)
    assert "success rate" not in figures
    assert figures["episode length"].value == 6
    assert "success" not in table_of(figures)
