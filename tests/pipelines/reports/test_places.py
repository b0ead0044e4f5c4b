"""Links to logs and dashboard lead where they say, and nowhere else, whatever a run's files hold."""

from __future__ import annotations

import pytest

from pipelines.reports.places import dashboard_of, log_lines, places, shown_path
from pipelines.run_directory import RunDirectory
from pipelines.stored.records import read_records


@pytest.fixture
def noted(tmp_path):
    def make(*addresses):
        directory = RunDirectory(tmp_path)
        for address in addresses:
            directory.append_line(directory.events, {"role": "run", "what": "dashboard", "cause": address})
        return read_records(directory)

    return make


def test_a_run_without_either_has_nothing_to_say(noted):
    run = noted()
    assert places(run, live=False) == "" and log_lines(run) == []


def test_logs_and_dashboard_are_linked(noted, tmp_path):
    run = noted("http://10.0.0.1:8265/#/jobs/01000000", "http://10.0.0.2:8265/#/jobs/02000000")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/env-actor-0.jsonl").write_text("x" * 3000)
    page = places(run, live=False)
    assert '<a href="logs/env-actor-0.jsonl" rel="noreferrer">logs/env-actor-0.jsonl</a>, 3 kB' in page
    assert '<a href="http://10.0.0.2:8265/#/jobs/02000000"' in page and "10.0.0.1" not in page
    assert 'href="logs' not in places(run, live=True)
    assert [name for name, _ in log_lines(run)] == ["logs", "dashboard"]


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "file:///etc/passwd", "http://", "http://a:b@host/", "data:text/html,x", ""]
)
def test_an_address_that_no_browser_should_be_sent_to_is_not_linked(noted, address):
    run = noted(address)
    assert dashboard_of(run) is None and "href" not in places(run, live=False)


def test_text_in_an_address_stays_text(noted):
    assert "<script>" not in places(noted('http://host/"><script>alert(1)</script>'), live=False)


def test_a_path_is_shown_from_here_where_that_is_shorter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown_path(tmp_path / "runs/one") == "runs/one"
    deep = tmp_path / "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z" / "/".join("abcdefghijklmnopqrstuvwxyz")
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert shown_path(tmp_path / "runs") == str(tmp_path / "runs")
