"""What is no store, not this one, or somebody else's: refused with a message, and left as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pyarrow as pa
import pytest

from envs.storage.errors import StoreBusy, StoreCorrupt, StoreForeign
from envs.storage.files import read_json, write_json
from envs.storage.store import Config, Store, open_store
from envs.storage.verifying import verify
from envs.storage.writers import Ack, Key


@pytest.fixture
def stored(tmp_path, schema, batch):
    with Store(tmp_path / "s", schema) as store:
        store.append(Key(0, 0, 0), batch(0))
    return tmp_path / "s"


def refused(directory, schema, snapshot, error, message):
    """Both ways to open it are refused with the message, and nothing changed."""
    before = snapshot(directory.parent)
    with pytest.raises(error, match=message):
        Store(directory, schema)
    with pytest.raises(error, match=message):
        Store(directory, schema, read_only=True)
    assert snapshot(directory.parent) == before


def test_a_second_writer_is_refused_and_a_reader_is_not(tmp_path, schema, batch):
    with Store(tmp_path / "s", schema) as store:
        with pytest.raises(StoreBusy, match="another writer has it open; expected one at a time"):
            Store(tmp_path / "s", schema)
        open_store(tmp_path / "s").close()
        assert store.append(Key(0, 0, 0), batch(0))[0] is Ack.STORED
    Store(tmp_path / "s", schema).close()


@pytest.mark.slow
def test_a_second_writer_in_another_process_is_refused_until_the_first_is_gone(stored, schema):
    line = (
        "from envs.storage.store import *; from envs.storage.description import *; import sys; from pathlib import Path"
    )
    code = f"{line}; Store(Path(sys.argv[1]), read_description(Path(sys.argv[1]))); print('open')"
    with Store(stored, schema):
        second = subprocess.run([sys.executable, "-c", code, stored], capture_output=True, text=True, timeout=250)
        assert second.returncode and "StoreBusy" in second.stderr
    second = subprocess.run([sys.executable, "-c", code, stored], capture_output=True, text=True, timeout=250)
    assert second.stdout == "open\n", second.stderr


def test_another_schema_is_refused_with_both_shown(stored, snapshot):
    other = pa.schema([("step", pa.int32()), ("text", pa.string())])
    refused(
        stored, other, snapshot, StoreForeign, r"(?s)step: int32.*expected that of the store.*step: int64.*spec: '1'"
    )


def test_a_directory_of_other_things_is_no_store(tmp_path, schema, snapshot):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "thesis.tex").write_text("…")
    before = snapshot(tmp_path)
    with pytest.raises(StoreForeign, match=r"got a directory with 'thesis.tex' and without store\.json"):
        Store(tmp_path / "s", schema)
    with pytest.raises(StoreForeign, match=r"got no store\.json"):
        open_store(tmp_path / "s")
    with pytest.raises(StoreForeign, match=r"got no store\.json"):
        open_store(tmp_path / "nowhere")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("change", [{"version": 2}, {"format": "another-store"}])
def test_a_newer_version_or_another_format_is_refused(stored, schema, snapshot, change):
    write_json(
        stored / "store.json", {**{k: v for k, v in read_json(stored / "store.json").items() if k != "crc32"}, **change}
    )
    refused(stored, schema, snapshot, StoreForeign, "a newer version needs a newer program")


def test_a_segment_of_a_newer_version_is_refused(stored, schema, snapshot):
    path = stored / "000000.manifest.json"
    write_json(path, {**{k: v for k, v in read_json(path).items() if k != "crc32"}, "format": 2})
    refused(stored, schema, snapshot, StoreForeign, "got format 2; expected 1: update this program")


def test_a_description_with_an_extension_type_is_refused(stored, schema, snapshot):
    value = {k: v for k, v in read_json(stored / "store.json").items() if k != "crc32"}
    import base64

    bad = pa.schema([pa.field("x", pa.binary(), metadata={"ARROW:extension:name": "lab.code"})])
    write_json(stored / "store.json", {**value, "schema": base64.b64encode(bad.serialize().to_pybytes()).decode()})
    refused(stored, schema, snapshot, StoreCorrupt, "x: extension type")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (pa.uuid(), "x: extension type extension<arrow.uuid>"),
        (pa.list_(pa.dictionary(pa.int8(), pa.string())), r"x\.item: dictionary"),
        (pa.struct([("y", pa.map_(pa.string(), pa.uuid()))]), r"x\.y\.entries\.value: extension type"),
    ],
)
def test_extension_types_and_dictionaries_are_refused_before_anything_is_made(tmp_path, kind, message):
    with pytest.raises(ValueError, match=message):
        Store(tmp_path / "s", pa.schema([("x", kind)]))
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("name", ["store.json", "000000-0.arrow", "000000.manifest.json"])
def test_a_link_in_the_place_of_a_file_is_refused(stored, schema, snapshot, name):
    os.replace(stored / name, stored.parent / "elsewhere")
    (stored / name).symlink_to(stored.parent / "elsewhere")
    refused(stored, schema, snapshot, StoreCorrupt, "got a symbolic link; expected a regular file")
    assert "symbolic link" in verify(stored)[0]


def test_a_link_in_the_place_of_the_directory_is_not_written_through(stored, schema, snapshot):
    (stored.parent / "link").symlink_to(stored)
    before = snapshot(stored.parent)
    with pytest.raises(StoreForeign, match="got a link or a file; expected a directory of its own"):
        Store(stored.parent / "link", schema)
    with pytest.raises(StoreForeign, match="got a link or a file"):
        Store(stored / "store.json", schema)
    assert snapshot(stored.parent) == before


def test_a_manifest_cannot_lead_out_of_the_directory(stored, schema, snapshot):
    path = stored / "000000.manifest.json"
    value = {k: v for k, v in read_json(path).items() if k != "crc32"}
    write_json(path, {**value, "generation": "../../000000-0"})
    refused(stored, schema, snapshot, StoreCorrupt, "not the form of a manifest")


def test_names_that_are_not_the_stores_are_left_alone(stored, schema):
    for name in ("000000.arrow", "0000000-0.arrow", "notes.txt", "000007-0.arrow.bak", "..000001.index"):
        (stored / name).write_text("mine")
    with Store(stored, schema) as store:
        assert len(store) == 1
    assert (stored / "0000000-0.arrow").read_text() == "mine" and verify(stored) == []


@pytest.mark.parametrize("name", ["store.json", "000000-0.arrow", "000000.manifest.json"])
def test_a_file_that_may_not_be_read_is_named(stored, schema, snapshot, monkeypatch, name):
    opening = os.open

    def guarded(path, *arguments, **options):
        if str(path).endswith(name):
            raise PermissionError(13, "Permission denied", str(path))
        return opening(path, *arguments, **options)

    before = snapshot(stored)
    monkeypatch.setattr(os, "open", guarded)
    for read_only in (False, True):
        with pytest.raises(PermissionError, match=f"Permission denied.*{name}"):
            Store(stored, schema, read_only=read_only)
    assert f"{name}" in verify(stored)[0]
    monkeypatch.undo()
    assert snapshot(stored) == before


def test_settings_that_make_no_sense_are_refused():
    for settings in (
        {"segment_mb": 0},
        {"fsync": "sometimes"},
        {"fsync_interval_s": 0},
        {"compact_below": 1},
        {"x": 1},
    ):
        with pytest.raises(ValueError):
            Config(**settings)
    assert json.loads(Config().model_dump_json())["fsync"] == "interval"
