"""What is set beside `make train` reaches the run, whatever it holds; what is make's own does not."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]


def test_settings_beside_make_train_reach_the_run(tmp_path):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    settings = [
        "minutes=3",
        "name=x",
        "judge.goal=the king's $(water) `now`",
        "reward.view={name: x, parts: [1]}",
    ]
    own = [f"VENV={tmp_path}", "ARGS=minihack seed=7"]
    for stamp in (".ready", ".ready-dev"):
        (tmp_path / stamp).touch()
    done = subprocess.run(
        ["make", "--dry-run", "train", *own, *settings],
        cwd=HOUSE,
        env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")},  # of `make test`
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    train = shlex.split(done.stdout.splitlines()[-1])
    assert train[:4] == [f"{tmp_path}/bin/guerdon", "train", "minihack", "seed=7"]
    assert sorted(train[4:]) == sorted(settings)
