"""The forms of the display: what a person, a log and a program get to see."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipelines import display
from pipelines.display import EXPERIENCE, LiveDisplay, fitting, rows
from pipelines.displays import Displays
from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory

HEAD = {"learnt_frames": 10.0, "frames": 12.0, "episode_return": float("nan")}


def show(form: str, tmp_path: Path) -> None:
    chosen = Displays.of(form)
    chosen.say("begins")
    opened = chosen.open("catch", 100, None, EXPERIENCE)
    opened.show(HEAD, {"judge": "3 requests"})
    opened.say("env-actor-0 died\nof nothing")
    opened.close()
    chosen.end(RunDirectory(tmp_path / "run"), lambda directory: "run   it\nnext  that")


def test_programs_get_one_json_object_a_line(capsys: Any, tmp_path: Path) -> None:
    show("jsonl", tmp_path)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines] == ["message", "begin", "progress", "message", "end"]
    assert lines[2]["numbers"] == {"learnt_frames": 10.0, "frames": 12.0}  # what is not known is not there
    assert lines[4]["run"] == str(tmp_path / "run") and lines[4]["summary"] == ["run   it", "next  that"]


def test_quiet_says_where_the_run_is_and_nothing_else(capsys: Any, tmp_path: Path) -> None:
    show("quiet", tmp_path)
    assert capsys.readouterr().out == f"{tmp_path / 'run'}\n"


def test_lines_are_for_logs(capsys: Any, tmp_path: Path) -> None:
    show("lines", tmp_path)
    assert "12/100 frames | env frames/s: –" in capsys.readouterr().out


def test_an_unknown_form_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match="expected one of auto, live, lines, jsonl, quiet"):
        Displays.of("loud")


def test_of_what_does_not_fit_the_most_telling_is_shown_in_its_order() -> None:
    shown = rows({}, {"judge": "x", "failures": "none"})
    assert fitting(shown, len(shown)) == shown
    assert [label for label, _ in fitting(shown, 4)] == ["env frames/s", "episode return", "task success", "failures"]


@pytest.mark.parametrize(("width", "height"), [(40, 10), (100, 12), (200, 50), (24, 6)])
def test_the_display_is_never_larger_than_the_terminal(monkeypatch: Any, width: int, height: int) -> None:
    sink = io.StringIO()
    console = Console(file=sink, width=width, height=height)
    monkeypatch.setattr(display, "Console", lambda: console)
    shown = LiveDisplay("a title that is rather long", 1000, None)
    drawn = shown._draw(HEAD, {"judge": "a line that says a great many things about what judges have done " * 3})
    shown.close()
    lines = console.render_lines(drawn)
    assert len(lines) <= height
    assert all(sum(segment.cell_length for segment in line) <= width for line in lines)
