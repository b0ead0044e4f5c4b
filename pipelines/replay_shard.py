"""`ReplayShard`: the role that keeps a share of a run's experience, on disk, until it is learnt from and longer.

Beside the rows of each fragment stands what its actor said of it, so that whoever goes on with a run knows what came
after its checkpoint. Its process is given the settings that it needs and no others: those of networks know torch, which
takes a second to load, and 200 MB.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from cluster.logs import ident
from envs.storage.errors import StoreBusy
from envs.storage.store import Config as StoreConfig
from envs.storage.writers import Ack
from envs.trajectory import Fragment
from learners.replay.config import Config
from learners.replay.ledger import ReplayLedger
from learners.replay.replay import Replay

if TYPE_CHECKING:
    from pipelines.experiment import Experiment, ReplayConfig

LOG = logging.getLogger(__name__)
LET_GO_S = 30.0  # how long a process that was killed may hold on to its files


class Standing(NamedTuple):
    """How a shard stands.

    Attributes:
        waiting: fragments that can be drawn anew.
        dropped: fragments that were dropped so far, for any reason.
        drawn: the number of the next new draw.
        epoch: the highest of those who wrote; -1 where nobody has.
    """

    waiting: int
    dropped: int
    drawn: int
    epoch: int


def _level(ack: Ack) -> int:
    """What is stored is drawn, and said then; what is refused is said now."""
    return logging.DEBUG if ack is Ack.STORED else logging.INFO


class ReplayShard:
    """A replay from which each fragment is drawn once, with the records of the run."""

    def __init__(self, config: Config, size: int, schema: pa.Schema, directory: Path) -> None:
        """Begin, or go on where the last owner of the directory was, however it ended.

        Args:
            config: of the replay.
            size: fragments of a draw.
            schema: of the rows.
            directory: of rows and decisions.

        Raises:
            StoreCorrupt, StoreForeign, StoreBusy, ValueError: the directory cannot be gone on with.
        """
        self._replay, self._size = opened(config, schema, directory), size

    def standing(self) -> Standing:
        """How it stands."""
        replay = self._replay
        return Standing(len(replay), replay.dropped_fragments, replay.next_sample, replay.highest_epoch)

    def insert(self, fragment: Fragment, rows: pa.RecordBatch) -> tuple[Ack, Standing]:
        """Accept a fragment, once; when this returns it is as durable as `replay.fsync` says.

        Raises:
            OSError: the disk is full; nothing has changed.
        """
        ack = self._replay.insert(fragment.key, rows, fragment.policy_version, fragment.to_plain())
        LOG.log(_level(ack), "insert", extra={"trajectory": ident(fragment.key), "ack": ack.value})
        return ack, self.standing()

    def draw(
        self, number: int, learner_version: int
    ) -> tuple[tuple[list[Fragment], Standing], tuple[pa.RecordBatch, ...]]:
        """Draw `number`: the same again where it was given before, else the oldest fragments; none where too few wait.

        Args:
            number: of the draw, from 0.
            learner_version: of the weights that are about to learn.
        """
        sample = self._replay.sample(number, self._size, learner_version)
        if sample is None:
            return ([], self.standing()), ()
        fragments = [Fragment.from_plain(insert.meta) for insert in self._replay.inserts(sample)]
        LOG.info("draw", extra={"draw": number, "trajectories": [ident(fragment.key) for fragment in fragments]})
        return (fragments, self.standing()), tuple(self._replay.sample_rows(sample))

    def rewind(self, number: int) -> tuple[int, int]:
        """The learner goes on from a checkpoint in which all draws below `number` are; see `rewound`."""
        return rewound(self._replay, number)

    def release(self, number: int) -> None:
        """Draws below `number` are in a checkpoint: they will not be asked for again."""
        self._replay.release(number)

    def fragments(self) -> list[Fragment]:
        """All of which rows are needed still, in the order in which they came."""
        return [Fragment.from_plain(insert.meta) for insert in self._replay.inserts()]

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


def shard_of(experiment: Experiment, schema: pa.Schema, directory: Path) -> partial[ReplayShard]:
    """What makes a share of a run's replay, in any process.

    Args:
        experiment: the run's.
        schema: of the rows.
        directory: of the share.
    """
    config = Config(
        max_staleness=experiment.max_staleness, keep_mb=experiment.record_mb, store=stored_as(experiment.replay)
    )
    return partial(ReplayShard, config, experiment.batch_fragments, schema, directory.resolve())


def stored_as(kept: ReplayConfig) -> StoreConfig:
    """How rows are kept, as an experiment says it."""
    return StoreConfig(segment_mb=kept.segment_mb, fsync=kept.fsync, fsync_interval_s=kept.fsync_interval_s)


def opened(config: Config, schema: pa.Schema, directory: Path) -> Replay:
    """A replay in a directory that a process which was killed may still hold for a moment.

    Raises:
        StoreCorrupt, StoreForeign, StoreBusy, ValueError: the directory cannot be gone on with.
    """
    deadline = time.monotonic() + LET_GO_S
    while True:
        try:
            return Replay(config, schema, directory)
        except StoreBusy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def rewound(replay: Replay, number: int) -> tuple[int, int]:
    """Let a learner go on from a checkpoint in which all draws below `number` are.

    Returns:
        The draw that it goes on with, and how many it will see again. The first is later than `number` where those
        between were released: what was learnt from them is in a newer checkpoint alone, which cannot be read.
    """
    begin = max(number, replay.released)
    return begin, replay.rewind(begin)


def passed_over(draws: int) -> str:
    """What is said where a run goes on from an older checkpoint than its newest."""
    return f"{draws} batches were learnt from in a newer checkpoint alone, which cannot be read: passed over"
