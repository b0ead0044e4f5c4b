from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.house import CHECKOUT, FOLDERS, HouseError, check_house, places

CHECK = """
from pipelines.house import HouseError, check_house
try:
    check_house()
except HouseError as error:
    print(error)
"""


def start(*path: Path) -> str:
    """What the check prints in a fresh Python with `path` in front."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    answer = subprocess.run(
        [sys.executable, "-c", CHECK], env=environment, cwd=path[0], capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def test_each_folder_resolves_to_this_checkout():
    check_house()
    assert [places(folder) for folder in FOLDERS] == [[CHECKOUT / folder] for folder in FOLDERS]


def test_a_clean_path_passes_in_a_fresh_process():
    assert start(CHECKOUT) == ""


def test_a_package_of_the_same_name_earlier_on_the_path_is_named(tmp_path):
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "__init__.py").touch()
    message = start(tmp_path, CHECKOUT)
    assert f"got {tmp_path.resolve()}/envs for the name 'envs'; expected {CHECKOUT}/envs alone" in message
    assert "Rename" in message and "PYTHONPATH" in message


def test_a_package_of_the_same_name_later_on_the_path_is_named_too(tmp_path):
    # Folders without __init__.py give way to a package with one, wherever it stands.
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "__init__.py").touch()
    assert f"got {tmp_path.resolve()}/envs for the name 'envs'" in start(CHECKOUT, tmp_path)


def test_a_folder_that_would_be_merged_with_ours_is_named(tmp_path):
    (tmp_path / "rewards").mkdir()
    assert f"got {tmp_path.resolve()}/rewards for the name 'rewards'" in start(CHECKOUT, tmp_path)


def test_a_module_of_the_same_name_is_named(tmp_path):
    (tmp_path / "learners.py").touch()
    assert f"got {tmp_path.resolve()}/learners.py for the name 'learners'" in start(tmp_path, CHECKOUT)


def test_another_checkout_than_the_one_that_runs_is_refused(tmp_path):
    with pytest.raises(HouseError, match="for the name 'actors'; expected"):
        check_house(tmp_path)


def test_a_job_uses_the_checkout_that_it_brought_where_a_node_has_one_too(tmp_path, monkeypatch):
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for place in (mine, theirs):
        for folder in FOLDERS:
            (place / folder).mkdir(parents=True)
    monkeypatch.setattr("pipelines.house.places", lambda folder: [mine / folder, theirs / folder])
    with pytest.raises(HouseError):
        check_house(mine)
    monkeypatch.setenv("GUERDON_JOB", "1")
    check_house(mine)
    with pytest.raises(HouseError):
        check_house(theirs)
