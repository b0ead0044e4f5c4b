from __future__ import annotations

import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import UserError
from pipelines.reports.charts import Series, line_chart, nice_ticks, short, thin
from pipelines.reports.page import write_report
from pipelines.reports.summary import summary
from pipelines.run_directory import RunDirectory
from pipelines.stored.records import clock_text, number_text, percent_text, plural, read_records, state

EMPTY = {"br", "circle", "hr", "i", "input", "line", "link", "meta", "polygon", "polyline", "rect"}


class Page(HTMLParser):
    """What is on a page: its tags, and its text; fails where tags do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.kinds: list[str | None] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.kinds += [dict(attrs).get("type") for _ in range(tag == "script")]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in EMPTY - {"i", "circle", "polyline", "rect"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def report(*directories: RunDirectory) -> Page:
    target = directories[0].report
    write_report(directories, target)
    return Page(target.read_text())


def add_event(directory: RunDirectory, **event: object) -> None:
    base = {"time_s": 1.8e9, "role": "env-actor-0", "what": "died", "cause": "killed", "recovered_s": None}
    directory.append_line(directory.events, base | event)


@pytest.mark.slow
def test_a_finished_run_is_told_in_a_dozen_lines(finished: RunDirectory) -> None:
    write_report([finished], finished.report)
    text = summary(finished)
    assert 9 <= len(text.splitlines()) <= 14
    for part in ("catch, retrieval, finished", "unparseable 1", "4 verdicts, 5 questions", "balanced", "report.html"):
        assert part in text
    assert "guerdon evaluate" in text and "guerdon inspect" in text


@pytest.mark.slow
def test_the_page_of_a_finished_run_shows_curves_ledger_failures_and_captions(finished: RunDirectory) -> None:
    page = report(finished)
    for part in (
        "Where rewards came from",
        "balanced: yes",
        "You catch the ball.",
        "NULL, unparseable: said <b>maybe</b>",
        "umpire-1",
        "Nothing happened: no process died.",
        "record_mb: 32",
        "intrinsic/caption_count^3",
    ):
        assert part in page.text
    assert "What is missing" not in page.text


@pytest.mark.slow
def test_the_page_needs_nothing_from_elsewhere(finished: RunDirectory) -> None:
    page = report(finished)
    assert page.addresses == ["#report"]
    assert not {"img", "link", "iframe"} & set(page.tags)
    assert page.kinds.count(None) == 1  # the page's own script; the others are data
    html = finished.report.read_text()
    assert "prefers-color-scheme: dark" in html and "@media print" in html
    assert "default-src 'none'" in html and "unsafe-inline" not in html and "connect-src" not in html


@pytest.mark.slow
def test_text_from_the_world_is_escaped(finished: RunDirectory) -> None:
    add_event(finished, cause="<script>alert(1)</script>\x1b[31m")
    page = report(finished)
    assert page.kinds.count(None) == 1
    assert "<script>alert(1)</script>\N{REPLACEMENT CHARACTER}[31m" in page.text
    assert "\x1b" not in summary(finished)


@pytest.mark.slow
def test_secrets_in_addresses_are_not_shown(finished: RunDirectory) -> None:
    config = finished.config.read_text().replace("uri: null", "uri: https://me:secret@tracking.example")
    finished.config.write_text(config)
    write_report([finished], finished.report)
    assert "secret" not in finished.report.read_text()
    assert "tracking.example" in finished.report.read_text()


@pytest.mark.slow
def test_deaths_and_recoveries_are_named_with_time_and_seconds(finished: RunDirectory) -> None:
    begin = next(finished.lines(finished.metrics))
    started = begin["time"] - begin["elapsed_s"]
    add_event(finished, time_s=started + 61.0)
    add_event(finished, time_s=started + 65.2, what="recovered", recovered_s=4.2)
    page = report(finished)
    assert "1 death, 1 recovery." in page.text
    assert "0:01:01" in page.text and "4.2" in page.text
    assert "env-actor-0 ×1" in summary(finished)


@pytest.mark.slow
def test_an_alarm_is_shown_with_its_update_and_one_of_an_earlier_version_without(finished: RunDirectory) -> None:
    alarm = {"time": 1.8e9, "monitor": "length", "kind": "level", "value": 1.5, "threshold": 1.0, "action": "warn"}
    finished.append_line(finished.alarms, alarm)
    finished.append_line(finished.alarms, {**alarm, "update": 1234})
    text = report(finished).text
    assert "at update monitor" in text and "2 alarms." in text
    assert "– length level" in text and "1,234 length level" in text


@pytest.mark.slow
def test_several_runs_are_shown_side_by_side(finished: RunDirectory, tmp_path: Path) -> None:
    other = RunDirectory(Path(shutil.copytree(finished.root, tmp_path / "other")))
    page = report(finished, other)
    html = finished.report.read_text()
    assert "2 runs side by side" in page.text
    assert html.count('class="line s0"') == html.count('class="line s1"') > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "ledger.json", "checkpoints", "verdicts", "replay"])
def test_a_run_without_one_of_its_parts_still_has_a_report(finished: RunDirectory, name: str) -> None:
    path = finished.root / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = report(finished)
    if name not in ("verdicts", "replay"):
        assert "What is missing" in page.text
    assert "could not be made" not in page.text
    assert summary(finished)


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\xff\xfe",
        b"[1, 2]",
        b'{"balanced": 3, "verdicts": 5, "experience": [], "frames": "many", "reward": 1}',
        b"{",
    ],
)
@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "ledger.json", "events.jsonl", "evaluation.json"])
def test_a_damaged_file_does_not_cost_the_report(finished: RunDirectory, name: str, content: bytes) -> None:
    (finished.root / name).write_bytes(content)
    assert report(finished).text
    assert summary(finished)


def test_an_empty_directory_has_a_report(tmp_path: Path) -> None:
    empty = RunDirectory(tmp_path)
    page = report(empty)
    assert "What is missing" in page.text and "there is no checkpoint" in page.text
    assert "not there" in summary(empty)


@pytest.mark.slow
def test_a_corrupt_checkpoint_and_a_cut_verdict_log_are_named(finished: RunDirectory) -> None:
    tree = next(finished.checkpoints.glob("*/tree.json"))
    tree.write_text(tree.read_text() + " ")
    (finished.verdicts / "store.json").write_text("{}")
    text = report(finished).text
    assert "SHA-256 differs" in text and "verdicts cannot be read" in text


@pytest.mark.slow
def test_a_report_that_cannot_be_written_is_said_in_one_line(finished: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_report([finished], tmp_path / "file" / "report.html")


def test_what_a_resumed_run_did_anew_is_in_its_curves_once(finished: RunDirectory) -> None:
    finished.metrics.unlink()
    for frames in (0, 100, 200, 100, 150):
        finished.append_line(finished.metrics, {"learnt_frames": frames, "episode_return": 1})
    assert [row["learnt_frames"] for row in read_records(finished).rows] == [0, 100, 100, 150]


def test_how_far_a_run_came_is_said(finished: RunDirectory) -> None:
    assert state(read_records(finished)) == "finished"
    finished.config.write_text(finished.config.read_text().replace("frames: 1500", "frames: 15000"))
    assert state(read_records(finished)).startswith("not finished (1")
    add_event(finished, role="run", what="stopped", cause="SIGTERM")
    assert state(read_records(finished)) == "stopped by SIGTERM"
    assert "guerdon train resume=" in summary(finished)


def test_a_reward_model_that_was_never_trained_is_named(finished: RunDirectory) -> None:
    config = finished.config.read_text().replace("source: retrieval", "source: classification")
    finished.config.write_text(config)
    last = [*finished.lines(finished.metrics)][-1]
    finished.append_line(finished.metrics, last | {"reward_model/version": 0.0, "reward_model/labels": 5.0})
    needed = read_records(finished).config["reward"]["classification"]["min_labels"]
    assert f"it has 5 of the {needed} labels it needs" in summary(finished)


def test_unknown_numbers_are_dashes_and_never_zero() -> None:
    assert number_text(None) == percent_text(None) == clock_text(None) == "–"


def test_numbers_are_shown_as_people_write_them() -> None:
    assert (number_text(1234.6), number_text(0.01234), percent_text(0.5), clock_text(3725)) == (
        "1,235",
        "0.0123",
        "50.0 %",
        "1:02:05",
    )
    assert (plural(1, "retry"), plural(2, "retry"), plural(1000, "row")) == ("1 retry", "2 retries", "1,000 rows")
    assert (short(1_500_000), short(20_000), short(0.05)) == ("1.5 M", "20 k", "0.05")


def test_ticks_worked_by_hand() -> None:
    assert nice_ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert nice_ticks(-1.2, 0.3) == [-1.5, -1.0, -0.5, 0.0, 0.5]


@pytest.mark.slow
@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_ticks_cover_the_data_and_rise(one: float, two: float) -> None:
    low, high = min(one, two), max(one, two)
    ticks = nice_ticks(low, high)
    slack = 1e-6 * max(abs(low), abs(high), 1e-300) + 1e-12
    assert ticks[0] <= low + slack and ticks[-1] >= high - slack
    assert all(a < b for a, b in pairwise(ticks))
    assert 2 <= len(ticks) <= 8


def test_thinning_keeps_the_level_of_a_curve() -> None:
    points = [(float(x), float(x % 2)) for x in range(1000)]
    thinned = thin(points, 100)
    assert len(thinned) == 100
    assert {y for _, y in thinned} == {0.5}
    assert thin([(1.0, 2.0)]) == [(1.0, 2.0)]


def test_a_chart_without_points_is_nothing_and_one_point_is_a_dot() -> None:
    assert line_chart([Series("none", [])]) == ""
    assert "<circle" in line_chart([Series("<one>", [(0.0, 0.0)])])
    assert "&lt;one&gt;" in line_chart([Series("<one>", [(0.0, 0.0)])])
