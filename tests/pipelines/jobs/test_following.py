"""What a job says is shown, line by line, and nothing that a terminal would obey or nobody should read."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from pipelines.jobs import submission
from pipelines.jobs.submission import follow


class Saying:
    """The jobs of a cluster on which one job says some texts, and then ends, or hangs."""

    address = "http://127.0.0.1:8265"

    def __init__(self, *texts, hangs=False, status="SUCCEEDED"):
        self.texts, self.hangs, self.status, self.asked = texts, hangs, status, 0

    async def follow(self, ident):
        for text in self.texts:
            yield text
        if self.hangs:
            await asyncio.sleep(60)

    def details(self, ident):
        self.asked += 1
        return SimpleNamespace(status=SimpleNamespace(value=self.status), driver_exit_code=0)


def test_lines_are_put_together_from_pieces_and_cleaned():
    said = []
    texts = ("\x1b[31mred\x1b[0m li", "ne\napi_key=abc", "def1234 x\r50 %\r100 %\nlast\x07")
    assert follow("job", Saying(*texts), said.append) == 0
    assert said == ["red line", "api_key=… x", "50 %", "100 %", "last\N{REPLACEMENT CHARACTER}"]


def test_whoever_followed_a_job_that_did_not_come_to_its_end_is_told_how_to_go_on_from_where_they_are():
    said, jobs = [], Saying(status="STOPPED")
    assert follow("job-1", jobs, said.append) == 143
    assert said == ["job job-1 was stopped; to go on with its run from here: guerdon jobs resume job-1"]
    jobs.address = "https://elsewhere:9"
    follow("job-1", jobs, said.append)
    assert said[-1].endswith("guerdon jobs resume job-1 address=https://elsewhere:9")


def test_a_line_without_an_end_is_not_kept_for_ever():
    said = []
    follow("job", Saying("x" * 150_000, "y\n"), said.append)
    assert [len(line) for line in said] == [150_000, 1]


def test_a_connection_that_does_not_say_that_the_job_has_ended_is_let_go(monkeypatch):
    monkeypatch.setattr(submission, "SILENT_S", 0.05)
    monkeypatch.setattr(submission, "POLL_S", 0.05)
    said, jobs = [], Saying("done\n", hangs=True)
    assert follow("job", jobs, said.append) == 0
    assert said == ["done"] and jobs.asked >= 2
