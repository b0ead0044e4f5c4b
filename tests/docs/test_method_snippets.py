"""What `guerdon methods show` gives to be copied is true: runs take its views, and its Python fits what it calls."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import shlex
import sys
from types import ModuleType

import pytest
import torch
import yaml
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.language.experiment import LanguageExperiment
from pipelines.methods import DOCS, card, read_index, trial
from pipelines.overrides import apply
from pipelines.recipes.language import LANGUAGE_RECIPES
from pipelines.recipes.table import RECIPES
from rewards.functions import reward
from rewards.judges.rubric import load
from rewards.views.view import RewardView

SHOWN = [method for method in read_index() if method.config]
VIEWS = [method for method in SHOWN if method.view is not None]
PYTHON = [method for method in SHOWN if "import " in method.config]


def named(method):
    return f"{method.n}-{method.name}"


@reward(subject="row", version="1")
def anything(completion: str) -> float:
    """Stands for a reward of one's own."""
    return float(len(completion))


class MyLab(ModuleType):
    """A package of the user's with a function for every column."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return anything


@pytest.fixture
def my_lab(monkeypatch):
    for name in ("my_lab", "my_lab.rewards", "my_lab.columns"):
        monkeypatch.setitem(sys.modules, name, MyLab(name))


@pytest.mark.slow
@pytest.mark.parametrize("method", VIEWS, ids=named)
def test_a_view_is_taken_by_the_run_that_it_is_for_or_by_a_loop_of_one_s_own(method, my_lab):
    command = trial(method)
    if command is None:
        assert RewardView(method.view).levels["reward"]
        assert "in a loop of your own" in card(method)
        return
    assert f"try       {command}" in card(method)
    found = CliRunner().invoke(app, shlex.split(command)[1:])
    assert found.exit_code == 0, found.exception
    shown = yaml.safe_load(found.output)
    assert (shown["rewards"] if method.run == "language" else shown["reward"])["view"]["name"] == method.name


def test_a_dry_run_of_a_language_model_refuses_a_view_that_its_rewards_do_not_fit():
    view = "rewards.view={name: x, parts: [{part: scale, of: rihgt, factor: 1, to: reward}]}"
    found = CliRunner().invoke(app, ["train", "rlvr", view, "--dry-run"])
    assert "got column 'rihgt'" in str(found.exception)


@pytest.mark.slow
@pytest.mark.parametrize("method", PYTHON, ids=named)
def test_python_runs_as_it_stands_or_where_names_are_left_open_fits_what_it_calls(method, tmp_path, monkeypatch):
    tree = ast.parse(method.config)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    given = {a.name: getattr(importlib.import_module(node.module), a.name) for node in imports for a in node.names}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)} | arguments | {*given} | {*dir(builtins)}
    bound |= {a.asname or a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    if {node.id for node in names} <= bound:
        torch.manual_seed(0)
        (tmp_path / f"shown_{method.n}.py").write_text(method.config, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        importlib.import_module(f"shown_{method.n}")
        return
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in given):
            continue
        if not any(isinstance(argument, ast.Starred) for argument in call.args) and all(k.arg for k in call.keywords):
            signature = inspect.signature(given[call.func.id])
            signature.bind(*call.args, **{keyword.arg: keyword.value for keyword in call.keywords})


def test_recipes_settings_and_rubrics_that_are_shown_are_there(tmp_path):
    rubrics = 0
    for method in SHOWN:
        for line in method.config.splitlines():
            if line.startswith("guerdon train "):
                assert line.split()[2] in {*RECIPES, *LANGUAGE_RECIPES}
        if "# a rubric file" in method.config:
            path = DOCS.parent / "rubric-of-this-test.yaml"
            text = method.config.replace("{rubric: rewards/", f"{{rubric: {DOCS.parent}/rewards/")
            (tmp_path / path.name).write_text(text)
            assert load(tmp_path / path.name).kind
            rubrics += 1
        elif method.config.startswith("rewards:"):
            assert isinstance(apply(LANGUAGE_RECIPES["rlvr"](), yaml.safe_load(method.config)), LanguageExperiment)
    assert rubrics == 3
