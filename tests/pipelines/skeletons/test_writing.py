"""What `guerdon new` writes works as it stands, and is written nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import UserError
from pipelines.skeletons.writing import KINDS, write_skeleton

HOUSE = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_the_tests_of_all_four_skeletons_pass(tmp_path: Path) -> None:
    for kind in KINDS:
        write_skeleton(kind, f"my_lab.my_{kind}", tmp_path)
    assert sorted(path.name for path in (tmp_path / "my_lab").iterdir()) == sorted(
        ["__init__.py", *(f"{test}my_{kind}.py" for kind in KINDS for test in ("", "test_"))]
    )
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "my_lab"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{HOUSE}"}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout and "skipped" not in done.stdout


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("mazes", "PACKAGE.NAME"),
        ("../evil.mazes", "PACKAGE.NAME"),
        ("my_lab/../../etc.mazes", "PACKAGE.NAME"),
        ("/tmp/x.mazes", "PACKAGE.NAME"),
        ("my_lab.a.b", "PACKAGE.NAME"),
        ("my_lab.", "PACKAGE.NAME"),
        ("my_lab.class", "PACKAGE.NAME"),
        ("My_Lab.mazes", "PACKAGE.NAME"),
        ("my_lab.mäzes", "PACKAGE.NAME"),
        ("my_lab.test_mazes", "PACKAGE.NAME"),
        ("my_lab.mazes\n", "PACKAGE.NAME"),
        ("rewards.mine", "folder of Guerdon's own"),
        ("tests.mine", "folder of Guerdon's own"),
        ("json.mine", "module of Python's"),
        ("numpy.mine", "installed already"),
    ],
)
def test_names_that_lead_elsewhere_or_are_taken_are_refused(tmp_path: Path, name: str, because: str) -> None:
    with pytest.raises(UserError, match=because):
        write_skeleton("env", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_and_a_place_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected one of env, reward, judge, recipe"):
        write_skeleton("world", "my_lab.mazes", tmp_path)
    with pytest.raises(UserError, match="no directory"):
        write_skeleton("env", "my_lab.mazes", tmp_path / "gone")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "my_lab").mkdir()
    mine = tmp_path / "my_lab" / "test_mazes.py"
    mine.write_text("mine")
    with pytest.raises(UserError, match="there already"):
        write_skeleton("env", "my_lab.mazes", tmp_path)
    assert mine.read_text() == "mine" and list(mine.parent.iterdir()) == [mine]


def test_a_link_out_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "my_lab").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="leads elsewhere"):
        write_skeleton("env", "my_lab.mazes", tmp_path / "here")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_second_one_joins_the_package(tmp_path: Path) -> None:
    write_skeleton("env", "my_lab.mazes", tmp_path)
    written, command = write_skeleton("judge", "my_lab.careful", tmp_path)
    assert [path.name for path in written] == ["careful.py", "test_careful.py"]
    assert "judge.path=my_lab.careful:Careful" in command
