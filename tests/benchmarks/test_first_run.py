"""The walk of a newcomer: what its result says, and that a page is gone on with where it was left."""

from __future__ import annotations

import os

import pytest

from benchmarks.apparatus.pages import execute
from benchmarks.apparatus.training import CHECKOUT
from benchmarks.first_run import collect, list_of_steps, row

STEPS = list_of_steps((CHECKOUT / "docs/tutorial.md").read_text(encoding="utf-8"))


def rows(seconds: float = 10.0, code: int = 0, count: int = len(STEPS)) -> list:
    return [row(f"docs/tutorial.md, line {line}", "a command", seconds, code, "said\n\n") for line in STEPS[:count]]


@pytest.mark.slow
def test_the_claim_is_of_the_whole_tutorial_of_steps_that_ended_well_and_of_twenty_minutes(tmp_path):
    assert collect(rows(), tmp_path, "").holds
    assert not collect(rows(count=len(STEPS) - 1), tmp_path, "").holds
    assert not collect(rows(seconds=1200 / len(STEPS)), tmp_path, "").holds
    failed = collect([*rows(count=len(STEPS) - 1), *rows(code=3, count=1)], tmp_path, "")
    assert not failed.holds and failed.figures["steps that did not end as the page says"].value == 1
    assert any(one.get("ended") == "code 3: said" for one in failed.rows)


@pytest.mark.slow
def test_a_page_is_gone_on_with_where_it_was_left(tmp_path):
    page = (
        "```python\n# lab/one.py\nA = 1\n```\n```bash\nexport PYTHONPATH=$PWD\necho first >> said\n```\n"
        "```python\nimport lab.one\nprint('second')\n```\n```text\nsecond thing\nthird\n```\n"
    )
    assert len(list_of_steps(page)) == 2
    first = next(execute(page, tmp_path, os.environ))
    assert (first.code, first.lost) == (0, None)
    (second,) = execute(page, tmp_path, os.environ, skip=1)
    assert second.printed == "second\n" and second.lost == (14, "third")
    assert (tmp_path / "said").read_text() == "first\n"
