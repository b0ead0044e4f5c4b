"""Run directories: found by name, locked while written, and refused where they cannot be written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple

import pytest

from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory


def made(runs, name):
    directory = RunDirectory.create(runs, name)
    directory.config.write_text("task: catch\n")
    directory.unlock()
    return directory


def test_two_runs_of_one_name_in_one_second_are_two_directories(tmp_path):
    roots = {made(tmp_path, "a").root for _ in range(3)}
    assert len(roots) == 3 and all(root.parent == tmp_path for root in roots)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "x" * 200, "-x", "ä"])
def test_names_that_are_not_folder_names_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="expected letters, digits"):
        RunDirectory.create(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_a_run_is_found_by_path_by_name_and_as_the_last(tmp_path):
    one, two = made(tmp_path, "one"), made(tmp_path, "two")
    os.utime(one.root, (2, 2))
    os.utime(two.root, (1, 1))
    (tmp_path / "mlflow.db").touch()
    (tmp_path / "not-a-run").mkdir()
    (tmp_path / ".three.fetching-x").mkdir()
    (tmp_path / ".three.fetching-x" / "config.yaml").touch()
    assert RunDirectory.existing(str(one.root), tmp_path / "elsewhere").root == one.root
    assert RunDirectory.existing(two.root.name, tmp_path).root == two.root
    assert RunDirectory.existing("last", tmp_path).root == one.root


@pytest.mark.parametrize("text", ["nowhere", "not-a-run", "mlflow.db", "", "last"])
def test_what_is_not_a_run_is_said_to_be_none(tmp_path, text):
    (tmp_path / "not-a-run").mkdir()
    (tmp_path / "mlflow.db").touch()
    with pytest.raises(UserError, match=r"expected a directory with a config\.yaml|there is no run below"):
        RunDirectory.existing(text, tmp_path)


def test_two_processes_cannot_write_to_one_run(tmp_path):
    directory = RunDirectory.create(tmp_path, "a")
    with pytest.raises(UserError, match="another process is writing"):
        RunDirectory(directory.root).lock()
    directory.unlock()
    again = RunDirectory(directory.root)
    again.lock()
    again.unlock()


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path):
    (tmp_path / "r").mkdir()
    program = (
        "import fcntl, os, sys\n"
        "d = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(d, fcntl.LOCK_EX)\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-S", "-c", program, str(tmp_path / "r" / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout.readline() == "locked\n"
        directory = RunDirectory(tmp_path / "r")
        with pytest.raises(UserError, match="another process is writing"):
            directory.lock()
    finally:
        other.kill()
        other.communicate()
    directory.lock()
    directory.unlock()


def test_a_mount_that_knows_no_locks_is_not_taken_for_another_process(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr("pipelines.run_directory.fcntl.flock", none)
    with pytest.raises(UserError, match=r"cannot be locked \(Operation not supported\); set runs="):
        RunDirectory.create(tmp_path, "a")


def test_a_nearly_full_disk_is_refused_before_anything_starts(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 5 * 2**20))
    with pytest.raises(UserError, match=r"only 5 MB are free below .*; expected 200: make room or set runs="):
        RunDirectory.create(tmp_path, "a")


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot make a run directory below .*; set runs="):
        RunDirectory.create(tmp_path / "file", "a")


def test_what_was_not_begun_leaves_nothing_behind_and_what_was_is_left_as_it_is(tmp_path):
    nothing, begun = RunDirectory.create(tmp_path, "nothing"), RunDirectory.create(tmp_path, "begun")
    begun.config.write_text("task: catch\n")
    for directory in (nothing, begun):
        directory.leave()
    assert list(tmp_path.iterdir()) == [begun.root] and begun.config.is_file()
    begun.lock()
    begun.unlock()


def test_lines_are_read_up_to_one_that_was_cut_short(tmp_path):
    directory = RunDirectory(tmp_path)
    assert list(directory.lines(directory.metrics)) == []
    records = [{"n": n, "text": "a\u2028b\nc ☃"} for n in range(3)]
    for record in records:
        directory.append_line(directory.metrics, record)
    assert list(directory.lines(directory.metrics)) == records
    whole = directory.metrics.read_bytes()
    for end in range(len(whole)):
        directory.metrics.write_bytes(whole[:end])
        # Without its line feed the last record may be whole already.
        assert list(directory.lines(directory.metrics)) in (
            records[: whole[:end].count(b"\n")],
            records[: whole[: end + 1].count(b"\n")],
        )


def test_a_line_that_was_cut_short_does_not_take_the_next_with_it(tmp_path):
    directory = RunDirectory(tmp_path)
    directory.append_line(directory.events, {"what": "died"})
    with directory.events.open("a") as file:
        file.write('{"what": "reco')  # and there the process was killed
    for what in ("resumed", "started"):
        directory.append_line(directory.events, {"what": what})
    assert [line["what"] for line in directory.lines(directory.events)] == ["died", "resumed", "started"]
    assert directory.events.read_text().count("\n") == 4


def test_numbers_that_json_does_not_have_are_refused(tmp_path):
    directory = RunDirectory(tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        directory.append_line(directory.metrics, {"x": float("nan")})


def test_a_small_file_is_replaced_at_once_or_not_at_all(tmp_path, monkeypatch):
    directory = RunDirectory(tmp_path)
    directory.write_json(directory.ledger, {"a": 1})

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        directory.write_json(directory.ledger, {"a": 2})
    assert json.loads(directory.ledger.read_text()) == {"a": 1}


def test_the_reports_of_a_run_are_read_and_lines_that_are_none_are_left_out(tmp_path):
    directory = made(tmp_path, "a")
    lines = ['{"time": 2.5, "updates": 3.0, "loss": 1.0}', "7", '{"time": "x", "updates": 1}', '{"time": 3}', '{"tim']
    directory.metrics.write_text("\n".join(lines))
    assert list(directory.reports("updates")) == [(2.5, 3, {"updates": 3.0, "loss": 1.0})]
