"""Processes that carry a mark in their environment, and so all that one of them started."""

from __future__ import annotations

import psutil


def marked(variable: str, mark: str) -> list[psutil.Process]:
    """Every living process whose environment has the mark; without what cannot be looked into or has gone."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(variable) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found
