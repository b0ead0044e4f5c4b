"""The forms of the display by name, `display=`: for people at a terminal, for logs, for programs, or none.

| form | what is shown |
|---|---|
| `auto` | `live` on a terminal, `lines` elsewhere |
| `live` | a table that is redrawn, as large as the terminal allows |
| `lines` | a line every ten seconds |
| `jsonl` | one JSON object a line: `kind` is `message`, `progress` or `end`, and nothing else is on the output |
| `quiet` | the directory of the run at the end; errors on the error output |
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.display import EXPERIENCE, Display, LineDisplay, LiveDisplay, Subject, open_display
from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory

Opened = Callable[[str, int, float | None, Subject], Display]
"""Opens a display: title, target, minutes and subject."""


class QuietDisplay:
    """Shows nothing."""

    def show(self, numbers: Mapping[str, float], lines: Mapping[str, str]) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Nothing to do."""


class JsonDisplay:
    """For programs: one JSON object a line."""

    def __init__(self, title: str, target: int, minutes: float | None, subject: Subject = EXPERIENCE) -> None:
        """Say what begins."""
        write_line("begin", title=title, target=target, minutes=minutes, unit=subject.unit)

    def show(self, numbers: Mapping[str, float], lines: Mapping[str, str]) -> None:
        """All numbers; what is not known is not there."""
        known = {key: value for key, value in numbers.items() if math.isfinite(value)}
        write_line("progress", numbers=known, lines=dict(lines))

    def say(self, text: str) -> None:
        """A message."""
        write_line("message", text=text)

    def close(self) -> None:
        """Nothing to do."""


def write_line(kind: str, **content: Any) -> None:
    """One line of JSON with the time in seconds since 1970."""
    line = json.dumps({"time": time.time(), "kind": kind, **content}, allow_nan=False)
    print(line + "\n", end="", flush=True)  # at once: a message may come from another thread


@dataclass(frozen=True)
class Displays:
    """One form.

    Attributes:
        open: opens the display of a run.
        say: tells what happens before and after.
        end: tells what a run came to, given its directory and its summary in words.
    """

    open: Opened
    say: Callable[[str], None]
    end: Callable[[RunDirectory, Callable[[RunDirectory], str]], None]

    @classmethod
    def of(cls, form: str) -> Displays:
        """A form by its name.

        Raises:
            UserError: there is none of that name.
        """
        try:
            return FORMS[form]
        except KeyError:
            raise UserError(f"display={form}: expected one of {', '.join(FORMS)}") from None


def _summed_up(directory: RunDirectory, summary: Callable[[RunDirectory], str]) -> None:
    print(summary(directory))


def _as_json(directory: RunDirectory, summary: Callable[[RunDirectory], str]) -> None:
    write_line("end", run=str(directory.root), report=str(directory.report), summary=summary(directory).splitlines())


def _named(directory: RunDirectory, summary: Callable[[RunDirectory], str]) -> None:
    print(directory.root)


def _lines(title: str, target: int, minutes: float | None, subject: Subject) -> Display:
    return LineDisplay(target, subject=subject)


def _quiet(title: str, target: int, minutes: float | None, subject: Subject) -> Display:
    return QuietDisplay()


def _nothing(text: str) -> None:
    """Say nothing."""


def _message(text: str) -> None:
    write_line("message", text=text)


FORMS: dict[str, Displays] = {
    "auto": Displays(open_display, print, _summed_up),
    "live": Displays(LiveDisplay, print, _summed_up),
    "lines": Displays(_lines, print, _summed_up),
    "jsonl": Displays(JsonDisplay, _message, _as_json),
    "quiet": Displays(_quiet, _nothing, _named),
}
