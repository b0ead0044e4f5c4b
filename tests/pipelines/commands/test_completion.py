"""What the shell offers after TAB, asked as a shell asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.commands.completion import complete_runs, keys_of, offered
from pipelines.experiment import Experiment


def test_keys_are_those_of_the_experiment_and_values_where_they_are_few() -> None:
    keys = keys_of(Experiment)
    assert keys["learner.learning_rate"] == [] and "reward.source" in keys
    assert {"local", "distributed"} <= set(keys["runner"])
    assert {"rules", "builtin", "openai", "custom"} <= set(keys["judge.kind"])
    assert keys["tracking.enabled"] == ["true", "false"]


def test_runs_are_offered_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place, name in enumerate(("catch-1", "catch-2", "other")):
        path = tmp_path / "runs" / name / "config.yaml"
        path.parent.mkdir(parents=True)
        path.write_text("")
        os.utime(path, (place, place))
    (tmp_path / "runs" / "no-run").mkdir()
    assert complete_runs("") == ["last", "other", "catch-2", "catch-1"]
    assert complete_runs("catch") == ["catch-2", "catch-1"]


def test_what_is_offered_is_kept_and_made_anew_when_it_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUERDON_CACHE", str(tmp_path))
    first = offered()
    assert "main" in first["recipes"] and "rlvr" in first["language_recipes"]
    (tmp_path / "completion.json").write_text("{")
    assert offered() == first


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what is offered is kept, for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "expected", "never"),
    [
        ("guerdon train ca", "catch", "main"),
        ("guerdon train catch learner.gam", "learner.gamma=", "catch"),
        ("guerdon train catch judge.kind=ru", "judge.kind=rules", "judge.kind=openai"),
        ("guerdon new re", "reward", "judge"),
    ],
)
def test_the_shell_gets_what_it_asks_for(cache: Path, line: str, expected: str, never: str) -> None:
    asked = {
        "_GUERDON_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
        "GUERDON_CACHE": str(cache),
    }
    done = subprocess.run(
        [sys.executable, "-c", "from pipelines.cli import app; app(prog_name='guerdon')"],
        env={**os.environ, **asked},
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        timeout=250,
    )
    found = done.stdout.split()
    assert expected in found and never not in found, done.stdout + done.stderr
