"""The live display: a table that is redrawn on a terminal, and one line an interval elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


class Display(Protocol):
    """Shows how a run goes."""

    def show(self, numbers: Mapping[str, float], lines: Mapping[str, str]) -> None:
        """Show numbers (see `RunStatus.summary`) and ready-made lines by label."""
        ...

    def say(self, text: str) -> None:
        """Show one message that stays."""
        ...

    def close(self) -> None:
        """Leave the last state on the screen."""
        ...


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}{unit}"
    return f"{value:.3g}{unit}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def rows(numbers: Mapping[str, float], lines: Mapping[str, str]) -> list[tuple[str, str]]:
    """The display as labels and texts, in the order in which they are shown."""
    get = numbers.get
    intrinsic, extrinsic = _number(get("learner/reward_intrinsic")), _number(get("learner/reward_extrinsic"))
    return [
        ("env frames/s", _number(get("frames_per_s"))),
        ("episodes", f"{_number(get('episodes'))}, mean length {_number(get('episode_length'))}"),
        ("episode return", f"{_number(get('episode_return'))} (last 100)"),
        ("task success", _share(get("success_rate"))),
        ("reward a step", f"intrinsic {intrinsic}, extrinsic {extrinsic}"),
        ("annotated", f"{_share(get('annotated_share'))} of captioned steps"),
        *lines.items(),
        ("weights", f"version {_number(get('updates'))}, age when acting {_number(get('learner/policy_lag_mean'))}"),
        ("policy entropy", _number(get("learner/entropy"))),
    ]


class LiveDisplay:
    """For terminals."""

    def __init__(self, title: str, target_frames: int, minutes: float | None) -> None:
        """Begin to draw."""
        self._title, self._target, self._minutes = title, target_frames, minutes
        self._console = Console()
        self._live = Live(Text("starting …"), console=self._console, refresh_per_second=4, transient=False)
        self._live.start()

    def show(self, numbers: Mapping[str, float], lines: Mapping[str, str]) -> None:
        """Redraw."""
        self._live.update(self._draw(numbers, lines))

    def _draw(self, numbers: Mapping[str, float], lines: Mapping[str, str]) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for label, text in rows(numbers, lines):
            table.add_row(label, Text(text))
        done = progress(numbers, self._target, self._minutes)
        elapsed = time.strftime("%H:%M:%S", time.gmtime(numbers.get("elapsed_s", 0)))
        head = Text(f"{_number(numbers.get('frames'))} of {self._target:,} frames, {elapsed}")
        return Panel(Group(ProgressBar(total=1.0, completed=done), head, Text(""), table), title=self._title)

    def say(self, text: str) -> None:
        """Print above the table."""
        self._live.console.print(Text(text))

    def close(self) -> None:
        """Stop redrawing."""
        self._live.stop()


class LineDisplay:
    """For files, pipes and continuous integration: one line an interval."""

    def __init__(self, target_frames: int, every_s: float = 10.0) -> None:
        """Print at most once in `every_s` seconds."""
        self._target, self._every_s, self._last = target_frames, every_s, -math.inf

    def show(self, numbers: Mapping[str, float], lines: Mapping[str, str]) -> None:
        """Print a line, if it is time."""
        if time.monotonic() - self._last < self._every_s:
            return
        self._last = time.monotonic()
        head = f"{numbers.get('frames', 0):,.0f}/{self._target:,} frames"
        print(" | ".join([head, *(f"{label}: {text}" for label, text in rows(numbers, lines))]), flush=True)

    def say(self, text: str) -> None:
        """Print a message."""
        print(text, flush=True)

    def close(self) -> None:
        """Nothing to do."""


def progress(numbers: Mapping[str, float], target_frames: int, minutes: float | None) -> float:
    """Share of the run that is done, by frames or by time, whichever is further."""
    done = numbers.get("learnt_frames", 0.0) / target_frames
    if minutes is not None:
        done = max(done, numbers.get("elapsed_s", 0.0) / (60 * minutes))
    return min(done, 1.0)


def open_display(title: str, target_frames: int, minutes: float | None) -> Display:
    """The display that fits where the output goes."""
    return LiveDisplay(title, target_frames, minutes) if sys.stdout.isatty() else LineDisplay(target_frames)
