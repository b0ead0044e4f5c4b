"""Columns of what a step led to, worked by hand on the games that a policy plays."""

from __future__ import annotations

import sys
import textwrap

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from actors.policy import Config as PolicyConfig
from actors.policy import RecurrentPolicy
from actors.unroll import Unroll
from envs.catch import State, draw, places
from envs.specs import ArraySpec, Discrete, EnvSpec
from envs.tasks import make_task
from envs.trajectory import unragged
from envs.vector import VectorEnvironment
from pipelines.errors import UserError
from pipelines.experiment import Experiment, RewardConfig
from pipelines.observed import Observed, Steps, steps_of
from pipelines.overrides import apply, parse
from pipelines.recipes.imagination import direction, progress
from pipelines.recipes.table import find_recipe
from pipelines.recipes.words import likeness
from pipelines.reward_stage import RewardStage, layout_of
from pipelines.train import check

LAB = """
    import numpy as np
    def paddle(steps): return (steps.after["board"][:, -1] == 2).argmax(-1)
    def moved(steps): return np.where(steps.action == 1, np.nan, steps.action - 1)
    def short(steps): return np.zeros(1)
    def huge(steps): return np.full(len(steps.action), np.inf)
    def broken(steps): raise KeyError("no such thing")
    number = 3
"""
SPEC = EnvSpec({"x": ArraySpec((2, 3), "float32"), "level": ArraySpec((), "int64")}, Discrete(2))
VIEW = {"name": "own", "parts": [{"part": "scale", "of": "paddle", "factor": 1, "to": "reward"}]}


@pytest.fixture
def lab(tmp_path, monkeypatch):
    (tmp_path / "columns_of_a_user.py").write_text(textwrap.dedent(LAB))
    monkeypatch.syspath_prepend(tmp_path)
    yield "columns_of_a_user"
    sys.modules.pop("columns_of_a_user", None)


def played(task="catch", length=13, **options):
    torch.manual_seed(0)
    vector = VectorEnvironment(make_task(task, **options), 2, 0)
    actor = Unroll(vector, RecurrentPolicy(vector.spec, PolicyConfig(hidden=8, crop=3)), length, 0, 0, 0)
    return actor.rollout()[1]


def test_an_entry_is_read_from_what_each_step_led_to():
    rows = played("catch-overseen", errs=0.4)
    found = Observed({"by": "takeover.0", "left": "takeover.1"})(rows)
    after = steps_of(rows).after["takeover"]
    assert found["by"].values.tolist() == after[:, 0].tolist() and found["left"].values.tolist() == after[:, 1].tolist()
    assert 0 < found["by"].values.mean() < 1 and found["by"].valid.all()


def test_steps_hold_what_was_seen_before_and_after_each_of_them():
    rows = played()
    steps = steps_of(rows)
    assert steps.lengths.sum() == len(steps.action) == 26 and (steps.lengths <= 9).all()
    for before, action, after in zip(steps.before["board"], steps.action, steps.after["board"], strict=True):
        was, is_ = places(before)[1], places(after)[1]
        assert is_ == min(max(was + action - 1, 0), 4)


def test_a_function_gives_a_number_of_each_step_and_nan_is_null(lab):
    rows = played()
    found = Observed({"paddle": f"{lab}:paddle", "moved": f"{lab}:moved"})(rows)
    action = unragged(rows.column("action"))
    assert found["moved"].valid.tolist() == (action != 1).tolist()
    assert found["moved"].values[action != 1].tolist() == (action[action != 1] - 1).tolist()
    stage = RewardStage(RewardConfig(source="extrinsic", observed={"paddle": f"{lab}:paddle"}, view=VIEW))
    assert stage(rows).reward.tolist() == found["paddle"].values.tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y.0", "expected an observation out of x, level"),
        ("x.0", "such as x.0.0"),
        ("x.0.3", "such as x.0.0"),
        ("level.0", "expected one entry, such as level"),
        ("x", "such as x.0.0"),
    ],
)
def test_an_entry_that_is_not_there_is_refused(text, message):
    Observed({"a": "x.1.2", "b": "level"}).check(SPEC)
    with pytest.raises(ValueError, match=message):
        Observed({"a": text}).check(SPEC)


@pytest.mark.parametrize(
    ("name", "message"),
    [("short", "one finite number of each"), ("huge", "one finite number"), ("broken", "raised KeyError")],
)
def test_a_function_that_gives_something_else_is_refused_before_the_run(lab, name, message):
    with pytest.raises(ValueError, match=message):
        Observed({"a": f"{lab}:{name}"}).check(SPEC)


def test_a_path_that_leads_to_no_function_is_refused(lab):
    with pytest.raises(ValueError, match="cannot be imported"):
        Observed({"a": "no_such_lab:f"})
    with pytest.raises(ValueError, match="expected a function of Steps"):
        Observed({"a": f"{lab}:number"})


def test_the_command_line_gives_columns_and_wrong_ones_are_told_before_anything_starts():
    given = parse(["reward.observed.paddle=board.9.0", f"reward.view={VIEW}"])
    experiment = apply(find_recipe("catch"), given)
    assert experiment.reward.observed == {"paddle": "board.9.0"}
    check(experiment)
    with pytest.raises(UserError, match=r"reward.observed: column 'paddle': got 'board.10.0' of shape \[10, 5\]"):
        check(apply(experiment, {"reward.observed.paddle": "board.10.0"}))


@pytest.mark.parametrize(
    ("observed", "view", "message"),
    [
        ({"paddle": "x.0"}, None, "no view that reads them"),
        ({"paddle": "x.0", "intrinsic": "x.0"}, VIEW, "expected other names"),
        ({"paddle": "x.0", "a-b": "x.0"}, VIEW, "letters, digits"),
        ({"a": "x.0"}, VIEW, "got column 'paddle'"),
    ],
)
def test_columns_that_no_view_can_read_are_refused(observed, view, message):
    with pytest.raises(ValidationError, match=message):
        RewardConfig.model_validate({"source": "extrinsic", "observed": observed, "view": view})


def test_columns_that_nobody_asked_for_change_no_hash_and_others_do():
    reward = {
        "source": "extrinsic",
        "view": VIEW | {"parts": [{"part": "scale", "of": "extrinsic", "factor": 1, "to": "reward"}]},
    }
    plain, none, some = (
        Experiment(name="x", task="catch", reward=RewardConfig.model_validate(reward | more))
        for more in ({}, {"observed": {}}, {"observed": {"paddle": "board.9.0"}})
    )
    assert plain.identity() == none.identity() != some.identity()
    assert plain.reward_version("j") == none.reward_version("j") != some.reward_version("j")


def test_interventions_cost_the_step_before_them_and_nothing_else_does():
    experiment = find_recipe("catch-interventions")
    rows = played(experiment.task, length=9, notices=1.0, errs=0.0)
    stage = RewardStage(experiment.reward)
    by = stage.columns(rows)["intervened"].values.astype(bool)
    onsets = 0
    for length in layout_of(rows).steps:
        mine, by = by[:length], by[length:]
        onsets += int((~mine[:-1] & mine[1:]).sum())
    result = stage(rows)
    assert -result.reward.sum() == onsets > 0 and result.weight.all()


@pytest.mark.slow
def test_who_goes_where_demonstrations_would_is_paid_for_the_direction():
    rows = played(length=9)
    steps = steps_of(rows)
    ball, before, after = (np.array([places(b)[k] for b in boards]) for boards, k in _boards(steps))
    apart = (ball != before) & (np.tile(np.arange(9), 2) < 7)  # nobody comes far in the last steps
    assert apart.any()
    assert direction(steps)[apart].tolist() == np.sign((after - before) * (ball - before))[apart].tolist()
    np.testing.assert_allclose(progress(steps), np.tile(np.arange(1, 10) / 9, 2), atol=0.02)
    found = RewardStage(find_recipe("catch-imagined").reward).columns(rows)
    assert set(found) == {"extrinsic", "direction", "progress"}


def _boards(steps):
    return [(steps.before["board"], 0), (steps.before["board"], 1), (steps.after["board"], 1)]


@pytest.mark.slow
def test_a_board_that_is_as_the_words_wish_is_paid_more_than_one_that_is_not():
    boards = np.stack([draw(State(*state)) for state in np.ndindex(9, 5, 5)])
    steps = Steps({"board": boards}, np.zeros(len(boards)), {"board": boards}, np.array([len(boards)]))
    under = np.array([places(board)[0] == places(board)[1] for board in boards])
    found = likeness(steps)
    assert found[under].mean() > found[~under].mean() + 0.03
    assert find_recipe("catch-worded").reward.observed == {"likeness": "pipelines.recipes.words:likeness"}
