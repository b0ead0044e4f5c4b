"""A process that dies at any of its system calls, one by one: what was acknowledged is there, once."""

from __future__ import annotations

import os
import random
import stat
import sys
import threading
from pathlib import Path

import pytest

from envs.storage.hot_segment import HotSegment
from envs.storage.store import Config, Position, Store
from envs.storage.verifying import verify
from envs.storage.writers import Ack, Key

WIDE = 100_000  # two such batches fill a segment of 1 MiB
CALLS = ("pwrite", "posix_fallocate", "ftruncate", "fdatasync", "fsync", "replace", "unlink", "open", "mkdir")


class Died(BaseException):
    """The process is gone."""


class Death:
    """Lets `after` changing system calls pass; the next is made in part or not at all, and none after it."""

    def __init__(self, monkeypatch, after, disk=None):
        self.left, self.lock, self.disk = after, threading.Lock(), disk
        for name in CALLS:
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name, call):
        def wrapper(*arguments, **options):
            if name == "open" and not arguments[1] & (os.O_CREAT | os.O_TRUNC):
                return call(*arguments, **options)
            with self.lock:
                self.left -= 1
                if self.left < 0:
                    if self.left == -1 and name == "pwrite":
                        descriptor, data, offset = arguments
                        call(descriptor, bytes(data)[: len(data) // 2], offset)
                    raise Died
                known = name != "open" or os.path.lexists(arguments[0])
                result = call(*arguments, **options)
                if self.disk and not known:
                    self.disk.made(result)
                if self.disk and name in ("fdatasync", "fsync"):
                    self.disk.synced(arguments[0])
                return result

        return wrapper


class Disk:
    """What is on the disk for certain: of each file what was synced last, of the directory the names when it was."""

    def __init__(self):
        self.files, self.contents, self.names, self.count = {}, {}, {}, 0

    def made(self, descriptor):
        self.count += 1
        self.files[os.fstat(descriptor).st_ino] = self.count  # inodes are used again, these numbers are not

    def synced(self, descriptor):
        about = os.fstat(descriptor)
        if stat.S_ISDIR(about.st_mode):
            self.names = {name: self.files[os.stat(name, dir_fd=descriptor).st_ino] for name in os.listdir(descriptor)}
        else:
            self.contents[self.files[about.st_ino]] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def restart(self, directory, target, draw=None):
        """What the machine finds when it is up again: nothing that was not synced, or with `draw`, a part of it."""
        target.mkdir()
        if draw is None:
            for name, file in self.names.items():
                (target / name).write_bytes(self.contents.get(file, b""))
            return
        for path in directory.iterdir():
            latest = path.read_bytes()
            kept = self.contents.get(self.files[path.stat().st_ino], b"")
            pages = [
                draw.choice((latest, kept))[start : start + 4096].ljust(min(4096, len(latest) - start), b"\0")
                for start in range(0, len(latest), 4096)
            ]
            (target / path.name).write_bytes(draw.choice((latest, kept, b"".join(pages))))


def live_through(opened, batch, acknowledged, dropped):
    """A short life with all that a store does: three segments, duplicates, drops, a deletion, a compaction."""
    store = opened(compact_below=0.5)
    for number in range(6):
        for _ in range(2):
            ack, position = store.append(Key(0, 0, number), batch(number, 2, width(number)), {"n": number})
            if ack is Ack.STORED:
                acknowledged[number] = position
    store.close()
    store = opened(compact_below=0.9)
    for number in (0, 1, 2, 4):
        dropped.add(number)  # from here on it may be gone
        store.drop([acknowledged[number]])
    _, acknowledged[6] = store.append(Key(0, 0, 6), batch(6, 2, width(6)), {"n": 6})
    store.close()


def width(number):
    return WIDE if number < 4 else 3


def bury(stores):
    """Let go of what the dead process held, as the system does."""
    for store in stores:
        for thread in (store._syncer._maker, store._syncer._worker):
            thread.shutdown(wait=True)
        coming = store._coming if store._coming and not store._coming.exception() else None
        for segment in [*store._segments.values(), *([coming.result()] if coming else [])]:
            if isinstance(segment, HotSegment):
                segment.close()
        store._release()


def life(tmp_path, schema, batch, after, policy, disk=None):
    """A life that ends after so many system calls; gives its directory, what was acknowledged, dropped, and its end."""
    directory = tmp_path / f"{after}"
    acknowledged: dict[int, Position] = {}
    dropped: set[int] = set()
    stores: list[Store] = []

    def opened(compact_below):
        store = Store.__new__(Store)
        stores.append(store)
        config = Config(segment_mb=1, fsync=policy, fsync_interval_s=0.001, compact_below=compact_below)
        store.__init__(directory, schema, config)
        return store

    with pytest.MonkeyPatch.context() as patch:
        Death(patch, after, disk)
        try:
            live_through(opened, batch, acknowledged, dropped)
            died = False
        except Died:
            died = True
        bury([store for store in stores if getattr(store, "_syncer", None)])
    return directory, acknowledged, dropped, died


def reopen(directory, schema, batch, acknowledged, dropped, may_lose=False):
    """Go on with what is left, and compare it with what was acknowledged."""
    with Store(directory, schema, Config(segment_mb=1, compact_below=0.9)) as store:
        found = {one.meta["n"]: one.position for one in store}
        assert len(found) == len(store), "a batch is there twice"
        lost = set(acknowledged) - dropped - set(found)
        assert may_lose or not lost, f"{lost} were acknowledged and are gone"
        for number, position in found.items():
            assert may_lose or acknowledged.get(number, position) == position
            assert store.read(position).equals(batch(number, 2, width(number)))
        for number in range(7):  # the writer sends all again, since it does not know what came through
            ack, _ = store.append(Key(0, 0, number), batch(number), {"n": number})
            if number in found or (number in acknowledged and not may_lose):
                assert ack is Ack.DUPLICATE
            elif number not in dropped:
                assert ack is Ack.STORED, f"{number} is neither there nor taken"
    assert verify(directory) == []


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_death_at_any_system_call_loses_nothing_acknowledged_and_doubles_nothing(
    tmp_path, schema, batch, monkeypatch, stride
):
    for sync in ("fdatasync", "fsync"):  # a process dies here, no machine: there is nothing to wait for
        monkeypatch.setattr(os, sync, lambda descriptor: None)
    after, died = 0, True
    while died:
        directory, acknowledged, dropped, died = life(tmp_path, schema, batch, after, "always")
        reopen(directory, schema, batch, acknowledged, dropped)
        after += stride
    assert after > 100


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads by /proc what is open for writing only")
@pytest.mark.parametrize("policy", ["always", "interval", "none"])
@pytest.mark.parametrize("found", ["what was synced", "parts"])
@pytest.mark.parametrize("stride", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_after_the_machine_went_down_a_store_opens_and_with_always_nothing_acknowledged_is_lost(
    tmp_path, schema, batch, monkeypatch, policy, found, stride
):
    for sync in ("fdatasync", "fsync"):  # `Disk` remembers it; waiting would only cost time
        monkeypatch.setattr(os, sync, lambda descriptor: None)
    after, died, draw = 0, True, random.Random(0)
    while died:
        disk = Disk()
        directory, acknowledged, dropped, died = life(tmp_path, schema, batch, after, policy, disk)
        if directory.exists():
            target = tmp_path / f"{after}-restarted"
            disk.restart(directory, target, None if found == "what was synced" else draw)
            reopen(target, schema, batch, acknowledged, dropped, may_lose=policy != "always")
        after += stride
    assert after > 100
