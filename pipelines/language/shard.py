"""`LanguageShard`: the role that keeps a share of a run's groups, on disk, until they are learnt from and longer.

A group is stored when it was played, and can be drawn when it has been judged: until then its priority is 0. So a
slow reward holds up its own group and no other. Of those that can be drawn, the oldest policy's go first. As with
`pipelines.replay_shard`, its process needs no torch.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from cluster.logs import ident
from envs.language.trajectory import language_schema
from envs.storage.store import open_store
from envs.storage.writers import Ack
from learners.replay.config import Config
from learners.replay.ledger import ReplayLedger
from pipelines.language.groups import GroupReport, of_groups, together
from pipelines.replay_shard import Standing, opened, rewound, stored_as

if TYPE_CHECKING:
    from pipelines.language.experiment import LanguageExperiment

LOG = logging.getLogger(__name__)
OLDER = 1e4  # by how much the priority of a group rises with each version that it is behind
OLDEST = 8  # versions behind from which on all are alike


class LanguageShard:
    """A replay from which each judged group is drawn once."""

    def __init__(self, config: Config, size: int, directory: Path) -> None:
        """Begin, or go on where the last owner of the directory was, however it ended.

        Args:
            config: of the replay.
            size: groups of a draw.
            directory: of rows and decisions.

        Raises:
            StoreCorrupt, StoreForeign, StoreBusy, ValueError: the directory cannot be gone on with.
        """
        self._directory, self._size = directory, size
        self._replay = opened(config, language_schema(), directory)
        self._judged: dict[str, int] = {}  # version by first row, of what can be drawn
        # First rows of what was drawn before this process began: it is drawn again by its number alone.
        self._drawn = {GroupReport.from_plain(insert.meta).row_ids[0] for insert in self._replay.unreleased()}
        # Whoever goes on says anew what has been judged: a crash may have come between storing and holding back.
        self._prioritise([r.row_ids[0] for r in self.reports()], 0.0)

    def standing(self) -> Standing:
        """How it stands; `waiting` are groups that can be drawn."""
        replay = self._replay
        return Standing(len(self._judged), replay.dropped_fragments, replay.next_sample, replay.highest_epoch)

    def insert(self, reports: Sequence[GroupReport], rows: pa.RecordBatch) -> tuple[list[bool], Standing]:
        """Store groups, each once, until they are judged; gives which of them are new.

        Args:
            reports: of whole groups.
            rows: of all of them, group by group.

        Raises:
            OSError: the disk is full.
        """
        stored = []
        for report, own in zip(reports, of_groups(rows, reports), strict=True):
            ack = self._replay.insert(report.key, own, report.policy_version, report.to_plain())
            stored.append(ack is Ack.STORED)
        self._prioritise([report.row_ids[0] for report, new in zip(reports, stored, strict=True) if new], 0.0)
        return stored, self.standing()

    def judged(self, reports: Sequence[GroupReport]) -> Standing:
        """Groups have all their verdicts, NULL ones included: they can be drawn."""
        new = {report.row_ids[0]: report.policy_version for report in reports if report.row_ids[0] not in self._drawn}
        self._judged |= new
        self._prioritise(list(new), 1.0)
        return self.standing()

    def draw(
        self, number: int, learner_version: int
    ) -> tuple[tuple[list[GroupReport], Standing], list[pa.RecordBatch]]:
        """Draw `number`: the same again where it was given before, else judged groups; none where too few are.

        Args:
            number: of the draw, from 0.
            learner_version: of the weights that are about to learn; what is too far behind them is dropped.
        """
        if number == self._replay.next_sample:
            ages = np.clip([learner_version - version for version in self._judged.values()], 0, OLDEST)
            self._prioritise(list(self._judged), OLDER**ages)
        sample = self._replay.sample(number, self._size, learner_version)
        if sample is None:
            self._forget_stale(learner_version)
            return ([], self.standing()), []
        reports = [GroupReport.from_plain(insert.meta) for insert in self._replay.inserts(sample)]
        LOG.info("draw", extra={"draw": number, "trajectories": [ident(report.key) for report in reports]})
        for report in reports:
            self._judged.pop(report.row_ids[0], None)
        self._forget_stale(learner_version)
        rows = self._replay.sample_rows(sample)
        # As one batch they travel as one thing; each group's own would be packed and unpacked by itself.
        return (reports, self.standing()), [together(rows)] if rows else []

    def rewind(self, number: int) -> tuple[int, int]:
        """The learner goes on from a checkpoint in which all draws below `number` are; see `rewound`."""
        return rewound(self._replay, number)

    def release(self, number: int) -> None:
        """Draws below `number` are in a checkpoint: they will not be asked for again."""
        self._replay.release(number)

    def reports(self) -> list[GroupReport]:
        """All groups of which rows are needed still, in the order in which they came."""
        return [GroupReport.from_plain(insert.meta) for insert in self._replay.inserts()]

    def rows(self, keys: Sequence[tuple[int, int, int]]) -> list[pa.RecordBatch]:
        """Stored rows under some keys, in their order: of groups that have to be judged anew."""
        with open_store(self._directory / "rows") as store:
            positions = {stored.key: stored.position for stored in store}
            return [store.read(positions[tuple(key)]) for key in keys]  # type: ignore[index]

    def ledger(self) -> ReplayLedger:
        """The books as they stand, checked against what is there.

        Raises:
            LedgerBroken: they do not agree.
        """
        self._replay.check()
        return self._replay.ledger()

    def copy_to(self, directory: Path) -> None:
        """Copy all that is stored, as it is now, into a directory on the same disk.

        Raises:
            OSError: the disk is full, or failed.
        """
        self._replay.copy_to(directory)

    def close(self) -> None:
        """Write what is left to write, and let others have the directory."""
        self._replay.close()

    def _prioritise(self, row_ids: Sequence[str], priority: float | np.ndarray) -> None:
        if row_ids:
            self._replay.update_priorities(list(row_ids), np.broadcast_to(priority, (len(row_ids),)))

    def _forget_stale(self, learner_version: int) -> None:
        limit = self._replay.config.max_staleness
        if limit is not None:
            self._judged = {row: v for row, v in self._judged.items() if learner_version - v <= limit}


def language_shard_of(experiment: LanguageExperiment, directory: Path) -> partial[LanguageShard]:
    """What makes a share of a language run's replay, in any process.

    Args:
        experiment: the run's.
        directory: of the share.
    """
    config = Config(
        unit="group",
        group_size=experiment.group_size,
        sampler="prioritised",
        alpha=1.0,
        capacity=max(256, 4 * experiment.prompts * (experiment.max_staleness + 1)),
        max_staleness=experiment.max_staleness,
        keep_mb=experiment.record_mb,
        steps_column="token_ids",
        store=stored_as(experiment.replay),
        seed=experiment.seed,
    )
    return partial(LanguageShard, config, experiment.prompts, directory.resolve())
