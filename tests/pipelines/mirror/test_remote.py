"""A place of any kind, and every way in which it can be the wrong one, said in one line before any work."""

from __future__ import annotations

import os
import threading
import time

import pytest

from pipelines.errors import UserError
from pipelines.mirror import remote as module
from pipelines.mirror.opening import check_storage
from pipelines.mirror.remote import Remote, StorageFailed


def test_files_are_written_read_listed_and_deleted(uri, tmp_path):
    place = Remote(uri) / "mine"
    assert not place.anything() and place.sizes("a") == {}
    place.write("a/one", b"123")
    assert place.create("a/two", b"4567") and not place.create("a/two", b"89")
    (tmp_path / "file").write_bytes(b"abc\0\0")
    place.send(tmp_path / "file", "a/three", 5)
    place.send(tmp_path / "file", "a/four", 3)
    assert place.sizes("a") == {"one": 3, "two": 4, "three": 5, "four": 3} and place.anything()
    assert place.read("a/two") == b"4567" and place.size("a/four") == 3
    place.fetch("a/three", tmp_path / "back", 5)
    assert (tmp_path / "back").read_bytes() == b"abc\0\0"
    place.delete("a/one")
    place.delete("a/one")
    with pytest.raises(FileNotFoundError):
        place.read("a/one")


def test_a_probe_leaves_nothing_behind(uri):
    check_storage(uri)
    assert not Remote(uri).anything() or Remote(uri).sizes("") == {}


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("nonsense://bucket", "no place that fsspec knows"),
        ("gs://bucket/runs", r"pip install 'guerdon\[gcs\]'"),
        ("s3://user:geheim@bucket/runs", "holds a user or a password"),
        ("ftp://anna@host/runs", "holds a user or a password"),
        ("", "got storage= and no place"),
        ("~no-such-user-here/runs", "no user whose home that is"),
    ],
)
def test_a_uri_that_cannot_be_used_is_refused_in_one_line(uri, message):
    with pytest.raises(UserError, match=message) as caught:
        check_storage(uri)
    assert "geheim" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        check_storage(str(tmp_path / "runs"))


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be written"):
        check_storage(f"file://{tmp_path}/file")


def test_a_call_that_hangs_ends_at_its_deadline(tmp_path, monkeypatch):
    place, held = Remote(str(tmp_path)), threading.Event()
    monkeypatch.setattr(module, "CALL_S", 0.1)
    monkeypatch.setattr(place._files, "cat_file", lambda path: held.wait(60), raising=False)
    with pytest.raises(StorageFailed, match="no answer within"):
        place.read("x")
    held.set()


def test_what_arrives_short_is_seen(tmp_path, monkeypatch):
    place = Remote(str(tmp_path / "there"))
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "empty").touch()
    put = place._files.put_file
    short = str(tmp_path / "empty")
    monkeypatch.setattr(place._files, "put_file", lambda source, to: put(short, to), raising=False)
    with pytest.raises(StorageFailed, match="0 of 5 bytes have arrived"):
        place.send(tmp_path / "file", "x", 5)


def test_a_storage_that_hangs_holds_a_few_threads_however_often_it_is_tried(tmp_path, monkeypatch):
    remote, back = Remote(str(tmp_path)), threading.Event()
    monkeypatch.setattr(module, "CALL_S", 0.01)
    monkeypatch.setattr(remote._files, "ls", lambda *args, **kwargs: back.wait(60.0) and [])
    before = threading.active_count()
    for _ in range(3 * module.STUCK):
        with pytest.raises(StorageFailed):
            (remote / "run").sizes("claims")
    assert threading.active_count() - before <= module.STUCK
    with pytest.raises(StorageFailed, match="8 calls before it have not come back"):
        remote.sizes("claims")
    back.set()
    deadline = time.monotonic() + 60
    while remote._behind and time.monotonic() < deadline:
        time.sleep(0.01)
    monkeypatch.setattr(module, "CALL_S", 60.0)
    assert remote.sizes("claims") == {}
