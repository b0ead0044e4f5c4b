from __future__ import annotations

import json
import os
import zlib

import pytest

from envs.storage.errors import StoreCorrupt
from envs.storage.files import content_end, crc32, open_file, read_json, replace_file, reserve, write_at, write_json


def test_the_checksum_is_the_common_crc_32():
    assert crc32([b"123456789"]) == 0xCBF43926  # the check value of every description of CRC-32
    assert crc32([b"1234", b"", memoryview(b"56789")]) == zlib.crc32(b"123456789")


def test_a_json_file_is_plain_json_with_its_checksum_in_the_first_line(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": [1, "ü"], "b": None})
    first, rest = path.read_bytes().split(b"\n", 1)
    assert json.loads(path.read_text()) == {"crc32": f"{zlib.crc32(rest):08x}", "a": [1, "ü"], "b": None}
    assert first == b'{"crc32": "%08x",' % zlib.crc32(rest)
    assert read_json(path) == {"a": [1, "ü"], "b": None}


def test_every_flipped_bit_and_every_cut_of_a_json_file_is_seen(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    sound = path.read_bytes()
    for position in range(len(sound)):
        damaged = [sound[:position]]
        damaged += [sound[:position] + bytes([sound[position] ^ 1 << bit]) + sound[position + 1 :] for bit in range(8)]
        for data in damaged:
            path.write_bytes(data)
            with pytest.raises(StoreCorrupt, match=r"x\.json: \d+ bytes do not match their checksum"):
                read_json(path)


def test_what_cannot_be_written_in_one_piece_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    monkeypatch.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, [b"new"])
    assert read_json(path) == {"a": 1} and os.listdir(tmp_path) == ["x.json"]


def test_links_folders_and_pipes_are_no_files_of_a_store(tmp_path):
    (tmp_path / "file").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, got in {"link": "a symbolic link", "folder": "a folder", "pipe": "a folder, a pipe"}.items():
        with pytest.raises(StoreCorrupt, match=f"{name}: got {got}"):
            os.close(open_file(tmp_path / name, os.O_RDONLY))


def test_a_write_that_is_taken_in_pieces_is_whole_in_the_end(tmp_path, monkeypatch):
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: write(fd, data[:3], offset))
    descriptor = open_file(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    try:
        assert write_at(descriptor, [b"abcdefgh", bytearray(b"ijkl")], 2) == 14
        assert os.pread(descriptor, 100, 0) == b"\0\0abcdefghijkl"
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(("content", "end"), [({}, 100), ({0: b"x"}, 100), ({3_000_000: b"ab\0c"}, 3_000_004)])
def test_the_end_of_the_content_is_found_behind_holes(tmp_path, content, end):
    descriptor = open_file(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    try:
        os.ftruncate(descriptor, 5_000_000)
        for offset, data in content.items():
            os.pwrite(descriptor, data, offset)
        assert content_end(descriptor, 100) == end
    finally:
        os.close(descriptor)


def test_room_is_reserved_where_there_is_enough_and_a_file_is_as_large_without(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    for name in ("reserved", "without"):
        descriptor = open_file(tmp_path / name, os.O_RDWR | os.O_CREAT)
        reserve(descriptor, 2**20)
        about = os.fstat(descriptor)
        assert about.st_size == 2**20 and content_end(descriptor, 0) == 0
        if hasattr(os, "posix_fallocate"):
            assert (about.st_blocks * 512 >= 2**20) == (name == "reserved")
        os.close(descriptor)
        monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
