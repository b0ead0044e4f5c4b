"""The measuring of views: every part is in the view of all parts, and the claim is computed from what was measured."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import view_overhead
from benchmarks.view_overhead import (
    LAYOUTS,
    LONG,
    Timed,
    fast_enough,
    layout_like,
    main,
    rate,
    report,
    slowest,
    timed,
    view_of,
    with_tokens,
)
from pipelines.environment.roles import PolicyLearner
from pipelines.errors import UserError
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.parts import NAMES
from rewards.views.view import Config, RewardView


def test_the_view_of_every_part_has_each_once_and_is_computed():
    layout = with_tokens(Layout.of(np.ones(32, np.int64), np.arange(32) // 8))
    view, columns = view_of(list(NAMES), layout, np.random.default_rng(0))
    parts = [part.part for part in view.config.parts]
    assert parts[:-1] == list(NAMES)
    result = view.apply(columns, layout)
    assert len(result.reward) == 32
    assert set(result.streams) == {f"{name}/made" for name in NAMES} - {"weighted_sum/made"}


def test_without_tokens_parts_on_tokens_are_left_out():
    view, _ = view_of(list(NAMES), Layout.of(np.full(4, 8)), np.random.default_rng(0))
    assert {part.part for part in view.config.parts} == set(NAMES) - {"log_ratio_value"}


def test_the_long_view_has_parts_of_every_stage():
    assert {NAMES[name].stage for name in LONG} == {"shaping", "aggregation", "credit", "advantage"}


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", NAMES)
def test_each_part_can_be_timed_in_each_layout(name, layout):
    row = rate(name, layout, 2048, 1)
    assert row["million per second"] > 0 and row["count"] > 0
    assert row["slowest"] <= row["million per second"] <= row["fastest"]


def test_layouts_have_the_size_that_is_asked_for():
    assert layout_like("episodes", 2**12).size("step") == 2**12
    answers = layout_like("answers", 2**12)
    assert answers.size("token") == 2**12 and answers.size("step") == answers.size("episode") == 8 * answers.size(
        "group"
    )


def row(part="clip", layout="episodes", speed=50.0, unit="steps", copy=0.1):
    return {
        "part": part,
        "layout": layout,
        "unit": unit,
        "million per second": speed,
        "of the speed of a copy": copy,
    }


def test_the_slower_layout_counts_and_memory_is_an_excuse():
    assert slowest([row(speed=9.0), row(layout="answers", speed=4.0), row("gate")])[0]["million per second"] == 4.0
    assert fast_enough(row(speed=5.0)) and not fast_enough(row(speed=4.9))
    assert fast_enough(row(speed=2.0, unit="tokens")) and not fast_enough(row(speed=1.9, unit="tokens"))
    assert fast_enough(row(speed=1.0, copy=0.6))


def steps(ample=0.001):
    beside = {"ample": [ample] * 5, "long": [0.05] * 5, "every": [0.1] * 5}
    return Timed([9.0, 9.0, 1.0, 1.1, 1.2], [0.001] * 5, beside, {"own": 2, "ample": 6, "long": 12, "every": 43})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("found", "rates", "true"),
    [
        ({"rlvr": steps()}, [row()], True),
        ({"rlvr": steps(0.03)}, [row()], False),  # too dear
        ({"rlvr": steps()}, [row(), row("gate", speed=1.0)], False),  # a slow part
        ({}, [row()], False),  # nothing measured
    ],
)
def test_the_claim_is_computed(tmp_path, found, rates, true):
    result = report(found, rates, tmp_path, "python -m benchmarks.view_overhead")
    assert result.holds is true
    assert json.loads((tmp_path / "view-overhead.json").read_text())["holds"] is true


def test_the_first_steps_warm_up(tmp_path):
    result = report({"rlvr": steps()}, [row()], tmp_path, "x")
    assert result.figures["rlvr: learner step"].value == pytest.approx(1.1)
    assert result.figures["rlvr: long view of 12 parts"].n == 3
    assert result.figures["rlvr: every view of 43 parts"].value == pytest.approx(0.1 / 1.2, rel=0.02)


class Step:
    """A learner whose step computes a view."""

    view = RewardView(
        Config.model_validate({"name": "v", "parts": [{"part": "scale", "of": "r", "factor": 2, "to": "reward"}]})
    )

    def step(self):
        return self.view.apply({"r": Column.full([1.0, 2.0])}, Layout.of([1, 1])).reward


def test_a_step_is_timed_without_what_is_computed_beside_it_and_gives_what_it_gave():
    before = RewardView.apply
    with timed(Step, "step") as found:
        assert Step().step().tolist() == [2.0, 4.0]
        Step.view.apply({"r": Column.full([1.0])}, Layout.of([1]), learn=False)  # between two steps
    assert RewardView.apply is before
    assert len(found.steps) == len(found.own) == len(found.beside["long"]) == 1
    assert 0 < found.own[0] <= found.steps[0] and found.beside["every"][0] > found.beside["long"][0] > 0
    assert found.parts == {"own": 1, "ample": 6, "long": 12, "every": len(NAMES) - 1}


def test_wrong_keys_are_refused_before_anything_is_measured(monkeypatch):
    monkeypatch.setattr(view_overhead, "rate", None)
    for words, problem in (
        (["speed=9"], "expected keys"),
        (["parts=[clip,magic]"], "magic"),
        (["recipes=[catch]"], "catch"),
        (["updates=2"], "at least"),
    ):
        with pytest.raises(UserError, match=problem):
            main(words)


@pytest.mark.slow
def test_real_learner_steps_are_timed(monkeypatch):
    monkeypatch.setitem(view_overhead.RECIPES, "catch", {"reward.source": "count"})
    found = view_overhead.measured("catch", 4)
    assert len(found.steps) == 4 and all(x > 0 for x in [*found.own, *found.beside["long"]])
    assert PolicyLearner.update.__name__ == "update"
