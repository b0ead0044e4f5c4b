"""What people see while a run goes on."""

from __future__ import annotations

import io

from rich.console import Console

from pipelines import display
from pipelines.display import LineDisplay, LiveDisplay, open_display, progress, rows


def test_progress_is_by_frames_or_by_time_whichever_is_further():
    assert progress({"learnt_frames": 25.0}, 100, None) == 0.25
    assert progress({"learnt_frames": 25.0, "elapsed_s": 45.0}, 100, 1.0) == 0.75
    assert progress({"learnt_frames": 90.0, "elapsed_s": 45.0}, 100, 1.0) == 0.9
    assert progress({"learnt_frames": 900.0}, 100, None) == 1.0
    assert progress({}, 100, 1.0) == 0.0


def test_what_is_not_known_is_a_dash_and_not_a_zero():
    shown = dict(rows({}, {}))
    assert shown["episode return"].startswith("–") and shown["task success"] == "–"
    assert dict(rows({"episode_return": 0.0, "success_rate": 0.0}, {}))["episode return"].startswith("0 ")


def test_a_run_that_nobody_judges_is_not_told_how_much_was_judged():
    assert "annotated" not in dict(rows({"annotated_share": 0.0}, {"weights": "version 1"}))
    assert dict(rows({"annotated_share": 0.0}, {"judge": "3 requests"}))["annotated"].startswith("0.0 %")
    assert dict(rows({"annotated_share": 0.5}, {}))["annotated"].startswith("50.0 %")


def test_everything_that_was_promised_is_shown():
    labels = [label for label, _ in rows({}, {"judge": "3 requests", "label lag": "1 s", "failures": "none"})]
    for label in ("env frames/s", "episode return", "task success", "reward a step", "annotated"):
        assert label in labels
    assert labels.index("judge") < labels.index("label lag") < labels.index("failures")


def test_lines_come_at_most_once_an_interval_and_messages_always(capsys):
    shown = LineDisplay(1000, every_s=1e6)
    for frames in (10.0, 20.0):
        shown.show({"frames": frames}, {"judge": "3 requests"})
    shown.say("env-actor-0 died")
    shown.close()
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 2 and out[0].startswith("10/1,000 frames | ") and "judge: 3 requests" in out[0]
    assert out[1] == "env-actor-0 died"


def test_text_that_looks_like_markup_is_shown_as_it_is(monkeypatch):
    sink = io.StringIO()
    monkeypatch.setattr(display, "Console", lambda: Console(file=sink, force_terminal=True, width=100))
    shown = LiveDisplay("catch: [bold]", 1000, None)
    shown.show({"frames": 10.0}, {"judge": "[red]you see [/here] a key"})
    shown.say("[/nothing] died")
    shown.close()
    assert "[red]you see [/here] a key" in sink.getvalue() and "[/nothing] died" in sink.getvalue()


def test_a_pipe_gets_lines(monkeypatch):
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert isinstance(open_display("t", 10, None), LineDisplay)
