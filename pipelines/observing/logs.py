"""What a run logs of itself: where its roles log to, its events, and Ray's dashboard where there is one."""

from __future__ import annotations

import logging
import os
from typing import Protocol

from cluster.events import Event
from cluster.logs import LogPlace, open_log
from cluster.session import dashboard_link
from pipelines.display import Display
from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory

LOG = logging.getLogger(__name__)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LEVEL = "GUERDON_LOG_LEVEL"  # a variable and no key: what is logged is no part of an experiment


class Noting(Protocol):
    """A run that writes down what happens."""

    display: Display

    def note(self, what: str, cause: str = "") -> None:
        """Write down an event."""


def log_level() -> str:
    """How much is logged.

    Raises:
        UserError: the variable names no level.
    """
    level = os.environ.get(LEVEL, "INFO").upper()
    if level not in LEVELS:
        raise UserError(f"got {LEVEL}={level!r}; expected one of {', '.join(LEVELS)}")
    return level


def log_to(directory: RunDirectory, level: str) -> None:
    """This process, as the driver, and the roles that it starts log into a run's directory."""
    open_log(LogPlace(str(directory.logs.resolve()), directory.root.resolve().name, level), "driver")


def log_event(event: Event) -> None:
    """An event, as it stands in events.jsonl."""
    about = {"of": event.role, "cause": event.cause, "recovered_s": event.recovered_s}
    LOG.log(logging.WARNING if event.what == "died" else logging.INFO, event.what, extra=about)


def tell_dashboard(run: Noting) -> None:
    """Say where Ray's dashboard is, where the cluster has one, and write it down for the report."""
    if (link := dashboard_link()) is not None:
        run.note("dashboard", link)
        run.display.say(f"Ray's dashboard: {link}")
