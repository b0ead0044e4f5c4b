"""Whatever is done to a store in whatever order, also by crashes, it agrees with a dict."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from envs.storage.store import Config, Store
from envs.storage.verifying import verify
from envs.storage.writers import Ack, Key

SCHEMA = pa.schema([("value", pa.int64()), ("pad", pa.binary())])
PAD = b"x" * 300_000  # three batches fill a segment of 1 MiB


def rows(value, wide):
    return pa.record_batch([pa.array([value], pa.int64()), pa.array([PAD if wide else b""])], schema=SCHEMA)


class StoreMachine(RuleBasedStateMachine):
    """The model: live batches by key, all keys ever stored, the newest epoch of each actor."""

    positions = Bundle("positions")

    def __init__(self):
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.lives = 0
        self.live, self.ever, self.epochs = {}, set(), {}

    @initialize(fsync=st.sampled_from(["always", "interval", "none"]), compact_below=st.sampled_from([0.0, 0.5, 0.9]))
    def open_first(self, fsync, compact_below):
        self.config = Config(segment_mb=1, fsync=fsync, fsync_interval_s=0.01, compact_below=compact_below)
        self.store = Store(self.directory, SCHEMA, self.config)

    @property
    def directory(self):
        return self.place / f"{self.lives}"

    @rule(
        target=positions,
        actor=st.integers(0, 1),
        epoch=st.integers(0, 1),
        sequence=st.integers(0, 7),
        wide=st.booleans(),
    )
    def append(self, actor, epoch, sequence, wide):
        key, value = Key(actor, epoch, sequence), len(self.ever)
        ack, position = self.store.append(key, rows(value, wide), {"value": value})
        if epoch < self.epochs.get(actor, 0):
            assert (ack, position) == (Ack.FENCED, None)
        elif key in self.ever:
            assert (ack, position) == (Ack.DUPLICATE, None)
        else:
            assert ack is Ack.STORED and position not in [where for where, _, _ in self.live.values()]
            self.live[key] = (position, value, wide)
            self.ever.add(key)
            self.epochs[actor] = epoch
        return key

    @rule(key=consumes(positions))
    def drop(self, key):
        if key in self.live:
            position, _, _ = self.live.pop(key)
            self.store.drop([position, position])

    @rule()
    def sync(self):
        self.store.sync()

    @rule()
    def close_and_open(self):
        self.store.close()
        self.store = Store(self.directory, SCHEMA, self.config)
        assert self.store.recovery.notes == () and self.store.recovery.batches == len(self.live)

    @rule()
    def crash_and_open(self):
        """The files as they are are all that is left; the old process writes no more."""
        self.store._syncer.finish()  # not in the middle of a step: test_recovery.py does that
        self.store._syncer.settle()
        before = self.directory
        self.lives += 1
        shutil.copytree(before, self.directory)
        self.store.close()
        self.store = Store(self.directory, SCHEMA, self.config)
        assert self.store.recovery.dropped_bytes == 0 and self.store.recovery.batches == len(self.live)

    @invariant()
    def agrees(self):
        if not hasattr(self, "store"):
            return
        found = {one.key: one for one in self.store}
        assert list(found) == list(self.live) and len(self.store) == len(self.live)
        for key, (position, value, wide) in self.live.items():
            assert found[key].position == position and found[key].meta == {"value": value}
            assert self.store.read(position).equals(rows(value, wide))
        assert self.store.bytes_live <= self.store.bytes_on_disk

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            assert verify(self.directory) == []
        shutil.rmtree(self.place)


TestStore = pytest.mark.slow(StoreMachine.TestCase)
TestStore.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
