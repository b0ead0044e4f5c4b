from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rewards.cache import Config, VerdictCache
from rewards.database import DatabaseForeign
from rewards.judges.judge import Answer, Question
from rewards.verdicts import Status


def question(k: object, kind: Any = "caption") -> Question:
    return Question(str(k), kind, (f"caption {k}",))


def yes(tokens: int = 7) -> Answer:
    return Answer(Status.OK, 0.75, tokens=tokens, latency_s=3.0, scores=(0.5, None), details={"why": "gold"})


def opened(tmp_path: Path, **settings: Any) -> VerdictCache:
    return VerdictCache(Config(file=str(tmp_path / "cache.db"), **settings))


def test_an_answer_is_found_by_judge_and_question_and_by_nothing_less(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.put("judge", [(question(1), yes())])
    found = cache.get("judge", question(1))
    assert found == Answer(Status.OK, 0.75, tokens=7, latency_s=0.0, scores=(0.5, None), details={"why": "gold"})
    for judge, other in (("other", question(1)), ("judge", question(2)), ("judge", question(1, "pair"))):
        assert cache.get(judge, other) is None
    assert (cache.counts.memory_hits, cache.counts.misses, cache.counts.hit_rate) == (1, 3, 0.25)


def test_answers_outlive_the_process_and_the_memory(tmp_path: Path) -> None:
    opened(tmp_path).put("judge", [(question(k), yes()) for k in range(5)])
    again = opened(tmp_path, memory_entries=2)
    for _ in range(2):
        assert all(again.get("judge", question(k)).value == 0.75 for k in range(5))
    assert again.counts.file_hits == 10 and len(again) == 5


@pytest.mark.parametrize(
    "answer",
    [Answer(status, cause="x") for status in Status if status is not Status.OK] + [Answer(Status.OK, math.nan)],
)
def test_what_has_no_value_is_never_kept(tmp_path: Path, answer: Answer) -> None:
    cache = opened(tmp_path)
    cache.put("judge", [(question(1), answer)])
    assert cache.get("judge", question(1)) is None and cache.counts.stored == len(cache) == 0


def test_an_answer_that_is_no_json_stays_out_of_the_file_and_costs_nothing_else(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.put("judge", [(question(1), Answer(Status.OK, np.float32(0.5))), (question(2), yes())])
    assert (len(cache), cache.counts.faults) == (1, 1)


def test_the_first_answer_stays(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    first.put("judge", [(question(1), yes())])
    second.put("judge", [(question(1), Answer(Status.OK, 0.0))])
    assert opened(tmp_path).get("judge", question(1)).value == 0.75
    first.put("judge", [(question(1), Answer(Status.OK, 0.0))])
    assert first.get("judge", question(1)).value == 0.75, "in memory as well"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE answer SET answer = replace(answer, '0.75', '0.25')",
        "UPDATE answer SET checksum = checksum + 1",
        "UPDATE answer SET answer = 'null'",
        "UPDATE answer SET key = zeroblob(16)",
    ],
)
def test_an_entry_that_was_changed_is_found_out_and_asked_anew(tmp_path: Path, damage: str) -> None:
    opened(tmp_path).put("judge", [(question(1), yes())])
    with sqlite3.connect(tmp_path / "cache.db") as connection:
        connection.execute(damage)
    connection.close()
    cache = opened(tmp_path)
    assert cache.get("judge", question(1)) is None
    cache.put("judge", [(question(1), yes())])
    assert opened(tmp_path).get("judge", question(1)) is not None


def test_a_file_that_is_no_database_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "cache.db").write_bytes(b"not a database " * 100)
    cache = opened(tmp_path)
    cache.put("judge", [(question(1), yes())])
    assert cache.counts.corrupt == 1 and len(list(tmp_path.glob("cache.db.damaged-*"))) == 1
    assert opened(tmp_path).get("judge", question(1)) is not None


def test_a_file_with_broken_pages_costs_answers_and_not_the_run(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.put("judge", [(question(k), yes()) for k in range(2000)])
    cache.close()
    file = tmp_path / "cache.db"
    body = bytearray(file.read_bytes())
    body[8192:] = b"\xff" * (len(body) - 8192)
    file.write_bytes(body)
    cache = opened(tmp_path)
    assert cache.get("judge", question(1999)) is None
    assert cache.counts.faults + cache.counts.corrupt > 0
    cache.put("judge", [(question("new"), yes())])
    assert cache.get("judge", question("new")) is not None, "it is in memory at least"


def test_another_programs_file_and_another_version_are_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "cache.db") as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(DatabaseForeign, match="expected a verdict cache file"):
        opened(tmp_path)
    (tmp_path / "cache.db").unlink()
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / "cache.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(DatabaseForeign, match="99"):
        opened(tmp_path)


def test_the_file_is_bounded_and_a_judge_can_be_forgotten(tmp_path: Path) -> None:
    cache = opened(tmp_path, file_entries=10)
    for k in range(50):
        cache.put("judge", [(question(k), yes())])
    assert len(cache) <= 20 and opened(tmp_path).get("judge", question(49)) is not None
    assert opened(tmp_path).get("judge", question(0)) is None
    cache.put("other", [(question(1), yes())])
    assert cache.forget("judge") > 0
    assert cache.get("judge", question(49)) is None and cache.get("other", question(1)) is not None


WRITER = """
import sys
from rewards import cache as module
from rewards.cache import Config, VerdictCache
from rewards.judges.judge import Answer, Question
from rewards.verdicts import Status
module._BUSY_S = 250.0  # nothing is given up because the machine is busy
path, name, count = sys.argv[1:]
cache = VerdictCache(Config(file=path))
for k in range(int(count)):
    for who in (name, "shared"):
        cache.put("judge", [(Question(f"{who} {k}", "caption", ("x",)), Answer(Status.OK, 1.0))])
    if k == 0:
        print("begun", flush=True)
sys.exit(cache.counts.faults)
"""


@pytest.mark.slow
def test_processes_may_write_at_once_and_be_killed(tmp_path: Path) -> None:
    path = str(tmp_path / "cache.db")

    def start(name: str, count: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", WRITER, path, name, str(count)], stdout=subprocess.PIPE)

    victim, writers = start("victim", 10**9), [start(name, 50) for name in "abc"]
    try:
        assert victim.stdout is not None and victim.stdout.readline() == b"begun\n"
        victim.kill()
        for process in (victim, *writers):
            process.communicate(timeout=250)
    finally:
        victim.kill()
    assert [process.returncode for process in (victim, *writers)] == [-9, 0, 0, 0]
    cache = VerdictCache(Config(file=path))
    assert all(cache.get("judge", question(f"{name} {k}")) for name in "abc" for k in range(50))
    assert cache.counts.corrupt == cache.counts.faults == 0
