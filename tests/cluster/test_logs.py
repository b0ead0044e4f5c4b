"""A log has every line once, whoever writes, however full it is, and no secret."""

from __future__ import annotations

import fcntl
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.logs import LogPlace, about, logging_as, open_log, place_of_logs

LOG = logging.getLogger("pipelines.something")
HOUSE = Path(__file__).resolve().parents[2]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def place(tmp_path):
    return LogPlace(str(tmp_path / "logs"), "rooms")


def test_a_line_says_when_which_run_who_and_about_what(place, tmp_path):
    with logging_as(place, "env-actor-3"):
        assert place_of_logs() == place
        with about(trajectory="3-0-118"):
            LOG.info("rollout of %d", 512, extra={"frames": 512, "_theirs": 1, "odd": float("nan"), "path": tmp_path})
        LOG.warning("later")
        LOG.debug("not said")
    (first, second) = lines(tmp_path / "logs/env-actor-3.jsonl")
    assert (first["run"], first["role"], first["level"]) == ("rooms", "env-actor-3", "INFO")
    assert (first["message"], first["trajectory"], first["frames"]) == ("rollout of 512", "3-0-118", 512)
    assert first["odd"] is None and first["path"] == str(tmp_path) and first["time"].endswith("Z")
    assert "_theirs" not in first and "trajectory" not in second and second["pid"] > 0
    LOG.error("after the block")
    assert place_of_logs() is None and len(lines(tmp_path / "logs/env-actor-3.jsonl")) == 2


def test_an_error_brings_its_traceback_and_no_secret_gets_in(place, tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_API_KEY", "correct-horse")
    with logging_as(place, "judge"):
        try:
            raise ValueError("got correct-horse")
        except ValueError:
            LOG.exception("api_key=abc", extra={"address": "http://a:b@c", "list": ["token=x"]})
    text = (tmp_path / "logs/judge.jsonl").read_text()
    (found,) = lines(tmp_path / "logs/judge.jsonl")
    assert "Traceback" in found["error"] and "ValueError" in found["error"]
    assert not {"correct-horse", "abc", "a:b"} & set(text.replace('"', " ").replace("=", " ").split())
    assert "correct-horse" not in text and found["list"] == ["token=…"] and found["address"] == "http://…@c"


def test_libraries_are_heard_when_they_warn(place, tmp_path):
    with logging_as(place, "driver"):
        logging.getLogger("somebody.else").warning("careful")
        logging.getLogger("somebody.else").info("chatter")
    assert [line["message"] for line in lines(tmp_path / "logs/driver.jsonl")] == ["careful"]


def test_a_role_cannot_name_a_file_elsewhere(place, tmp_path):
    with logging_as(place, "../../etc/x"):
        LOG.info("here")
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["-etc-x.jsonl"]


def test_a_place_that_cannot_be_written_costs_the_log_and_not_the_role(tmp_path, capsys):
    (tmp_path / "logs").write_text("a file")
    open_log(LogPlace(str(tmp_path / "logs"), "rooms"), "learner")
    LOG.info("lost")
    assert "learner does not log" in capsys.readouterr().err
    open_log(None, "")


WRITER = """
import logging, sys
from cluster.logs import LogPlace, open_log
open_log(LogPlace(sys.argv[1], "rooms", max_mb=0.02, kept=100), "judge")
for number in range(200):
    logging.getLogger("pipelines.x").info("x" * 100, extra={"worker": int(sys.argv[2]), "number": number})
"""


@pytest.mark.slow
def test_processes_that_share_a_file_lose_nothing_when_it_is_full(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path / "logs")]
    writers = [subprocess.Popen([*command, str(worker)], cwd=HOUSE) for worker in range(4)]
    assert [writer.wait(280) for writer in writers] == [0] * 4
    files = list((tmp_path / "logs").iterdir())
    found = [(line["worker"], line["number"]) for path in files for line in lines(path)]
    assert sorted(found) == [(worker, number) for worker in range(4) for number in range(200)]
    assert len(files) > 5 and all(path.stat().st_size <= 0.02 * 2**20 + 2000 for path in files)


def test_what_is_kept_is_bounded(tmp_path):
    place = LogPlace(str(tmp_path / "logs"), "rooms", max_mb=0.001, kept=2)
    with logging_as(place, "judge"):
        for number in range(100):
            LOG.info("message", extra={"number": number})
    names = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert names == ["judge.jsonl", "judge.jsonl.1", "judge.jsonl.2"]
    assert lines(tmp_path / "logs/judge.jsonl")[-1]["number"] == 99


@pytest.mark.timeout(120)
def test_nobody_waits_for_a_process_that_stands_still_while_it_begins_a_new_file(tmp_path):
    place = LogPlace(str(tmp_path), "run", max_mb=0.0001)
    with logging_as(place, "actor"), (tmp_path / "actor.jsonl").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        for number in range(3):
            logging.getLogger("actors").info("line %d", number)
    lines = [json.loads(line)["message"] for line in (tmp_path / "actor.jsonl").read_text().splitlines()]
    assert lines == ["line 0", "line 1", "line 2"], "all in the file that is there"
