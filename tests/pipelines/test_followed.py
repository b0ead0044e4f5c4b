"""Metrics that are followed: each line is seen once, and a line that is half written is waited for."""

from __future__ import annotations

import pytest

from pipelines.errors import UserError
from pipelines.followed import Followed


def until(followed, wanted, alive=lambda: None, within_s=60.0):
    return followed.until(lambda _, line: wanted(line["n"]), within_s, 0.0, alive)["n"]


def test_lines_are_passed_over_once_and_what_comes_after_is_still_there(tmp_path):
    path = tmp_path / "metrics.jsonl"
    followed = Followed(path)
    path.write_text("".join(f'{{"n": {n}}}\n' for n in range(6)))
    assert until(followed, lambda n: n >= 2) == 2 and until(followed, lambda n: True) == 3
    asked = []
    assert until(followed, lambda n: asked.append(n) or n == 5) == 5 and asked == [4, 5], "nothing is read again"


def test_a_line_that_is_half_written_is_waited_for_and_knows_the_one_before(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rest = iter(['{"n": 1}\n{"n"', ": 2}", "\n"])

    def writes():
        with path.open("a") as file:
            file.write(next(rest))

    followed, pairs = Followed(path), []
    found = followed.until(lambda before, line: pairs.append((before, line)) or line["n"] == 2, 60.0, 0.0, writes)
    assert found == {"n": 2} and pairs == [(None, {"n": 1}), ({"n": 1}, {"n": 2})]


def test_a_line_that_was_cut_short_by_a_death_is_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"n": 1}\n{"n": 2, "ela{"n": 3}\n{"n": 4}\n')
    assert Followed(path).new() == [{"n": 1}, {"n": 4}]


def test_who_waits_in_vain_is_told(tmp_path):
    followed = Followed(tmp_path / "metrics.jsonl")
    with pytest.raises(UserError, match="did not come within 0 s"):
        until(followed, lambda n: True, within_s=0.0)
    with pytest.raises(RuntimeError, match="it is gone"):
        until(followed, lambda n: True, alive=gone)


def gone():
    raise RuntimeError("it is gone")
