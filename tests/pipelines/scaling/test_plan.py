"""The plan of a run, from rates that are kept: what it says, by numbers worked by hand."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from benchmarks.cluster_scaling import paper
from pipelines.commands.planning import plan as command
from pipelines.errors import UserError
from pipelines.machines.trial import Trial, UpdateRate, rate_between
from pipelines.overrides import apply
from pipelines.recipes.catch import catch
from pipelines.results import Figure, write_result
from pipelines.scaling import plan as planning
from pipelines.scaling.cost_model import Costs
from pipelines.scaling.fitted import Rates, fit_rows, layout_of, memory_of, seen_of, stored_rates
from pipelines.scaling.plan import plan, plan_language

COSTS = Costs(actor=1e-3, learner=1e-4, questions=0.01, judge_tokens=50.0, weights=2**20, row=1000.0, judge=1e-3)
RATES = Rates(COSTS, {"actor": 100.0, "learner": 300.0, "driver": 200.0, "ray": 400.0}, 2)


@pytest.fixture
def said(monkeypatch, tmp_path):
    """What the plan of some settings says."""
    kept = write_result(
        tmp_path / "cluster-scaling.json",
        "cluster-scaling",
        "a claim that is long enough",
        True,
        "nothing",
        {"x": Figure(value=1.0, unit="s", low=None, high=None, n=1)},
        list(fit_rows("catch", RATES)),
    )
    assert kept.rows
    monkeypatch.setattr(
        planning, "stored_rates", lambda recipe: stored_rates(recipe, tmp_path / "cluster-scaling.json")
    )

    def say(recipe="catch", steps=0, nodes=1, cores=2, **values):
        console = Console(record=True, width=200, file=io.StringIO())
        experiment = apply(catch(), {key.replace("__", "."): value for key, value in values.items()})
        plan(recipe, [], experiment, steps, nodes, cores, 10.0, False, 1.0, console)
        return console.export_text()

    return say


def test_rates_are_kept_and_read_back(said, tmp_path):
    assert stored_rates("catch", tmp_path / "cluster-scaling.json") == RATES
    assert stored_rates("nethack-score", tmp_path / "cluster-scaling.json") is None
    assert stored_rates("catch", tmp_path / "nowhere.json") is None


@pytest.mark.parametrize(("part", "message"), [("cost actor", "actor"), ("cores", "how many cores")])
def test_a_rate_that_is_null_is_no_rate_of_zero(part, message, tmp_path):
    rows = [{**row, "value": None} if row["name"] == part else row for row in fit_rows("catch", RATES)]
    figures = {"x": Figure(value=1.0, unit="s", low=None, high=None, n=1)}
    path = tmp_path / "cluster-scaling.json"
    write_result(path, "cluster-scaling", "a claim that is long enough", True, "nothing", figures, rows)
    with pytest.raises(ValueError, match=message):
        stored_rates("catch", path)


@pytest.mark.parametrize("word", ["gbit=0", "gbit=.nan", "gbit=-1", "seconds=0", "nodes=-1"])
def test_a_machine_that_cannot_be_is_refused(word):
    with pytest.raises(UserError, match=word.partition("=")[0]):
        command(["catch", word])


def test_a_plan_says_how_long_and_what_holds_it_up(said):
    text = said(steps=1_000_000, actors__count=1)
    # One actor makes a frame in 1 ms; a rollout of 16 × 9 frames has no hop here.
    assert "about 1,000 frames/s on 1 × 2 cores: 1,000,000 frames in 16 min 40 s" in text
    first = text[text.index("bottlenecks") :].splitlines()[4]
    assert "env actors" in first and "1,000" in first and "actors.count" in first


def test_of_roles_that_come_and_go_it_says_how_many_there_may_be_and_for_how_many_the_rate_is(said):
    text = said(actors__count=4, scaling__actors={"least": 2, "most": 8})
    assert "2 to 8" in text and "rate with actors.count=4: about" in text
    assert " to " not in said(actors__count=4).partition("CPUs")[0]


def test_money_and_tokens_are_of_the_questions_and_only_where_there_is_a_judge(said):
    text = said(steps=100_000, reward__source="retrieval", judge__kind="rules", prices__million_tokens=4.0)
    assert "at most 1,000 questions and 50,000 tokens, 0.20 by prices.*" in text
    assert "judge:" not in said()


def test_memory_counts_each_process(said):
    assert f"memory about {(3 * 100 + 300 + 200 + 400) / 1024:.1f} GiB" in said(actors__count=3)


def test_thousands_of_actors_on_cores_of_their_own(said):
    text = said(actors__count=4096, nodes=0, cores=64)
    first = text[text.index("bottlenecks") :].splitlines()[4]
    # 10 Gbit/s carry 1 MiB to each of 64 other nodes 18.6 times a second, for 144 frames each time.
    assert "on 65 × 64 cores" in text and "weight broadcast" in first and "2,682" in first
    rows = paper("catch", COSTS, layout_of(catch(), 1, 2, 1e9), 64, 25.0)
    assert [row["actors"] for row in rows] == [16, 16, 256, 256, 4096, 4096]
    assert {"first", "moved_by", "frames_per_s"} <= set(rows[0])


def test_without_rates_it_says_how_to_have_them_and_what_is_asked_for(said):
    text = said(recipe="unmeasured")
    assert "measure=true" in text and "learner" in text and "frames/s" not in text
    assert "time, memory, disk and the judge's questions are not known" in text


def test_a_trial_becomes_costs_by_part():
    seen = Trial(
        frames_per_s=100.0,
        window_s=5.0,
        stages={},
        processors={"env-actor-0": 100.0, "env-actor-1": 300.0, "learner": 50.0, "ray": 20.0, "runner": 10.0},
        memory_mb={"env-actor-0": 100.0, "env-actor-1": 140.0, "learner": 50.0},
        own_mb={},
        weight_age=None,
        metrics={"frames": 1000.0, "judge/asked": 20.0, "judge/tokens": 400.0},
    )
    layout = layout_of(apply(catch(), {"actors.count": 2}), 1, 2, 1e9)
    found = seen_of(seen, layout, 8.0, 16.0)
    assert found.seconds == pytest.approx({"actor": 4e-4, "learner": 5e-5, "ray": 2e-5, "driver": 1e-5})
    assert (found.questions, found.judge_tokens) == (0.02, 20.0)
    assert memory_of(seen, layout) == {"actor": 120.0, "learner": 50.0}


def test_a_rate_that_makes_no_sense_is_said(monkeypatch):
    with pytest.raises(UserError, match="measure=true"):
        planning._time(float("inf"))


def test_an_address_that_nobody_listens_at_is_said(said):
    with pytest.raises(UserError, match=r"nobody listens at '127\.0\.0\.1:1'"):
        said(ray__address="127.0.0.1:1")


def test_the_time_of_a_language_run_is_that_of_its_updates(monkeypatch):
    from pipelines.recipes.language import LANGUAGE_RECIPES

    asked = []
    rate = rate_between(
        {"updates": 3, "elapsed_s": 10.0, "episodes": 100, "frames": 1000},
        {"updates": 8, "elapsed_s": 20.0, "episodes": 300, "frames": 5000},
    )
    assert rate == UpdateRate(seconds=2.0, updates=5, tokens=20.0)
    monkeypatch.setattr(planning, "update_rate", lambda words, seconds: asked.append((words, seconds)) or rate)
    experiment = apply(LANGUAGE_RECIPES["rlvr"](), {"prompts": 4, "group_size": 8})

    def say(measure):
        console = Console(record=True, width=200, file=io.StringIO())
        plan_language(["rlvr"], experiment, 1800, measure, 5.0, console)
        return console.export_text()

    assert "not known; measure=true" in say(False) and not asked
    text = say(True)
    assert "2.00 s an update" in text and "1,800 updates in 1 h 0 min" in text and asked == [(["rlvr"], 5.0)]
    assert f"about 20 an answer, {1800 * 32 * 20:,} in all" in text


def test_no_answers_meanwhile_are_no_tokens_rather_than_none_each():
    line = {"episodes": 100, "frames": 1000}
    rate = rate_between({"updates": 1, "elapsed_s": 1.0, **line}, {"updates": 2, "elapsed_s": 4.0, **line})
    assert rate == UpdateRate(3.0, 1, None)
