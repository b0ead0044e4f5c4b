"""The live display: a table that is redrawn on a terminal, and one line an interval elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

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


Rows = list[tuple[str, str]]


class Subject(NamedTuple):
    """What a display is about.

    Attributes:
        unit: in which its length is given.
        done: key of the number of units that count as progress.
        begun: key of the number that is shown.
        rows: its labels and texts.
    """

    unit: str
    done: str
    begun: str
    rows: Callable[[Mapping[str, float], Mapping[str, str]], Rows]


def rows(numbers: Mapping[str, float], lines: Mapping[str, str]) -> Rows:
    """The display as labels and texts, in the order in which they are shown."""
    get = numbers.get
    intrinsic, extrinsic = _number(get("learner/reward_intrinsic")), _number(get("learner/reward_extrinsic"))
    judged = "judge" in lines or bool(get("annotated_share"))  # where nobody judges, 0 % would be a reproach
    return [
        ("env frames/s", _number(get("frames_per_s"))),
        ("episodes", f"{_number(get('episodes'))}, mean length {_number(get('episode_length'))}"),
        ("episode return", f"{_number(get('episode_return'))} (last 100)"),
        ("task success", _share(get("success_rate"))),
        ("reward a step", f"intrinsic {intrinsic}, extrinsic {extrinsic}"),
        *([("annotated", f"{_share(get('annotated_share'))} of captioned steps")] if judged else []),
        *lines.items(),
        ("weights", f"version {_number(get('updates'))}, age when acting {_number(get('learner/policy_lag_mean'))}"),
        ("policy entropy", _number(get("learner/entropy"))),
    ]


def language_rows(numbers: Mapping[str, float], lines: Mapping[str, str]) -> Rows:
    """The same, of a run of a language model."""
    get = numbers.get
    old = f"at most {_number(get('learner/staleness_max'))} versions old"
    rewards = {name[7:]: value for name, value in numbers.items() if name.startswith("reward/")}
    return [
        ("tokens/s", _number(get("frames_per_s"))),
        ("answers", f"{_number(get('episodes'))}, mean length {_number(get('episode_length'))} tokens"),
        ("reward", f"{_number(get('episode_return'))} (last update)"),
        *((f"reward {name}", _number(value)) for name, value in rewards.items()),
        ("pass@1", f"{_share(get('success_rate'))} of the test split"),
        *lines.items(),
        ("weights", f"version {_number(get('learner/version'))}, answers learnt from {old}"),
        ("policy entropy", _number(get("learner/entropy"))),
    ]


NARROW = 60  # columns of a terminal that have no room for a frame
FIRST = ("episode return", "reward", "task success", "pass@1", "env frames/s", "tokens/s", "failures", "deaths")
"""What is shown where not all fits."""


def fitting(shown: Rows, height: int) -> Rows:
    """The rows that fit into so many lines, in their order; of those that do not all fit, the most telling."""
    if len(shown) <= height:
        return shown
    order = sorted(range(len(shown)), key=lambda i: (shown[i][0] not in FIRST, i))
    kept = set(order[: max(height, 1)])
    return [row for i, row in enumerate(shown) if i in kept]


EXPERIENCE = Subject("frames", "learnt_frames", "frames", rows)
LANGUAGE = Subject("updates", "updates", "updates", language_rows)


class LiveDisplay:
    """For terminals."""

    def __init__(self, title: str, target: int, minutes: float | None, subject: Subject = EXPERIENCE) -> None:
        """Begin to draw."""
        self._title, self._target, self._minutes, self._subject = title, target, minutes, subject
        self._console = Console()
        self._live = Live(Text("starting …"), console=self._console, refresh_per_second=4, transient=False)
        self._live.start()

    def show(self, numbers: Mapping[str, float], lines: Mapping[str, str]) -> None:
        """Redraw."""
        self._live.update(self._draw(numbers, lines))

    def _draw(self, numbers: Mapping[str, float], lines: Mapping[str, str]) -> RenderableType:
        width, height = self._console.size
        narrow = width < NARROW
        table = Table.grid(padding=(0, 1 if narrow else 2))
        table.add_column(style="dim", no_wrap=True)
        # A long line would be folded, and a display that is higher than the terminal cannot be redrawn.
        table.add_column(overflow="ellipsis", no_wrap=True)
        for label, text in fitting(self._subject.rows(numbers, lines), height - (3 if narrow else 6)):
            table.add_row(label, Text(text))
        done = progress(numbers, self._target, self._minutes, self._subject.done)
        elapsed = time.strftime("%H:%M:%S", time.gmtime(numbers.get("elapsed_s", 0)))
        head = Text(f"{_number(numbers.get(self._subject.begun))} of {self._target:,} {self._subject.unit}, {elapsed}")
        if narrow:
            return Group(ProgressBar(total=1.0, completed=done, width=width), head, table)
        return Panel(Group(ProgressBar(total=1.0, completed=done), head, Text(""), table), title=Text(self._title))

    def say(self, text: str) -> None:
        """Print above the table."""
        self._live.console.print(Text(text))

    def close(self) -> None:
        """Stop redrawing."""
        self._live.stop()


class LineDisplay:
    """For files, pipes and continuous integration: one line an interval."""

    def __init__(self, target: int, every_s: float = 10.0, subject: Subject = EXPERIENCE) -> None:
        """Print at most once in `every_s` seconds."""
        self._target, self._every_s, self._last, self._subject = target, every_s, -math.inf, subject

    def show(self, numbers: Mapping[str, float], lines: Mapping[str, str]) -> None:
        """Print a line, if it is time."""
        if time.monotonic() - self._last < self._every_s:
            return
        self._last = time.monotonic()
        head = f"{numbers.get(self._subject.begun, 0):,.0f}/{self._target:,} {self._subject.unit}"
        shown = self._subject.rows(numbers, lines)
        print(" | ".join([head, *(f"{label}: {text}" for label, text in shown)]), flush=True)

    def say(self, text: str) -> None:
        """Print a message."""
        print(text, flush=True)

    def close(self) -> None:
        """Nothing to do."""


def progress(numbers: Mapping[str, float], target: int, minutes: float | None, key: str = "learnt_frames") -> float:
    """Share of the run that is done, by what is counted under `key` or by time, whichever is further."""
    done = numbers.get(key, 0.0) / target
    if minutes is not None:
        done = max(done, numbers.get("elapsed_s", 0.0) / (60 * minutes))
    return min(done, 1.0)


def open_display(title: str, target: int, minutes: float | None, subject: Subject = EXPERIENCE) -> Display:
    """The display that fits where the output goes."""
    if sys.stdout.isatty():
        return LiveDisplay(title, target, minutes, subject)
    return LineDisplay(target, subject=subject)


def preparation(say: Callable[[str], None]) -> Callable[[float, str], None]:
    """Shows how far something is that takes long before a run: a line that is overwritten on a terminal, else a few.

    Args:
        say: prints a line.
    """
    shown = [-1.0]

    def show(fraction: float, text: str) -> None:
        if sys.stdout.isatty() and say is print:
            print(f"\r{100 * fraction:3.0f} % {text:<60}", end="\n" if fraction >= 1 else "", flush=True)
        elif fraction - shown[0] >= 0.25 or fraction >= 1:
            shown[0] = fraction
            say(f"{100 * fraction:3.0f} % {text}")

    return show
