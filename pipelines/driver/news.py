"""`News`: what each role has been told of captions, verdicts and reward models, and what is new to it.

A role that was started again is another one, and is told everything once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rewards.verdicts import Verdict


class Told(NamedTuple):
    """How far a role has come, at an epoch: how many captions and verdicts of the logs, and which reward model."""

    epoch: int
    captions: int = 0
    verdicts: int = 0
    snapshot: int = 0


class News:
    """One reader for each role; the logs only grow."""

    def __init__(self) -> None:
        """Nobody has been told anything, and there is no reward model."""
        self._told: dict[str, Told] = {}
        self._snapshot: Any = None
        self._snapshots = 0

    def publish(self, snapshot: Any) -> None:
        """There is a newer reward model; `snapshot` is passed on as it is."""
        self._snapshot, self._snapshots = snapshot, self._snapshots + 1

    def forget(self, name: str) -> None:
        """It is not known what a role has taken in: it is told everything again."""
        self._told.pop(name, None)

    def of(
        self, name: str, epoch: int, captions: Sequence[tuple[int, str]], verdicts: Sequence[Verdict]
    ) -> tuple[dict[int, str], list[Verdict], Any]:
        """What a role has not been told yet; from now on it has.

        Args:
            name: of the role.
            epoch: another one after each death.
            captions: all so far, by id, in the order in which they came.
            verdicts: all so far, likewise.

        Returns:
            New captions, new verdicts, and the newest reward model, or None where it has that one.
        """
        told = self._told.get(name, Told(epoch))
        if told.epoch != epoch:
            told = Told(epoch)
        self._told[name] = Told(epoch, len(captions), len(verdicts), self._snapshots)
        snapshot = self._snapshot if self._snapshots > told.snapshot else None
        return dict(captions[told.captions :]), list(verdicts[told.verdicts :]), snapshot
