"""A small run made long: what is left out of its report is said there, and the benchmark counts what it stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.report_size import lengthen, short_run
from pipelines.reports.page import write_report


@pytest.mark.slow
def test_a_long_run_is_told_in_part_and_the_page_says_so(tmp_path: Path) -> None:
    run = short_run(tmp_path)
    assert lengthen(run, 200_000, 9_000, 300) >= 200_000
    write_report([run], run.report)
    page = run.report.read_text()
    assert len(page) < 2_000_000
    assert "a sample of" in page and "evenly" in page  # of what is stored
    assert "Of long metrics a part of the lines was read" in page
    assert "there is older experience, which was not looked at" in page
    assert "could not be made" not in page and "<script>alert" not in page
