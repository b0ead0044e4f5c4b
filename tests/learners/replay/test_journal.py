"""Frames come back whole or not at all."""

import os
import threading

import numpy as np
import pytest

from envs.storage.files import replace_file
from learners.replay.journal import MAGIC, Frame, Journal, JournalForeign, Kind, decode, encode


def equal(one, other):
    return (
        one.kind is other.kind
        and one.numbers == other.numbers
        and len(one.arrays) == len(other.arrays)
        and all(a.dtype == b.dtype and (a == b).all() for a, b in zip(one.arrays, other.arrays, strict=True))
    )


FRAMES = [
    Frame(Kind.SAMPLE, (0, 7, -1), (np.arange(4), np.array([0.5, 1e-300]))),
    Frame(Kind.RELEASE, (2**62,)),
    Frame(Kind.INSERT, (), (np.zeros(0, np.int64), np.array([True, False]), np.arange(3, dtype=np.uint8))),
]


def write(directory, *frames):
    journal = Journal(directory, "none")
    for frame in frames:
        journal.write(frame)
    journal.close()
    return directory / "journal-000000000"


def test_a_frame_is_what_was_written(tmp_path):
    assert all(equal(frame, decode(encode(frame)[8:])) for frame in FRAMES)
    write(tmp_path, *FRAMES)
    found = Journal(tmp_path, "none")
    assert len(found.recovered) == 3 and all(map(equal, found.recovered, FRAMES)) and found.dropped_bytes == 0
    found.close()


@pytest.mark.slow
def test_a_tail_cut_anywhere_is_dropped_and_writing_goes_on(tmp_path):
    whole = write(tmp_path / "whole", *FRAMES).read_bytes()
    ends = np.cumsum([len(MAGIC), *(len(encode(frame)) for frame in FRAMES)])
    for cut in range(len(MAGIC), len(whole)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "journal-000000000").write_bytes(whole[:cut])
        journal = Journal(folder, "none")
        kept = int((ends[1:] <= cut).sum())
        assert len(journal.recovered) == kept and journal.dropped_bytes == cut - ends[kept]
        journal.write(FRAMES[1])
        journal.close()
        again = Journal(folder, "none")
        assert len(again.recovered) == kept + 1 and again.dropped_bytes == 0
        again.close()


@pytest.mark.slow
def test_no_changed_bit_is_read_as_data(tmp_path):
    path = write(tmp_path, *FRAMES)
    whole = path.read_bytes()
    for bit in range(8 * len(MAGIC), 8 * len(whole), 3):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(data))
        journal = Journal(tmp_path, "none")
        assert len(journal.recovered) < 3 and all(map(equal, journal.recovered, FRAMES))
        journal.close()


def test_a_foreign_file_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "journal-000000004"
    path.write_bytes(b"something else")
    with pytest.raises(JournalForeign, match="no journal of this version"):
        Journal(tmp_path, "none")
    assert path.read_bytes() == b"something else"


def test_a_new_file_takes_the_place_of_the_old_one(tmp_path):
    journal = Journal(tmp_path, "always")
    journal.write(*FRAMES)
    journal.begin_anew(FRAMES[0])
    journal.write(FRAMES[1])
    journal.close()
    assert [path.name for path in tmp_path.iterdir()] == ["journal-000000001"]
    (tmp_path / "journal-000000000").write_bytes(MAGIC)  # as if it had died before deleting the old one
    found = Journal(tmp_path, "none")
    assert len(found.recovered) == 2 and all(map(equal, found.recovered, FRAMES))
    assert [path.name for path in tmp_path.iterdir()] == ["journal-000000001"]
    found.close()


def test_what_may_be_late_is_written_with_the_next_frame_when_there_is_room(tmp_path, monkeypatch):
    journal = Journal(tmp_path, "none")
    monkeypatch.setattr("learners.replay.journal.write_at", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    journal.write(FRAMES[0], may_be_late=True)
    with pytest.raises(OSError, match="full"):
        journal.write(FRAMES[1])
    monkeypatch.undo()
    journal.write(FRAMES[2])
    journal.close()
    found = Journal(tmp_path, "none")
    assert len(found.recovered) == 2 and equal(found.recovered[0], FRAMES[0]) and equal(found.recovered[1], FRAMES[2])
    found.close()


@pytest.mark.parametrize("policy, syncs", [("always", 3), ("interval", 1), ("none", 0)])
def test_the_disk_is_waited_for_as_the_policy_says(tmp_path, monkeypatch, policy, syncs):
    calls = []
    journal = Journal(tmp_path, policy, fsync_interval_s=3600)
    monkeypatch.setattr(os, "fsync", calls.append)
    for _ in range(3):
        journal.write(FRAMES[0])
    assert len(calls) == (3 if policy == "always" else 0)
    journal.sync()  # what waits for its time is done now
    assert len(calls) == syncs
    monkeypatch.undo()
    journal.close()


def test_the_last_frame_is_synced_in_time_though_none_follows(tmp_path, monkeypatch):
    journal, synced = Journal(tmp_path, "interval", fsync_interval_s=0.01), threading.Event()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.set())
    for _ in range(2):  # the second time after a sync that was asked for
        journal.write(FRAMES[0])
        assert synced.wait(60)
        journal.sync()
        synced.clear()
    monkeypatch.undo()
    journal.close()


def test_a_new_file_that_fails_at_the_last_step_is_not_taken_for_the_newest(tmp_path, monkeypatch):
    journal = Journal(tmp_path, "none")
    journal.write(FRAMES[0])

    def replace_and_fail(path, parts):
        replace_file(path, parts)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("learners.replay.journal.replace_file", replace_and_fail)
    with pytest.raises(OSError, match="Too many"):
        journal.begin_anew(FRAMES[2])
    journal.write(FRAMES[1])
    journal.close()
    found = Journal(tmp_path, "none")
    assert len(found.recovered) == 2 and all(map(equal, found.recovered, FRAMES[:2]))
    found.close()
