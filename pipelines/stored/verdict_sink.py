"""`VerdictSink`: where new verdicts go, whoever owns the run's store of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from envs.storage.errors import StoreBusy
from pipelines.experiment import COMPONENT
from pipelines.run_directory import RunDirectory
from rewards.verdict_proposals import propose
from rewards.verdict_store import VerdictStore, settle

OWNER_TIMEOUT_S = 60.0  # for the run that goes on to take in what was judged


class VerdictSink:
    """The run's verdicts: owned by this process, or by the run that goes on and takes them in."""

    def __init__(self, directory: RunDirectory) -> None:
        """Own the verdicts, or else propose what is put to whoever does.

        Args:
            directory: of the run.
        """
        self._directory, self._shared = directory.verdicts, False
        self._proposed: list[Path] = []
        try:
            self.store = VerdictStore(self._directory)
        except StoreBusy:
            self.store, self._shared = VerdictStore(self._directory, read_only=True), True

    def __enter__(self) -> VerdictSink:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    def put(self, batch: pa.RecordBatch, expected: Sequence[int]) -> None:
        """Store verdicts; what somebody else was quicker with stays theirs."""
        if self._shared:
            self._proposed.append(propose(self._directory, batch, np.asarray(expected, np.int32)))
        else:
            self.store.put(batch, np.asarray(expected, np.int32))

    def refresh(self) -> None:
        """See all that was put; where another process owns the store, once it has taken it in."""
        while self._proposed:
            settle(self._directory, self._proposed.pop(0), OWNER_TIMEOUT_S)
        self.store.refresh()

    def todo(self, subjects: pa.Array, version: str, again: bool) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Positions of subjects that are to be judged, and the generation that each is at."""
        found = self.store.join(subjects, COMPONENT, version)
        missing = ~found.valid if again else found.generations == 0
        where = np.flatnonzero(missing)
        return where, found.generations[where]
