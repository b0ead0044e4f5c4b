"""Alarms of the monitors of a run: what they measured, against which threshold, and what was done.

A monitor leaves a line in `alarms.jsonl` of the run directory: time, update, monitor, kind, value, threshold, action,
message. What earlier versions wrote has no update.
"""

from __future__ import annotations

import time

from pipelines.reports.data import RunData
from pipelines.reports.markup import clean, table
from pipelines.stored.records import NOT_KNOWN, number_text

SHOWN = 100


def alarms(run: RunData) -> str:
    """The alarms of a run, the newest last; empty where it has none."""
    path = run.directory.alarms
    if not path.is_file():
        return ""
    try:
        found = [line for line in run.directory.lines(path) if isinstance(line, dict)]
    except (OSError, ValueError) as error:
        return table((), (), note=f"{path.name} cannot be read: {error}")
    rows = []
    for line in found[-SHOWN:]:
        at = line.get("time")
        rows.append(
            (
                _stamp(at),
                _number(line.get("update")),
                clean(line.get("monitor", NOT_KNOWN), 80),
                clean(line.get("kind", ""), 80),
                _number(line.get("value")),
                _number(line.get("threshold")),
                clean(line.get("action", ""), 80),
                clean(line.get("message", ""), 500),
            )
        )
    note = "No monitor has raised an alarm." if not found else f"{len(found):,} alarms."
    if len(found) > SHOWN:
        note += f" The latest {SHOWN} are shown; all are in {path.name}."
    head = ("time (UTC)", "at update", "monitor", "kind", "value", "threshold", "action", "what it says")
    return table(head, rows, numbers=(1, 4, 5), note=note, label="Alarms")


def _stamp(at: object) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(float(at)))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return NOT_KNOWN


def _number(value: object) -> str:
    return (
        number_text(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else clean(value or NOT_KNOWN, 40)
    )
