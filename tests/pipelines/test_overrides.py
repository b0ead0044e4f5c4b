"""`key=value`: typed, checked, and told apart from what was meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cluster.manifests.deployment import Deployment
from pipelines.commands.arguments import own_keys
from pipelines.errors import UserError
from pipelines.overrides import apply, explain, parse, read_settings
from pipelines.recipes.table import RECIPES, find_recipe

BASE = find_recipe("catch")


def overridden(*texts):
    return apply(BASE, parse(texts))


def refused(*texts):
    with pytest.raises(UserError) as caught:
        overridden(*texts)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_values_take_the_type_that_their_key_asks_for():
    made = overridden(
        "frames=1_000_000", "learner.learning_rate=1e-4", "minutes=null", "actors.count=4", "task_options.columns=7"
    )
    assert made.frames == 1_000_000 and isinstance(made.frames, int)
    assert made.learner.learning_rate == 1e-4 and made.minutes is None and made.actors.count == 4
    assert made.task_options == {"columns": 7}
    assert overridden("learner.adam_betas=[0.8, 0.99]").learner.adam_betas == (0.8, 0.99)
    assert overridden("tracking.enabled=false").tracking.enabled is False


def test_what_is_not_named_stays():
    made = overridden("seed=7")
    assert made.model_copy(update={"seed": 0}) == BASE


def test_an_override_inherits_nothing_from_another():
    assert find_recipe("catch") == BASE  # and nothing is kept in the recipe


def test_reward_and_judge_have_short_forms():
    made = overridden("reward=ranking", "judge=rules")
    assert made.reward.source == "ranking" and made.judge.kind == "rules"
    assert overridden("reward.source=rnd").reward.source == "rnd"


@pytest.mark.parametrize("order", [1, -1])
def test_settings_of_another_judge_may_stand_before_or_behind_its_kind(order):
    texts = ["judge=openai", "judge.url=http://localhost:1/v1", "judge.model=m"][::order]
    judge = overridden(*texts).judge
    assert (judge.kind, judge.url, judge.model) == ("openai", "http://localhost:1/v1", "m")


def test_the_same_kind_of_judge_keeps_its_settings():
    experiment = overridden("judge=rules", "judge.goal=collect gold")
    assert apply(experiment, {"judge": "rules", "seed": 1}).judge.goal == "collect gold"
    assert apply(experiment, {"judge": "builtin"}).judge.goal is None


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("frame=5", "frames"),
        ("learner.learning_rat=1", "learning_rate"),
        ("actor.count=1", "actors"),
        ("reward.sorce=count", "source"),
        ("seeed=1", "seed"),
        ("ray.adress=auto", "address"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(text, near):
    message = refused(text)
    assert message.startswith(f"unknown key '{text.split('=')[0]}'") and "did you mean" in message and near in message


def test_a_key_like_no_other_is_answered_with_all_of_them():
    assert "expected one of" in refused("zzzzzz=1")


def test_a_path_through_a_value_is_an_unknown_key():
    assert "unknown key 'seed.more'" in refused("seed.more=1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("frames=many", "frames: got 'many'"),
        ("frames=", "frames: got ''"),
        ("frames=0", "frames: got 0"),
        ("frames=1.5", "frames: got 1.5"),
        ("frames=.nan", "frames: got nan"),
        ("seed=-1", "seed: got -1"),
        ("runner=cloud", "runner: got 'cloud'"),
        ("reward=praise", "reward.source: got 'praise'"),
        ("judge=oracle", "judge: "),
        ("judge.modle=x", "judge.modle: got 'x'"),
        ("learner.gamma=2", "learner.gamma: got 2"),
        ("policy.crop=8", "policy.crop: got 8"),
        ("actors={count: 0}", "actors.count: got 0"),
        ("frames=10", "raise frames"),
        ("seed={a: 1}", "seed: "),
        ("name=2024-13-45", "not a YAML value; quote it"),
        ("name={a: ", "not a YAML value; quote it"),
        ("name=!!python/object:os.system x", "not a YAML value; quote it"),
        ("frames", "expected key=value"),
        ("=5", "expected key=value"),
    ],
)
def test_a_value_that_does_not_fit_is_said_with_its_key(text, said):
    assert said in refused(text)


@pytest.mark.parametrize(
    "text", ["tracking.uri=postgresql://me:word@host/mlflow", "judge.url=https://me:word@judge/v1"]
)
def test_a_password_in_an_address_does_not_get_into_a_config(text):
    said = refused("judge=openai", text)
    assert "can be read by many" in said and "word" not in said.replace("password", "")


def test_names_and_texts_are_what_was_typed_and_quotes_are_taken_off():
    typed = ["run=20261129_01", "message=Sort this: a # quickly", "resume=010", "system='no'", "seed=010"]
    assert parse(typed, ("run", "message", "resume", "system")) == {
        "run": "20261129_01",
        "message": "Sort this: a # quickly",
        "resume": "010",
        "system": "no",
        "seed": 8,
    }
    assert own_keys(["run=1_0", "max_mb=5", "frames=3"], run="", max_mb=100.0) == (
        {"run": "1_0", "max_mb": 5.0},
        ["frames=3"],
    )


def test_a_key_given_twice_is_refused():
    assert "'seed' twice" in refused("seed=1", "seed=2")


def test_lockstep_needs_whole_rounds_of_fragments():
    message = refused("max_staleness=0", "actors.count=2", "batch_fragments=3")
    assert "batch_fragments (3)" in message and "actors.count (2)" in message


@given(st.text(max_size=30))
def test_no_text_brings_anything_but_an_experiment_or_one_line(text):
    try:
        overridden(text)
    except UserError as error:
        assert "\n" not in str(error)


@given(st.sampled_from(["frames", "seed", "minutes", "learner.gamma", "task", "judge", "reward", "actors"]), st.text())
def test_no_value_does_either(key, value):
    try:
        overridden(f"{key}={value}")
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_an_experiment_that_yaml_can_carry(name):
    import yaml

    experiment = find_recipe(name)
    assert experiment.name == name
    assert (
        type(experiment).model_validate(yaml.safe_load(yaml.safe_dump(experiment.model_dump(mode="json"))))
        == experiment
    )


def test_an_unknown_recipe_is_answered_with_the_nearest_and_all():
    with pytest.raises(UserError, match=r"unknown recipe 'cacth'; did you mean catch.*\? Recipes: main, catch"):
        find_recipe("cacth")
    with pytest.raises(UserError, match=r"unknown recipe 'zzz'\. Recipes"):
        find_recipe("zzz")


def test_a_recipe_by_dotted_path(tmp_path, monkeypatch):
    (tmp_path / "my_recipes.py").write_text(
        "from pipelines.recipes.catch import catch\n"
        "def mine(): return catch().model_copy(update={'name': 'mine'})\n"
        "def number(): return 5\n"
        "def broken(): return type(catch())(task='catch', frames=0)\n"
        "def divides(): return 1 / 0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert find_recipe("my_recipes:mine").name == "mine"
    for path, said in {
        "my_recipes:number": "got a int; expected an Experiment",
        "my_recipes:none": "cannot be loaded",
        "my_recipes:broken": "cannot be loaded",
        "my_recipes:divides": "cannot be loaded: ZeroDivisionError: division by zero",
        "no_such_module:x": "cannot be loaded",
        ":x": "cannot be loaded",
    }.items():
        with pytest.raises(UserError, match=said) as caught:
            find_recipe(path)
        assert "\n" not in str(caught.value)


def test_a_view_in_a_file_of_settings_is_taken_whole(tmp_path):
    (tmp_path / "own.yaml").write_text(
        "reward:\n  observed: {corner: board.9.0}\n"
        "  view: {name: own, parts: [{part: scale, of: corner, factor: 2, to: reward}]}\n"
    )
    found = apply(find_recipe("catch"), read_settings(tmp_path / "own.yaml"))
    assert found.reward.view.name == "own" and found.reward.observed == {"corner": "board.9.0"}


def test_what_was_got_is_said_once():
    said = refused("judge=custom", "judge.path=nowhere")
    assert said.count("got ") == 1
    with pytest.raises(ValidationError) as caught:
        Deployment.model_validate({"name": "A_b"})
    assert explain(caught.value).count("got 'A_b'") == 1
