"""A disk without room: a clear error, nothing stored is lost, and writing goes on when there is room."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
import sys
import time

import pytest

from envs.storage.store import Config, Position, Store, open_store
from envs.storage.verifying import verify
from envs.storage.writers import Ack, Key

WIDE = 100_000  # times three characters, times two rows


def fill(store, batch, first):
    """Append until there is no room; gives the number of the batch that found none."""
    for number in range(first, first + 100):
        try:
            store.append(Key(0, 0, number), batch(number, 2, WIDE))
        except OSError as error:
            assert error.errno in (errno.ENOSPC, errno.EFBIG), error
            return number
    raise AssertionError("the disk never filled up")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux":
        pytest.skip("needs Linux to mount a tmpfs")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.parametrize("policy", ["always", "interval", "none"])
def test_on_a_full_disk_nothing_stored_is_lost_and_room_lets_writing_go_on(small_disk, schema, batch, policy):
    (small_disk / "ballast").write_bytes(b"x" * 2**20)
    directory = small_disk / "s"
    with Store(directory, schema, Config(segment_mb=1, fsync=policy)) as store:
        refused = fill(store, batch, 0)
        assert refused >= 3 and len(store) == refused
        assert all(store.read(one.position).equals(batch(n, 2, WIDE)) for n, one in enumerate(store))
        assert fill(store, batch, refused) == refused  # still no room, still nothing lost
        (small_disk / "ballast").unlink()
        assert store.append(Key(0, 0, refused), batch(refused, 2, WIDE))[0] is Ack.STORED
        assert store.append(Key(0, 0, refused), batch(refused, 2, WIDE))[0] is Ack.DUPLICATE
        kept = len(store)
    with Store(directory, schema, Config(segment_mb=1)) as store:
        assert [one.key.sequence for one in store] == list(range(kept))
        assert all(store.read(one.position).equals(batch(n, 2, WIDE)) for n, one in enumerate(store))
    assert verify(directory) == []


def test_a_store_on_a_full_disk_can_be_closed_opened_and_emptied(small_disk, schema, batch):
    directory = small_disk / "s"
    store = Store(directory, schema, Config(segment_mb=1, fsync="always"))
    kept = fill(store, batch, 0)
    with open(small_disk / "ballast", "wb", buffering=0) as file:  # not even room for a footer
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    store.close()
    with open_store(directory) as reader:
        assert len(reader) == kept
    with Store(directory, schema, Config(segment_mb=1)) as store:
        assert len(store) == kept
        (small_disk / "ballast").unlink()
        store.drop([one.position for one in store][:-1])
        assert store.append(Key(0, 0, kept), batch(kept, 2, WIDE))[0] is Ack.STORED
        store.sync()
    with Store(directory, schema) as store:
        assert [one.key.sequence for one in store] == [kept - 1, kept]
    assert verify(directory) == []


def test_a_limit_on_file_sizes_is_an_error_like_a_full_disk(tmp_path, schema, batch):
    store = Store(tmp_path / "s", schema, Config(segment_mb=1))
    store.append(Key(0, 0, 0), batch(0))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        assert fill(store, batch, 1) == 1
        assert len(store) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert store.append(Key(0, 0, 1), batch(1, 2, WIDE))[0] is Ack.STORED
    store.close()
    assert verify(tmp_path / "s") == []


@pytest.mark.slow
@pytest.mark.parametrize("call", ["pwrite", "posix_fallocate", "ftruncate", "fdatasync"])
@pytest.mark.parametrize("nth", range(6))
def test_whichever_call_fails_the_append_is_taken_back_and_can_be_made_again(
    tmp_path, schema, batch, monkeypatch, call, nth
):
    """Each of the first calls of a new segment, with half of a write made."""
    store = Store(tmp_path / "s", schema, Config(segment_mb=1, fsync="always"))
    real, left = getattr(os, call), nth

    def failing(descriptor, *arguments):
        nonlocal left
        left -= 1
        if left == -1:
            if call == "pwrite":
                real(descriptor, bytes(arguments[0])[: len(arguments[0]) // 2], arguments[1])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, *arguments)

    monkeypatch.setattr(os, call, failing)
    failures = 0
    for number in range(4):
        for _ in range(2):
            try:
                assert store.append(Key(0, 0, number), batch(number))[0] is Ack.STORED
                break
            except OSError as error:
                assert error.errno == errno.ENOSPC
                failures += 1
        assert len(store) == number + 1
    monkeypatch.undo()
    assert failures == (left < 0 and call != "posix_fallocate")  # room is reserved where there is enough
    store.close()
    with open_store(tmp_path / "s") as store:
        assert all(store.read(one.position).equals(batch(number)) for number, one in enumerate(store))
        assert store.recovery.notes == ()
    assert verify(tmp_path / "s") == []


@pytest.mark.slow
@pytest.mark.parametrize("call", ["pwrite", "fdatasync", "replace", "fsync", "unlink"])
@pytest.mark.parametrize("nth", range(4))
def test_whichever_call_fails_while_compacting_or_deleting_the_store_stays_sound(
    tmp_path, schema, batch, monkeypatch, call, nth
):
    for first in (0, 10):
        with Store(tmp_path / "s", schema) as store:
            for number in range(first, first + 10):
                store.append(Key(0, 0, number), batch(number, 2, 1000))
    real, left = getattr(os, call), nth

    def failing(*arguments, **options):
        nonlocal left
        left -= 1
        if left == -1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments, **options)

    store = Store(tmp_path / "s", schema, Config(fsync="always"))
    positions = [one.position for one in store]
    monkeypatch.setattr(os, call, failing)
    for dropped in (positions[10:17], positions[:10]):  # the newer segment is compacted, the older one deleted
        with contextlib.suppress(OSError):
            store.drop(dropped)
    monkeypatch.undo()
    store.drop(positions[:17])
    store.drop([])
    expected = [Position(1, number) for number in range(7, 10)]
    assert [one.position for one in store] == expected
    assert all(store.read(one).equals(batch(10 + one.batch, 2, 1000)) for one in expected)
    store.close()
    with Store(tmp_path / "s", schema) as store:
        assert [one.position for one in store] == expected
    assert verify(tmp_path / "s") == []


def test_a_disk_that_fails_in_the_background_stops_the_writer(tmp_path, schema, batch, monkeypatch):
    store = Store(tmp_path / "s", schema, Config(fsync="interval", fsync_interval_s=0.001))
    store.append(Key(0, 0, 0), batch(0))
    store.sync()

    def failing(descriptor):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", failing)
    stored = 1
    with pytest.raises(OSError, match="the disk failed to keep what was written"):
        while True:  # until a sync that nobody waits for has failed
            store.append(Key(0, 0, stored), batch(stored))
            stored += 1
            time.sleep(0.001)
    with pytest.raises(OSError, match="open the store anew"):
        store.append(Key(0, 0, stored), batch(stored))
    monkeypatch.undo()
    with pytest.raises(OSError, match="open the store anew"):
        store.close()
    with Store(tmp_path / "s", schema) as store:
        assert [one.key.sequence for one in store] == list(range(stored))
