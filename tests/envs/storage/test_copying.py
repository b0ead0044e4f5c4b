"""A copy of a store is the store as it was at one instant, whatever its owner does afterwards."""

from __future__ import annotations

import os

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.storage.copying import copy_unowned
from envs.storage.errors import StoreBusy
from envs.storage.store import Config, Store, open_store
from envs.storage.verifying import verify
from envs.storage.writers import Ack, Key

SCHEMA = pa.schema([("n", pa.int64())])
CONFIG = Config(segment_mb=1, fsync="none", compact_below=0.5)


def rows(number, count=30_000):
    return pa.record_batch([pa.array([number] * count)], schema=SCHEMA)  # 240 kB: four fill a segment


def live(store):
    return [(one.key, store.read(one.position).column("n")[0].as_py()) for one in store]


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(["append", "drop", "sync", "copy"]), min_size=5, max_size=40))
def test_a_copy_holds_what_was_live_when_it_was_made(tmp_path_factory, steps):
    root = tmp_path_factory.mktemp("store")
    copies = []
    with Store(root / "original", SCHEMA, CONFIG) as store:
        written = 0
        for step in steps:
            if step == "append":
                store.append(Key(0, 0, written), rows(written))
                written += 1
            elif step == "drop" and len(store):
                store.drop([next(iter(store)).position])
            elif step == "sync":
                store.sync()
            elif step == "copy":
                store.copy_to(root / f"copy-{len(copies)}")
                copies.append((live(store), written))
    for number, (expected, written) in enumerate(copies):
        with Store(root / f"copy-{number}", SCHEMA, CONFIG) as copy:
            assert live(copy) == expected
            assert written == 0 or copy.append(Key(0, 0, written - 1), rows(0))[0] is Ack.DUPLICATE
        assert verify(root / f"copy-{number}") == []


def test_a_batch_that_ends_with_zeros_is_whole_in_the_copy(tmp_path):
    with Store(tmp_path / "original", SCHEMA, CONFIG) as store:
        store.append(Key(0, 0, 0), rows(0))  # zeros, and behind them the zeros of a file that was grown in advance
        store.copy_to(tmp_path / "copy")
        about = os.stat(tmp_path / "copy" / "000000-0.arrow")
        assert about.st_size == 2**20 and about.st_blocks * 512 < 2**19
    with open_store(tmp_path / "copy") as copy:
        assert live(copy) == [(Key(0, 0, 0), 0)]


def test_full_segments_take_no_room_twice(tmp_path):
    with Store(tmp_path / "original", SCHEMA, CONFIG) as store:
        store.append(Key(0, 0, 0), rows(0))
    with Store(tmp_path / "original", SCHEMA, CONFIG) as store:
        store.append(Key(0, 1, 0), rows(1))
        store.copy_to(tmp_path / "copy")
        assert os.path.samefile(tmp_path / "original/000000-0.arrow", tmp_path / "copy/000000-0.arrow")
        assert not os.path.samefile(tmp_path / "original/000001-0.arrow", tmp_path / "copy/000001-0.arrow")


def test_what_somebody_owns_is_copied_by_nobody_else(tmp_path):
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    store = Store(tmp_path / "original", SCHEMA, CONFIG)
    store.append(Key(0, 0, 0), rows(7))
    with pytest.raises(StoreBusy):
        copy_unowned(tmp_path / "original", tmp_path / "copy", 5.0, lambda: now[0], sleep)
    assert 5.0 <= now[0] < 6.0
    store.close()
    copy_unowned(tmp_path / "original", tmp_path / "copy")
    with open_store(tmp_path / "copy") as copy:
        assert live(copy) == [(Key(0, 0, 0), 7)]
