"""The files, byte by byte, as docs/storage.md describes them; read by Arrow, pandas and the standard library alone."""

from __future__ import annotations

import json
import os
import struct
import zlib

import pandas as pd
import pyarrow as pa
import pytest

from envs.storage.store import Config, Store
from envs.storage.writers import Key


@pytest.fixture
def crashed(tmp_path, schema, batch):
    """A store of two batches whose process died: nothing is sealed."""
    store = Store(tmp_path / "s", schema, Config(segment_mb=1, fsync="always"))
    store.append(Key(3, 1, 7), batch(0), {"policy": 4})
    store.append(Key(3, 1, 8), batch(1, rows=5))
    yield tmp_path / "s"
    store.close()


def test_a_hot_segment_is_a_stream_behind_eight_bytes_in_a_file_grown_in_advance(crashed, schema, batch):
    data = (crashed / "000000-0.arrow").read_bytes()
    assert len(data) == 2**20 and data[:8] == b"ARROW1\0\0"
    assert data[8 : 8 + schema.serialize().size] == schema.serialize().to_pybytes()
    stream = pa.ipc.open_stream(data[8:])
    assert stream.schema.equals(schema, check_metadata=True)
    first = stream.read_next_batch_with_custom_metadata()
    assert first.batch.equals(batch(0))
    assert dict(first.custom_metadata) == {b"key": b"[3, 1, 7]", b"meta": b'{"policy":4}'}
    assert stream.read_next_batch().equals(batch(1, rows=5))
    with pytest.raises(StopIteration):  # the zeros end it
        stream.read_next_batch()


def test_the_index_has_a_header_of_36_and_records_of_64_bytes(crashed, schema):
    data, index = (crashed / "000000-0.arrow").read_bytes(), (crashed / "000000.index").read_bytes()
    start = 8 + schema.serialize().size
    assert len(index) == 36 + 2 * 64
    assert struct.unpack("<8sQQII", index[:32]) == (b"GUERDIX1", 0, 2**20, start, zlib.crc32(data[:start]))
    assert struct.unpack("<I", index[32:36])[0] == zlib.crc32(index[:32])
    end = start
    for number, rows in enumerate([2, 5]):
        record = index[36 + 64 * number : 100 + 64 * number]
        offset, length, *rest, check = struct.unpack("<QQQQQQQII", record)
        assert offset == end and check == zlib.crc32(record[:60])
        # rows, actor, epoch, sequence, batches before that are on disk for certain, CRC-32 of the message
        assert rest == [rows, 3, 1, 7 + number, number, zlib.crc32(data[offset : offset + length])]
        assert data[offset : offset + 4] == b"\xff\xff\xff\xff"  # how each Arrow message begins
        end = offset + length
    assert not any(data[end:])


def test_sealing_moves_no_byte_and_makes_an_arrow_file_and_a_manifest(tmp_path, schema, batch):
    with Store(tmp_path / "s", schema, Config(segment_mb=1)) as store:
        store.append(Key(3, 1, 7), batch(0), {"policy": 4})
        store.append(Key(3, 1, 9), batch(1, rows=5))
        hot = bytes(store.mapped(0))
    data = (tmp_path / "s" / "000000-0.arrow").read_bytes()
    assert data[: len(hot)] == hot and data.endswith(b"ARROW1")
    file = pa.ipc.open_file(tmp_path / "s" / "000000-0.arrow")
    assert [file.get_batch(number) for number in range(2)] == [batch(0), batch(1, rows=5)]
    assert file.get_batch_with_custom_metadata(0).custom_metadata[b"meta"] == b'{"policy":4}'

    text = (tmp_path / "s" / "000000.manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["crc32"] == f"{zlib.crc32(text.split(chr(10), 1)[1].encode()):08x}"
    assert manifest["bytes"] == len(data)
    assert manifest["columns"] == ["offset", "length", "rows", "actor", "epoch", "sequence", "crc32"]
    (one, two), start = manifest["batches"], manifest["start"]
    assert one[0] == start == 8 + schema.serialize().size and two[0] == start + one[1] and two[0] + two[1] == len(hot)
    assert [one[2:6], two[2:6]] == [[2, 3, 1, 7], [5, 3, 1, 9]]
    assert [one[6], two[6]] == [zlib.crc32(data[o : o + n]) for o, n, *_ in manifest["batches"]]
    assert manifest["start_crc32"] == zlib.crc32(data[:start]) and manifest["end_crc32"] == zlib.crc32(data[len(hot) :])
    assert manifest["writers"] == [[3, 1, 10, [[0, 7], [8, 9]]]]
    assert sorted(os.listdir(tmp_path / "s")) == ["000000-0.arrow", "000000.manifest.json", "store.json"]


def test_pandas_reads_a_sealed_segment(tmp_path, schema, batch):
    with Store(tmp_path / "s", schema) as store:
        store.append(Key(0, 0, 0), batch(4))
    frame = pd.read_feather(tmp_path / "s" / "000000-0.arrow")
    assert frame.to_dict("list") == {"step": [4000, 4001], "text": ["4-0", "4-1"]}


def test_a_drop_is_a_record_of_8_bytes_beside_the_segment(tmp_path, schema, batch):
    with Store(tmp_path / "s", schema, Config(compact_below=0)) as store:
        for number in range(3):
            store.append(Key(0, 0, number), batch(number))
        store.drop([one.position for one in store][1:])
    expected = b"".join(struct.pack("<II", n, zlib.crc32(struct.pack("<QI", 0, n))) for n in (1, 2))
    assert (tmp_path / "s" / "000000.dead").read_bytes() == expected


def test_the_description_shows_the_schema_to_people_and_keeps_it_for_programs(tmp_path, schema):
    Store(tmp_path / "s", schema).close()
    description = json.loads((tmp_path / "s" / "store.json").read_text())
    assert (description["format"], description["version"]) == ("guerdon-store", 1)
    assert "step: int64" in description["fields"] and "text: string" in description["fields"]
