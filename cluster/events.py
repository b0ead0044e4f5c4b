"""What happens to roles: an event for the report, and the two ways in which a call of one can fail.

Nothing here knows Ray: whoever keeps the books of a run needs these words also where it is one process, no cluster.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Something that happened to a role, for the report."""

    time_s: float
    role: str
    what: str
    cause: str
    recovered_s: float | None = None


class RoleLost(RuntimeError):
    """The call did not finish because the role died, hung, or could not be reached. It has been started again."""


class RoleFailing(RuntimeError):
    """A role dies again and again; starting it once more would not help."""
