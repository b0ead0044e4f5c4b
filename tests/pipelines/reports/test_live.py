"""The live report: served to this machine alone, renewed when the run writes, over when the run is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import pytest

from benchmarks.apparatus.browser import Browser
from pipelines.errors import UserError
from pipelines.reports import live
from pipelines.reports.live import LivePage, goes_on, make_server, serve_live
from pipelines.run_directory import RunDirectory


@pytest.fixture
def going(finished: RunDirectory) -> Iterator[RunDirectory]:
    """A run that somebody writes to."""
    finished.lock()
    yield finished
    finished.unlock()


@pytest.fixture
def address(going: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where its live report is."""
    monkeypatch.setattr(live, "EVERY_S", 0.1)
    looked = threading.Event()  # the last state can be fetched for as long as the test wants it, and no longer
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: looked.wait(300))
    monkeypatch.setattr(live, "time", clock)
    said: list[str] = []
    thread = threading.Thread(target=serve_live, args=([going], 0, said.append, 0.1), daemon=True)
    thread.start()
    until = time.monotonic() + 300
    while not said and time.monotonic() < until:
        time.sleep(0.02)
    yield said[0].split()[2]
    going.unlock()
    looked.set()
    thread.join(timeout=300)
    assert not thread.is_alive()
    assert "ended" in said[-1]


def get(address: str, **headers: str) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=60) as client:
        return client.get(address, headers=headers)


@pytest.mark.slow
def test_a_run_is_live_while_it_is_locked(finished: RunDirectory) -> None:
    assert not goes_on(finished)
    finished.lock()
    assert goes_on(finished)
    finished.unlock()
    assert not goes_on(finished)
    with pytest.raises(UserError, match="leave --live out"):
        serve_live([finished])


@pytest.mark.slow
def test_only_who_knows_the_token_is_answered(address: str) -> None:
    answer = get(address)
    assert answer.status_code == 200 and "connect-src 'self'" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    base = address.split("/", 3)[:3]
    for wrong in ("/", "/page", "/x" * 8 + "/page"):
        assert get("/".join(base) + wrong).status_code == 404
    assert get(address + "../../etc/passwd").status_code == 404
    assert get(address + "other").status_code == 404
    assert get(address, host="evil.example:80").status_code == 404


@pytest.mark.slow
def test_a_taken_port_is_said(finished: RunDirectory) -> None:
    server = make_server(LivePage([finished]), "token", 0)
    try:
        with pytest.raises(UserError, match="choose another"):
            make_server(LivePage([finished]), "token", server.server_address[1])
    finally:
        server.server_close()


@pytest.mark.slow
def test_the_page_renews_itself_and_says_when_the_run_has_ended(
    browser: Browser, address: str, going: RunDirectory
) -> None:
    browser.problems.clear()
    browser.open(address)
    browser.ask("document.querySelector('figure.film [data-go=on]').click()")
    last = [*going.lines(going.metrics)][-1]
    until = time.monotonic() + 250
    while not browser.ask("document.querySelector('.tiles b').textContent.startsWith('7,')"):
        assert time.monotonic() < until
        # Again and again: what is written before the page listens is in none of its news.
        going.append_line(going.metrics, {**last, "learnt_frames": last["learnt_frames"] + 7_000_000})
        time.sleep(0.2)
    assert browser.ask("document.querySelector('figure.film').dataset.place") == "1"  # the place was kept
    going.unlock()
    browser.wait_for("document.querySelector('.live').textContent.includes('ended')")
    assert browser.problems == []


@pytest.mark.slow
def test_a_renewal_that_comes_late_does_not_hide_that_the_run_has_ended(
    browser: Browser, address: str, going: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.open(address)
    rendered, slow, go_on = LivePage.content, threading.Event(), threading.Event()

    def content(page: LivePage) -> bytes:
        found = rendered(page)
        if not slow.is_set():
            slow.set()
            go_on.wait(60)
        return found

    monkeypatch.setattr(LivePage, "content", content)
    last = [*going.lines(going.metrics)][-1]
    until = time.monotonic() + 250
    while not slow.wait(0.2):
        assert time.monotonic() < until
        going.append_line(going.metrics, last)
    going.unlock()
    time.sleep(1.0)  # as long as the page takes to hear of the end, and to ask once more if it did not wait its turn
    go_on.set()
    browser.wait_for("document.querySelector('.live').textContent.includes('ended')")
    time.sleep(0.5)
    assert browser.ask("document.querySelector('.live').textContent.includes('ended')")
