"""How fast a run went once it was under way: from what it told of itself, the first and the last report that count."""

from __future__ import annotations

from typing import Any

from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory


def under_way(directory: RunDirectory, after: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first report of at least `after` updates, when what is slow once is over, and the first with all of them.

    Reports without another update in them tell how long a run takes to save itself and end.

    Raises:
        UserError: there are no two such reports that differ in their updates, so nothing can be divided by.
    """
    lines = [line for line in directory.lines(directory.metrics) if line["updates"] >= after]
    if len({line["updates"] for line in lines}) < 2:
        last = max((int(line["updates"]) for line in directory.lines(directory.metrics)), default=0)
        raise UserError(
            f"{directory.root} came to {last} updates; the first {after} are left out, and the speed of what is left "
            "cannot be told: give it more updates or more time, or look at its report for why it stopped"
        )
    return lines[0], next(line for line in lines if line["updates"] == lines[-1]["updates"])
