"""Where else to look: the log of each role, and Ray's dashboard where the run had one."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.reports.markup import link, text
from pipelines.run_directory import LOGS
from pipelines.stored.records import Records

DASHBOARD = "dashboard"  # what a run notes when it has found one


def places(run: Records, live: bool) -> str:
    """A list of links; files are named and not linked where the page is served, which serves no files."""
    items = []
    if (address := dashboard_of(run)) is not None:
        items.append(f"Ray's dashboard, while its head lives: {link(address, address)}")
    for path in sorted(run.directory.logs.glob("*.jsonl")):
        name, size = f"{LOGS}/{path.name}", path.stat().st_size
        shown = text(name) if live else link(name, name)
        items.append(f"{shown}, {max(1, round(size / 1e3)):,} kB")
    if not items:
        return ""
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def dashboard_of(run: Records) -> str | None:
    """The address that the run noted last, where it is one that a browser may be sent to."""
    noted = [str(event.get("cause", "")) for event in run.events if event.get("what") == DASHBOARD]
    if not noted:
        return None
    parts = urlsplit(noted[-1])
    return noted[-1] if parts.scheme in ("http", "https") and parts.hostname and parts.username is None else None


def log_lines(run: Records) -> list[tuple[str, str]]:
    """The same for the terminal."""
    lines = []
    if any(run.directory.logs.glob("*.jsonl")):
        lines.append(("logs", f"{shown_path(run.directory.logs)}/ROLE.jsonl"))
    if (address := dashboard_of(run)) is not None:
        lines.append(("dashboard", address))
    return lines


def shown_path(path: Path) -> str:
    """A path as short as it still works from here."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)
