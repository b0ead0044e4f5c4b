"""Files that were cut or changed: each such change is seen, and what is read nevertheless is what was written."""

from __future__ import annotations

import os
import random
import shutil

import pytest

from envs.storage.errors import StoreCorrupt, StoreForeign
from envs.storage.store import Config, Store, open_store
from envs.storage.verifying import verify
from envs.storage.writers import Key

BATCHES = 3


@pytest.fixture(params=["sealed", "always", "none"])
def damaged(request, tmp_path, schema, batch):
    """A small store: sealed, or left by a process that died, with each batch on disk for certain or none."""
    policy = "always" if request.param == "sealed" else request.param
    store = Store(tmp_path / "live", schema, Config(segment_mb=1, fsync=policy))
    for number in range(BATCHES):
        store.append(Key(0, 0, number), batch(number), {"n": number})
    if request.param != "sealed":
        shutil.copytree(tmp_path / "live", tmp_path / "s")
    store.close()
    if request.param == "sealed":
        shutil.copytree(tmp_path / "live", tmp_path / "s")
    return tmp_path / "s"


def outcome(directory, batch):
    """How a store opens: `refused`, `noted` (something was cut off, and said so), or `silent`; all data checked."""
    try:
        store = open_store(directory)
    except (StoreCorrupt, StoreForeign) as error:
        assert str(directory) in str(error)
        return "refused"
    found = list(store)
    assert [one.key.sequence for one in found] == list(range(len(found)))
    for number, one in enumerate(found):
        assert store.read(one.position).equals(batch(number)) and one.meta == {"n": number}
    if not store.recovery.notes:
        assert len(found) == BATCHES
    return "noted" if store.recovery.notes else "silent"


def written_bytes(path):
    """How long the content is, without the zeros of a file that was grown in advance."""
    return len(path.read_bytes().rstrip(b"\0"))


@pytest.mark.slow
def test_a_cut_at_every_byte_of_every_file_is_seen(damaged, batch):
    assert outcome(damaged, batch) == "silent"
    for path in sorted(damaged.iterdir()):
        sound, content = path.read_bytes(), written_bytes(path)
        for length in range(content):
            os.truncate(path, length)
            assert outcome(damaged, batch) != "silent", f"{path.name} cut to {length} bytes"
            with open(path, "r+b") as file:  # mend it
                file.seek(length)
                file.write(sound[length:content])
                file.truncate(len(sound))
    assert outcome(damaged, batch) == "silent"


@pytest.mark.slow
def test_flipped_bits_are_all_seen(damaged, batch):
    draw = random.Random(0)
    files = sorted(damaged.iterdir())
    lengths = [written_bytes(path) for path in files]
    for _ in range(400):
        (path, length) = draw.choices(list(zip(files, lengths, strict=True)), weights=lengths)[0]
        position, bit = draw.randrange(length), 1 << draw.randrange(8)
        with open(path, "r+b") as file:
            file.seek(position)
            (byte,) = file.read(1)
            file.seek(position)
            file.write(bytes([byte ^ bit]))
            file.flush()
            assert outcome(damaged, batch) != "silent", f"{path.name}: bit {bit} of byte {position}"
            file.seek(position)
            file.write(bytes([byte]))
    assert outcome(damaged, batch) == "silent"


def test_a_bit_in_the_room_that_was_grown_in_advance_is_seen(tmp_path, schema, batch):
    store = Store(tmp_path / "s", schema, Config(segment_mb=1))
    store.append(Key(0, 0, 0), batch(0))
    with open(tmp_path / "s" / "000000-0.arrow", "r+b") as file:
        file.seek(700_000)
        file.write(b"\x01")
    with open_store(tmp_path / "s") as reader:
        assert len(reader) == 1 and "whole batches, then" in reader.recovery.notes[0]
    store.close()


@pytest.mark.parametrize("gone", ["000000-0.arrow", "000000.manifest.json", "store.json"])
def test_a_missing_file_is_named(tmp_path, schema, batch, gone, snapshot):
    with Store(tmp_path / "s", schema) as store:
        store.append(Key(0, 0, 0), batch(0))
    (tmp_path / "s" / gone).unlink()
    before = snapshot(tmp_path)
    for opening in (lambda: open_store(tmp_path / "s"), lambda: Store(tmp_path / "s", schema)):
        with pytest.raises((StoreCorrupt, StoreForeign), match=gone.replace(".", r"\.")):
            opening()
    assert snapshot(tmp_path) == before and len(verify(tmp_path / "s")) == 1


def test_files_of_another_segment_or_store_are_refused(tmp_path, schema, batch):
    for name, rows in (("a", 2), ("b", 3)):
        with Store(tmp_path / name, schema) as store:
            store.append(Key(0, 0, 0), batch(0, rows))
        with Store(tmp_path / name, schema) as store:
            store.append(Key(0, 0, 1), batch(1, rows))
    for file in ("000000-0.arrow", "000000.manifest.json"):
        shutil.copy(tmp_path / "a" / file, tmp_path / "a" / file.replace("000000", "000002"))
    with pytest.raises(StoreCorrupt, match="got the manifest of segment 0; expected that of 2"):
        open_store(tmp_path / "a")
    shutil.copy(tmp_path / "b" / "000001-0.arrow", tmp_path / "a" / "000001-0.arrow")
    assert len(verify(tmp_path / "a")) == 2


@pytest.mark.slow
def test_a_changed_drop_is_seen_and_a_drop_that_was_cut_short_is_said(tmp_path, schema, batch):
    with Store(tmp_path / "s", schema, Config(compact_below=0)) as store:
        for number in range(4):
            store.append(Key(0, 0, number), batch(number))
        store.drop([one.position for one in store][1:])
    path = tmp_path / "s" / "000000.dead"
    sound = path.read_bytes()
    for length in range(len(sound)):
        path.write_bytes(sound[:length])
        with open_store(tmp_path / "s") as store:
            assert len(store) == 4 - length // 8 and bool(store.recovery.notes) == bool(length % 8)
    for position in range(len(sound)):
        for bit in range(8):
            path.write_bytes(sound[:position] + bytes([sound[position] ^ 1 << bit]) + sound[position + 1 :])
            with pytest.raises(StoreCorrupt, match=r"000000\.dead: the record at byte"):
                open_store(tmp_path / "s")
    path.write_bytes(sound[:8] + bytes(16))  # grown, but its content not on disk when the machine died
    with Store(tmp_path / "s", schema, Config(compact_below=0)) as store:
        assert len(store) == 3 and "drop was cut short" in store.recovery.notes[0]
        store.drop([one.position for one in store][2:])
    with open_store(tmp_path / "s") as store:
        assert [one.position.batch for one in store] == [0, 2] and store.recovery.notes == ()


def test_damage_to_what_was_on_disk_is_refused_and_a_tail_that_never_was_is_cut(tmp_path, schema, batch):
    """The same flipped byte: with `always` the next batch proves that it was on disk, with `none` nothing does."""
    for policy in ("always", "none"):
        store = Store(tmp_path / policy, schema, Config(segment_mb=1, fsync=policy))
        positions = [store.append(Key(0, 0, number), batch(number))[1] for number in range(3)]
        offset, length = store.extent(positions[1])
        shutil.copytree(tmp_path / policy, tmp_path / f"{policy}-crashed")
        store.close()
        with open(tmp_path / f"{policy}-crashed" / "000000-0.arrow", "r+b") as file:
            file.seek(offset + length - 1)
            file.write(b"\x55")
    with pytest.raises(StoreCorrupt, match=r"batch 1 of at least 2 that were on disk: bytes .* do not match"):
        Store(tmp_path / "always-crashed", schema)
    with Store(tmp_path / "none-crashed", schema) as store:
        assert len(store) == 1 and store.recovery.dropped_bytes > length
        assert store.append(Key(0, 0, 1), batch(1))[0] == "stored"
    assert verify(tmp_path / "none-crashed") == []


def test_verify_names_every_problem_in_one_line_each(tmp_path, schema, batch):
    for number in range(4):
        with Store(tmp_path / "s", schema) as store:
            store.append(Key(0, 0, number), batch(number))
    for number in (0, 2):
        with open(tmp_path / "s" / f"{number:06d}-0.arrow", "r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"x")
    (tmp_path / "s" / "000003-1.arrow").write_bytes(b"begun")
    problems = verify(tmp_path / "s")
    assert [problem.split(": ")[1] for problem in problems] == [
        "the footer does not match its checksum; restore it from a copy",
        "the footer does not match its checksum; restore it from a copy",
        "left over by a step that was interrupted; the next writer removes it",
    ]
    assert not any("\n" in problem for problem in problems)
    assert verify(tmp_path) == [f"{tmp_path}: got no store.json; expected the directory of a store"]
