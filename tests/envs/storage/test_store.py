from __future__ import annotations

import errno
import os
import time

import numpy as np
import pyarrow as pa
import pytest

from envs.storage.errors import StoreForeign
from envs.storage.hot_segment import HotSegment
from envs.storage.store import Config, Position, Store, open_store
from envs.storage.verifying import verify
from envs.storage.writers import Ack, Key

SMALL = Config(segment_mb=1)
WIDE = 100_000  # times three characters, times two rows: two such batches fill a segment of 1 MiB


def names(directory):
    return sorted(os.listdir(directory))


def test_what_was_appended_is_read_in_order_with_its_keys_and_metas(tmp_path, schema, batch):
    with Store(tmp_path / "s", schema) as store:
        for number in range(5):
            ack, position = store.append(Key(0, 0, number), batch(number), {"policy": number, "tags": ["é", None]})
            assert ack is Ack.STORED and position == Position(0, number)
        found = list(store)
        assert [one.position for one in found] == [Position(0, number) for number in range(5)]
        assert [one.key for one in found] == [Key(0, 0, number) for number in range(5)]
        assert [one.meta for one in found] == [{"policy": number, "tags": ["é", None]} for number in range(5)]
        assert [one.rows for one in found] == [2] * 5 and len(store) == 5
        assert all(store.read(one.position).equals(batch(number)) for number, one in enumerate(found))
    with open_store(tmp_path / "s") as again:
        assert list(again) == found and again.read(Position(0, 3)).equals(batch(3))
        assert again.schema.equals(schema, check_metadata=True)
        assert (again.recovery.batches, again.recovery.rows, again.recovery.dropped_bytes) == (5, 10, 0)
        assert again.recovery.notes == ()


def test_a_batch_that_comes_twice_is_stored_once_and_an_older_epoch_never(tmp_path, schema, batch):
    with Store(tmp_path / "s", schema) as store:
        assert store.append(Key(0, 1, 0), batch(0)) == (Ack.STORED, Position(0, 0))
        assert store.append(Key(0, 1, 0), batch(0)) == (Ack.DUPLICATE, None)
        assert store.append(Key(0, 0, 9), batch(1)) == (Ack.FENCED, None)
        assert store.append(Key(0, 2, 0), batch(2)) == (Ack.STORED, Position(0, 1))
    with Store(tmp_path / "s", schema) as store:
        assert store.append(Key(0, 2, 0), batch(2)) == (Ack.DUPLICATE, None)
        assert store.append(Key(0, 1, 1), batch(3)) == (Ack.FENCED, None)
        assert len(store) == 2


def test_reading_is_without_a_copy_from_the_mapped_file(tmp_path, schema, batch):
    with Store(tmp_path / "s", schema) as store:
        store.append(Key(0, 0, 0), batch(0))
        _, position = store.append(Key(0, 0, 1), batch(1, rows=50))
        segment = np.frombuffer(store.mapped(0), np.uint8)
        steps = store.read(position).column("step").to_numpy(zero_copy_only=True)
        offset, length = store.extent(position)
        begin = segment.ctypes.data + offset
        assert begin < steps.ctypes.data < steps.ctypes.data + steps.nbytes <= begin + length
        assert pa.ipc.read_record_batch(pa.py_buffer(store.mapped(0)[offset : offset + length]), schema).equals(
            batch(1, rows=50)
        )
        assert not steps.flags.writeable
        assert store.read(position) is store.read(position)


def test_a_slice_is_stored_without_the_rest_of_its_buffers(tmp_path, schema, batch):
    with Store(tmp_path / "s", schema) as store:
        _, position = store.append(Key(0, 0, 0), batch(0, rows=10_000).slice(5000, 3))
        assert store.read(position).column("step").to_pylist() == [5000, 5001, 5002]
        assert store.bytes_live < 1000


def test_a_full_segment_is_sealed_and_a_larger_batch_gets_a_larger_one(tmp_path, schema, batch):
    with Store(tmp_path / "s", schema, SMALL) as store:
        positions = [store.append(Key(0, 0, number), batch(number, 2, WIDE))[1] for number in range(3)]
        positions.append(store.append(Key(0, 0, 3), batch(3, 2, 10 * WIDE))[1])
        assert positions == [Position(0, 0), Position(1, 0), Position(2, 0), Position(3, 0)] or positions == [
            Position(0, 0),
            Position(0, 1),
            Position(1, 0),
            Position(2, 0),
        ]
        assert store.read(positions[-1]).equals(batch(3, 2, 10 * WIDE))
    assert not [name for name in names(tmp_path / "s") if name.endswith(".index")]
    assert verify(tmp_path / "s") == []


def test_dropped_batches_are_gone_for_good_and_a_segment_of_dead_ones_is_deleted(tmp_path, schema, batch):
    directory = tmp_path / "s"
    with Store(directory, schema, SMALL) as store:
        positions = [store.append(Key(0, 0, number), batch(number, 2, WIDE))[1] for number in range(8)]
    with Store(directory, schema, SMALL) as store:
        first = [position for position in positions if position.segment == 0]
        view = store.read(first[0])
        store.drop(first)
        store.drop(first)  # harmless
        assert len(store) == 8 - len(first)
        with pytest.raises(KeyError, match="segment 0 is not there"):
            store.read(first[0])
        store.sync()
        assert view.equals(batch(0, 2, WIDE))  # what was read stays
        assert not [name for name in names(directory) if name.startswith("000000")]
    with Store(directory, schema) as store:
        assert [one.position for one in store] == positions[len(first) :]
        assert store.append(Key(0, 0, 0), batch(0)) == (Ack.DUPLICATE, None)  # deleted, not forgotten


def test_the_table_of_writers_outlives_the_last_segment(tmp_path, schema, batch):
    for _ in range(3):
        with Store(tmp_path / "s", schema, SMALL) as store:
            store.append(Key(7, 2, 0), batch(0))
            store.drop([one.position for one in store])
    with Store(tmp_path / "s", schema, SMALL) as store:
        assert len(store) == store.recovery.batches == 0
        assert store.append(Key(7, 2, 0), batch(0)) == (Ack.DUPLICATE, None)
        assert store.append(Key(7, 1, 5), batch(0)) == (Ack.FENCED, None)


def test_a_half_empty_segment_is_rewritten_and_its_live_batches_keep_their_positions(tmp_path, schema, batch):
    directory = tmp_path / "s"
    with Store(directory, schema, Config(compact_below=0.5)) as store:
        for number in range(10):
            store.append(Key(0, 0, number), batch(number, 2, 1000), {"n": number})
    with Store(directory, schema, Config(compact_below=0.5)) as store:
        before, old = store.bytes_on_disk, store.read(Position(0, 9))
        store.drop([Position(0, number) for number in range(5)])
        assert names(directory) == ["000000-0.arrow", "000000.dead", "000000.manifest.json", "store.json"]
        store.drop([Position(0, 7)])
        store.sync()  # after the copy is written; from then on nobody needs the old file
        store.sync()  # after that is gone
        assert names(directory) == ["000000-1.arrow", "000000.dead", "000000.manifest.json", "store.json"]
        assert store.bytes_on_disk < 0.6 * before
        live = [5, 6, 8, 9]
        assert [(one.position.batch, one.meta["n"]) for one in store] == [(number, number) for number in live]
        assert all(store.read(Position(0, number)).equals(batch(number, 2, 1000)) for number in live)
        assert old.equals(batch(9, 2, 1000))
    assert verify(directory) == []
    file = pa.ipc.open_file(directory / "000000-1.arrow")
    assert file.num_record_batches == 10 and file.read_all().num_rows == 8
    with open_store(directory) as store:
        assert [one.position.batch for one in store] == live and store.recovery.rows == 8


def test_what_was_never_stored_can_neither_be_read_nor_dropped(tmp_path, schema, batch):
    with Store(tmp_path / "s", schema) as store:
        store.append(Key(0, 0, 0), batch(0))
        for position in (Position(0, 1), Position(0, -1), Position(5, 0)):
            with pytest.raises(KeyError):
                store.read(position)
            with pytest.raises(KeyError, match="expected some that were stored"):
                store.drop([Position(0, 0), position])
        assert len(store) == 1
        store.drop([Position(0, 0)])
        with pytest.raises(KeyError, match="not live"):
            store.read(Position(0, 0))


@pytest.mark.slow
def test_a_reader_sees_what_is_stored_while_the_writer_goes_on(tmp_path, schema, batch):
    with Store(tmp_path / "s", schema) as store:
        store.append(Key(0, 0, 0), batch(0))
        with open_store(tmp_path / "s") as reader:
            store.append(Key(0, 0, 1), batch(1))
            assert len(reader) == 1 and reader.read(Position(0, 0)).equals(batch(0))
            assert reader.recovery.notes == ()
        with open_store(tmp_path / "s") as reader:
            assert len(reader) == 2


def test_a_reader_writes_nothing_and_refuses_to(tmp_path, schema, batch, snapshot):
    with Store(tmp_path / "s", schema) as store:
        store.append(Key(0, 0, 0), batch(0))
    before = snapshot(tmp_path)
    with open_store(tmp_path / "s") as reader:
        for write in (
            lambda: reader.append(Key(0, 0, 1), batch(1)),
            lambda: reader.drop([Position(0, 0)]),
            reader.sync,
        ):
            with pytest.raises(ValueError, match="got a store that is read-only"):
                write()
        list(reader)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": Key(0, -1, 0)}, "expected numbers from 0"),
        ({"key": Key(0, 0, 2**63)}, "expected numbers from 0"),
        ({"rows": 0}, "batch without rows"),
        ({"meta": {"x": float("nan")}}, "expected plain JSON values"),
        ({"meta": {"x": object()}}, "expected plain JSON values"),
    ],
)
def test_an_append_that_makes_no_sense_is_refused_and_changes_nothing(tmp_path, schema, batch, change, message):
    with Store(tmp_path / "s", schema) as store:
        with pytest.raises(ValueError, match=message):
            store.append(change.get("key", Key(0, 0, 0)), batch(0, change.get("rows", 2)), change.get("meta"))
        assert len(store) == 0
        assert store.append(Key(0, 0, 0), batch(0)) == (Ack.STORED, Position(0, 0))
    assert verify(tmp_path / "s") == []


def test_drift_of_a_batch_is_refused_with_both_schemas_shown(tmp_path, schema, batch):
    drifted = batch(0).rename_columns(["step", "words"])
    with Store(tmp_path / "s", schema) as store:
        with pytest.raises(StoreForeign, match=r"(?s)step: int64.*words: string.*expected.*step: int64.*text: string"):
            store.append(Key(0, 0, 0), drifted)
        with pytest.raises(StoreForeign, match=r"(?s)spec: '2'.*spec: '1'"):
            store.append(Key(0, 0, 0), batch(0).replace_schema_metadata({"spec": "2"}))


@pytest.mark.parametrize("policy", ["always", "interval", "none"])
def test_every_policy_keeps_all_through_close_and_sync(tmp_path, schema, batch, policy):
    config = Config(segment_mb=1, fsync=policy, fsync_interval_s=0.01)
    with Store(tmp_path / "s", schema, config) as store:
        for number in range(20):
            store.append(Key(0, 0, number), batch(number, 2, WIDE // 3))
        store.sync()
    store.close()  # twice is harmless
    assert verify(tmp_path / "s") == []
    with open_store(tmp_path / "s") as store:
        assert [one.key.sequence for one in store] == list(range(20))
        with pytest.raises(ValueError, match="read-only"):
            store.sync()


def test_a_closed_store_refuses_to_write_and_what_was_read_stays(tmp_path, schema, batch):
    store = Store(tmp_path / "s", schema)
    _, position = store.append(Key(0, 0, 0), batch(0))
    rows = store.read(position)
    store.close()
    with pytest.raises(ValueError, match="got a store that is closed"):
        store.append(Key(0, 0, 1), batch(1))
    with pytest.raises(ValueError, match="got a store that is closed"):
        store.read(position)
    assert rows.equals(batch(0))


def test_a_store_that_was_opened_and_closed_without_a_batch_has_no_segment(tmp_path, schema):
    Store(tmp_path / "deep" / "s", schema).close()
    Store(tmp_path / "deep" / "s", schema).close()
    assert names(tmp_path / "deep" / "s") == ["store.json"]


def test_the_clock_that_was_handed_in_measures_recovery(tmp_path, schema):
    ticks = iter([10.0, 12.5])
    with Store(tmp_path / "s", schema, clock=lambda: next(ticks)) as store:
        assert store.recovery.seconds == 2.5


def test_what_is_dropped_before_it_has_to_be_on_disk_is_never_synced(tmp_path, schema, batch, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    with Store(tmp_path / "s", schema, Config(segment_mb=1, fsync="interval", fsync_interval_s=3600)) as store:
        wide = [store.append(Key(0, 0, number), batch(number, 2, WIDE), {"n": number})[1] for number in range(4)]
        assert wide[-1].segment == 3
        store._coming.result(10)
        synced.clear()
        store.drop(wide[:3])
        store._syncer.finish()
        assert max(synced) < 10_000  # nothing but what tells of the dead, and of who wrote them
        assert [one.meta["n"] for one in store] == [3] and store.read(wide[3]).equals(batch(3, 2, WIDE))
        for number in range(4):
            assert store.append(Key(0, 0, number), batch(number)) == (Ack.DUPLICATE, None)
        store.sync()
        assert max(synced) > 100_000
    assert verify(tmp_path / "s") == []


def test_of_a_full_segment_that_nothing_needs_the_table_of_writers_alone_is_kept(tmp_path, schema, batch):
    directory, config = tmp_path / "s", Config(segment_mb=1, fsync="interval", fsync_interval_s=3600)
    with Store(directory, schema, config) as store:
        wide = [store.append(Key(0, 0, number), batch(number, 2, WIDE))[1] for number in range(3)]
        assert store.drop(wide[:1]) == set()
        manifest = directory / "000000.manifest.json"
        deadline = time.monotonic() + 250
        while not manifest.exists() and time.monotonic() < deadline:  # long before its time, which is in an hour
            time.sleep(0.01)
        assert '"batches":[]' in manifest.read_text() and (directory / "000000-1.arrow").stat().st_size < 2000
        store.sync()  # from then on it is read from there
        store.drop(wide[:1])  # harmless
        with pytest.raises(KeyError, match="not live"):
            store.read(wide[0])
        with open_store(directory) as reader:
            assert [one.key.sequence for one in reader] == [1, 2]
        assert store.append(Key(0, 0, 0), batch(0)) == (Ack.DUPLICATE, None)
        store.copy_to(tmp_path / "killed")
    for place in (directory, tmp_path / "killed"):
        with Store(place, schema, config) as store:
            assert [one.key.sequence for one in store] == [1, 2]
            assert store.append(Key(0, 0, 0), batch(0)) == (Ack.DUPLICATE, None)
        assert verify(place) == []


def test_the_files_of_a_segment_are_made_while_the_one_before_is_written(tmp_path, schema, batch):
    config = Config(segment_mb=1)
    with Store(tmp_path / "s", schema, config) as store:
        store.append(Key(0, 0, 0), batch(0))
        assert store._coming is None  # small stores have one segment
        store.append(Key(0, 0, 1), batch(1, 2, WIDE))
        store._coming.result(10)
        assert {"000001-0.arrow", "000001.index"} < set(names(tmp_path / "s"))
        store.copy_to(tmp_path / "killed")
        assert store.append(Key(0, 0, 2), batch(2, 2, WIDE))[1] == (1, 0)
        store._coming.result(10)
        large = 2 * WIDE  # there is no room for it in the segment to come, which is made anew
        assert store.append(Key(0, 0, 3), batch(3, 2, large))[1] == (2, 0)
        assert store.read(Position(2, 0)).equals(batch(3, 2, large))
    assert not [name for name in names(tmp_path / "s") if name.startswith("000003") or name.endswith(".index")]
    assert verify(tmp_path / "s") == []
    with Store(tmp_path / "killed", schema, config) as store:  # killed with the segment to come on the disk
        assert [one.key for one in store] == [Key(0, 0, 0), Key(0, 0, 1)] and store.recovery.notes == ()
        assert store.append(Key(0, 0, 1), batch(1)) == (Ack.DUPLICATE, None)
        store.append(Key(0, 0, 2), batch(2))
    assert verify(tmp_path / "killed") == []


def test_a_segment_that_could_not_be_made_ahead_is_made_when_it_is_needed(tmp_path, schema, batch, monkeypatch):
    create = HotSegment.create
    with Store(tmp_path / "s", schema, Config(segment_mb=1)) as store:
        store.append(Key(0, 0, 0), batch(0))
        monkeypatch.setattr(HotSegment, "create", _no_room)
        store.append(Key(0, 0, 1), batch(1, 2, WIDE))
        with pytest.raises(OSError, match="no room"):
            store.append(Key(0, 0, 2), batch(2, 2, WIDE))
        monkeypatch.setattr(HotSegment, "create", create)
        assert store.append(Key(0, 0, 2), batch(2, 2, WIDE)) == (Ack.STORED, (1, 0))
    assert verify(tmp_path / "s") == []


def _no_room(*arguments):
    raise OSError(errno.ENOSPC, "no room")


def test_a_full_segment_is_synced_in_the_time_of_its_first_batch(tmp_path, schema, batch, monkeypatch):
    now = [0.0]
    store = Store(tmp_path / "s", schema, Config(segment_mb=1, fsync="interval", fsync_interval_s=3600))
    monkeypatch.setattr(store._syncer, "_clock", lambda: now[0])
    for number, second in enumerate((10.0, 500.0)):
        now[0] = second
        store.append(Key(0, 0, number), batch(number, 2, WIDE))
    (due, full), *others = store._syncer._full
    assert due == 10.0 + 3600 and full.number == 0 and not others
    now[0] = due
    store._syncer.dropped()  # wakes it
    store._syncer.settle()
    assert not store._syncer._full and names(tmp_path / "s")[1] == "000000.manifest.json"
    store.close()


def test_a_drop_whose_record_the_machine_lost_after_compaction_is_still_a_drop(tmp_path, schema, batch):
    with Store(tmp_path / "s", schema, Config(compact_below=0.5)) as store:
        positions = [store.append(Key(0, 0, number), batch(number, 2, 1000))[1] for number in range(4)]
    with Store(tmp_path / "s", schema, Config(compact_below=0.5)) as store:
        store.drop(positions[:3])
    (tmp_path / "s" / "000000.dead").unlink()
    with Store(tmp_path / "s", schema) as store:
        assert [one.position for one in store] == positions[3:] and store.recovery.rows == 2
