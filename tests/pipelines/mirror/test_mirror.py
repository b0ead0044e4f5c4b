"""A run is where its mirror is, whole, and whatever the storage does costs the copy and never the run."""

from __future__ import annotations

import json
import random
import threading
import time

import pytest

from pipelines import checkpoint
from pipelines.errors import UserError
from pipelines.mirror import mirror as module
from pipelines.mirror.fetching import bring, gone_on_with
from pipelines.mirror.opening import check_storage, open_mirror
from pipelines.mirror.reading import look
from pipelines.mirror.remote import Remote, StorageFailed
from pipelines.mirror.writing import Writer


def until(condition, seconds=300.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def take(mirror):
    with mirror.snapshot():
        pass


def tree_of(directory):
    hidden = {".lock", "storage.json", ".mirror"}  # not entered: a mirror's thread deletes in its folder
    entries = [entry for entry in directory.root.iterdir() if entry.name not in hidden]
    below = [path for entry in entries if entry.is_dir() for path in entry.rglob("*")]
    return {str(path.relative_to(directory.root)): path.read_bytes() for path in (*entries, *below) if path.is_file()}


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.02)


@pytest.mark.slow
def test_a_run_comes_back_from_its_mirror_byte_for_byte(uri, begun, mirrored, tmp_path):
    check_storage(uri)
    here = begun()
    mirrored(uri, here)
    there = tmp_path / "other machine"
    assert gone_on_with(there, None, "mine", uri, print) == (None, uri)
    assert tree_of(type(here)(there / "mine")) == tree_of(here)
    assert not [path for path in there.iterdir() if path.name != "mine"]


def test_a_place_is_a_run_to_resume(uri, begun, mirrored, tmp_path):
    mirrored(uri, begun())
    there = tmp_path / "other machine"
    assert gone_on_with(there, f"{uri}/mine", None, None, print) == (str(there / "mine"), uri)
    if "://" not in uri:  # a path is a run of this machine, unless there is a mirror
        assert gone_on_with(there, f"{uri}/nobody", None, None, print) == (f"{uri}/nobody", None)
        return
    with pytest.raises(UserError, match="there is no run at"):
        gone_on_with(there, f"{uri}/nobody", None, None, print)


def test_a_mirror_is_no_folder_of_runs(begun, mirrored, tmp_path):
    mirrored(str(tmp_path / "there"), begun())
    with pytest.raises(UserError, match="is a mirror, and no run"):
        bring(tmp_path / "there", "mine", str(tmp_path / "there"), print)


@pytest.mark.slow
def test_what_is_there_is_not_sent_twice(uri, begun):
    here = begun()
    mirror = open_mirror(uri, here)
    take(mirror)
    until(lambda: mirror.snapshots == 1)
    first = mirror._writer.sent_files
    here.append_line(here.metrics, {"value": 2})
    take(mirror)
    until(lambda: mirror.snapshots == 2)
    assert mirror._writer.sent_files == first + 1
    assert mirror.close() is None and mirror._writer.sent_files == first + 1
    again = open_mirror(uri, here)  # a later generation knows what an earlier one has sent
    assert again.close() is None and again._writer.sent_files == 0


@pytest.mark.slow
def test_objects_that_no_manifest_needs_are_deleted(uri, begun):
    here, place = begun(), Remote(uri) / "mine"
    mirror = open_mirror(uri, here)
    for number in range(6):
        here.append_line(here.metrics, {"value": number})
        take(mirror)
        until(lambda number=number: mirror.snapshots == number + 1)
    manifests = place.sizes("manifests")
    assert sorted(manifests) == [f"000000001-00000000{n}.json" for n in (4, 5, 6)]
    others = len(tree_of(here)) - 1
    assert len(place.sizes("objects/000000001")) == others + 3
    mirror.close()


@pytest.mark.slow
def test_the_older_writer_is_fenced_and_has_no_say(uri, begun, mirrored, tmp_path):
    here = begun()
    older = open_mirror(uri, here)
    take(older)
    until(lambda: older.snapshots == 1)
    there = tmp_path / "other machine"
    assert bring(there, "mine", uri, print)
    newer_run = type(here)(there / "mine")
    newer = open_mirror(uri, newer_run)
    here.append_line(here.metrics, {"value": "stale"})
    take(older)
    until(lambda: older.fenced)
    assert [what for what, _ in older.news()] == ["mirror given up"] and older.close() is None
    with older.snapshot() as folder:
        assert folder is None
    newer_run.append_line(newer_run.metrics, {"value": "fresh"})
    assert newer.close() is None
    third = tmp_path / "third machine"
    assert bring(third, "mine", uri, print)
    lines = [line["value"] for line in here.lines(third / "mine" / "metrics.jsonl")]
    assert lines == [1, "fresh"]


@pytest.mark.slow
def test_a_manifest_that_a_fenced_writer_writes_all_the_same_is_not_read(uri, begun, mirrored, tmp_path, monkeypatch):
    here = begun()
    older = open_mirror(uri, here)
    take(older)
    until(lambda: older.snapshots == 1)
    assert bring(tmp_path / "elsewhere", "mine", uri, print)
    newer = open_mirror(uri, type(here)(tmp_path / "elsewhere" / "mine"))  # it has claimed, and written nothing yet
    monkeypatch.setattr(Writer, "_require_newest", lambda self: None)  # as if the claim came a moment later
    here.append_line(here.metrics, {"value": "stale"})
    take(older)
    until(lambda: older.snapshots == 2)
    standing = look(Remote(uri) / "mine")
    assert standing.claim.generation == 2 and standing.manifest.name == "000000001-000000001"
    newer.close()
    older.close()


@pytest.mark.slow
def test_a_copy_that_is_older_than_its_mirror_makes_way_and_is_kept(uri, begun, mirrored, tmp_path):
    here = begun()
    mirrored(uri, here)
    there = tmp_path / "other machine"
    bring(there, "mine", uri, print)
    elsewhere = type(here)(there / "mine")
    checkpoint.save(elsewhere.checkpoints, 7, {"value": 7})
    mirrored(uri, elsewhere)
    with pytest.raises(UserError, match="another machine has gone on"):
        open_mirror(uri, here)
    said = []
    assert bring(here.root.parent, "mine", uri, said.append)
    assert checkpoint.numbers(here.checkpoints) == [1, 7]
    assert (here.root.parent / "mine.superseded-1" / "config.yaml").is_file() and "superseded-1" in said[0]


def test_a_copy_that_is_the_newest_is_left_alone(uri, begun, mirrored):
    here = begun()
    mirrored(uri, here)
    checkpoint.save(here.checkpoints, 3, {"value": 3})  # and was killed before it could be sent
    assert not bring(here.root.parent, "mine", uri, print)
    assert checkpoint.numbers(here.checkpoints) == [1, 3]


@pytest.mark.slow
def test_who_dies_between_its_claim_and_its_first_manifest_goes_on(uri, begun, mirrored):
    here = begun()
    mirrored(uri, here)
    open_mirror(uri, here)  # and is killed
    assert not bring(here.root.parent, "mine", uri, print)
    mirrored(uri, here)
    assert look(Remote(uri) / "mine").claim.generation == 3


def test_another_run_of_the_same_name_is_refused(uri, begun, mirrored, tmp_path):
    mirrored(uri, begun())
    other = begun(tmp_path / "other machine", value=9)
    for refused in (lambda: open_mirror(uri, other), lambda: bring(other.root.parent, "mine", uri, print)):
        with pytest.raises(UserError, match="mirror of another run of this name"):
            refused()


def test_a_run_that_never_came_to_a_checkpoint_makes_way(uri, begun, mirrored, tmp_path):
    mirrored(uri, begun())
    empty = tmp_path / "other machine" / "mine"
    empty.mkdir(parents=True)
    assert bring(empty.parent, "mine", uri, print)
    assert (empty / "config.yaml").is_file()


def test_what_is_no_mirror_is_refused_and_left_alone(uri, begun, tmp_path):
    place = Remote(uri) / "mine"
    place.write("holiday.jpg", b"beach")
    for refused in (lambda: open_mirror(uri, begun()), lambda: bring(tmp_path / "elsewhere", "mine", uri, print)):
        with pytest.raises(UserError, match=r"no mirror\.json among them"):
            refused()
    assert place.read("holiday.jpg") == b"beach"


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["missing", "changed", "short"])
def test_a_torn_mirror_is_refused_and_nothing_is_left_behind(uri, damage, begun, mirrored, tmp_path):
    here, place = begun(), Remote(uri) / "mine"
    mirrored(uri, here)
    kept = look(place).manifest.files["config.yaml"]
    if damage == "missing":
        place.delete(kept.path)
    else:
        place.write(kept.path, b"name: fine\n" if damage == "changed" else b"name")
    with pytest.raises(UserError, match=r"config\.yaml (is missing|is not what was written|has 4 bytes of 11)"):
        bring(tmp_path / "elsewhere", "mine", uri, print)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert open_mirror(uri, here).close() is None  # who has the run sends what is not there whole anew
    assert damage == "changed" or bring(tmp_path / "elsewhere", "mine", uri, print)


@pytest.mark.slow
def test_a_manifest_that_was_cut_short_is_passed_over(uri, begun, mirrored, tmp_path):
    here, place = begun(), Remote(uri) / "mine"
    mirror = open_mirror(uri, here)
    for number in (1, 2):
        take(mirror)
        until(lambda number=number: mirror.snapshots == number)
    path = "manifests/000000001-000000002.json"
    place.write(path, place.read(path)[:100])
    said = []
    assert bring(tmp_path / "elsewhere", "mine", uri, said.append)
    assert "passed over" in said[0] and path in said[0]
    mirror.close()


def test_a_storage_that_fails_for_a_while_costs_nothing_but_time(begun, tmp_path, monkeypatch, hurried):
    here, uri, failing = begun(), str(tmp_path / "there"), threading.Event()
    mirror = open_mirror(uri, here)
    send, sent = Remote.send, []

    def unsure(self, source, path, size):
        if failing.is_set() and len(sent) >= 2:
            raise StorageFailed("503 Slow Down")
        sent.append(path)
        send(self, source, path, size)

    monkeypatch.setattr(Remote, "send", unsure)
    failing.set()
    drawn = random.getstate()
    take(mirror)
    until(lambda: mirror.failures >= 3)
    assert random.getstate() == drawn  # a failure of the copy does not change what the run draws
    assert mirror.snapshots == 0 and mirror.numbers()["storage/failures"] >= 3
    assert any("503 Slow Down" in why for _, why in mirror.news())
    failing.clear()
    until(lambda: mirror.snapshots == 1)
    assert len(sent) == len(set(sent))  # what had arrived before the failure was not sent again
    assert mirror.close() is None


def test_what_waits_is_bounded_and_the_newest_wins(begun, tmp_path, monkeypatch, hurried):
    here, uri = begun(), str(tmp_path / "there")
    mirror, gate = open_mirror(uri, here), threading.Event()
    publish, folders = Writer.publish, []

    def slow(self, snapshot, taken):
        folders.append(snapshot.name)
        assert gate.wait(300)
        return publish(self, snapshot, taken)

    monkeypatch.setattr(Writer, "publish", slow)
    for number in range(5):
        take(mirror)
        if number == 0:
            until(lambda: folders)
    assert mirror.superseded == 3
    assert sorted(path.name for path in (here.root / ".mirror").iterdir()) == ["000001", "000005"]
    gate.set()
    until(lambda: mirror.snapshots == 2)
    assert folders == ["000001", "000005"]
    mirror.close()
    assert not (here.root / ".mirror").exists()


def test_the_end_waits_for_as_long_as_it_may_and_says_what_is_missing(begun, tmp_path, monkeypatch, hurried):
    mirror = open_mirror(str(tmp_path / "there"), begun())

    def down(self, *args):
        raise StorageFailed("connection refused")

    monkeypatch.setattr(Remote, "send", down)
    take(mirror)
    until(lambda: mirror.failures)
    assert "connection refused" in mirror.close(0.1)


def test_a_disk_without_room_for_a_snapshot_does_not_end_the_run(begun, tmp_path):
    mirror = open_mirror(str(tmp_path / "there"), begun())
    with mirror.snapshot() as folder:
        assert folder is not None
        raise OSError(28, "No space left on device")
    assert mirror.failures == 1 and "No space left" in mirror.news()[0][1]
    assert not list((mirror._staging).iterdir())
    mirror.close()


def test_an_error_that_is_none_of_the_storage_is_told(begun, tmp_path):
    mirror = open_mirror(str(tmp_path / "there"), begun())
    with pytest.raises(KeyError), mirror.snapshot():
        raise KeyError("a fault of ours")
    assert not list((mirror._staging).iterdir())
    mirror.close()


def test_links_and_hidden_files_stay_where_they_are(begun, mirrored, tmp_path):
    here, uri = begun(), str(tmp_path / "there")
    (tmp_path / "secret").write_text("key")
    (here.root / "link.txt").symlink_to(tmp_path / "secret")
    (here.root / ".hidden").write_text("x")
    mirrored(uri, here)
    names = look(Remote(uri) / "mine").manifest.files
    assert "config.yaml" in names and not {"link.txt", ".hidden", "storage.json", ".lock"} & set(names)
    assert json.loads((here.root / "storage.json").read_text())["generation"] == 1


@pytest.mark.slow
def test_a_copy_fetched_while_its_run_went_on_makes_way_and_is_not_gone_on_with(uri, begun, tmp_path):
    here, there = begun(), tmp_path / "other machine"
    mirror = open_mirror(uri, here)
    take(mirror)
    until(lambda: mirror.snapshots == 1)
    assert bring(there, "mine", uri, print) and not bring(there, "mine", uri, print)
    checkpoint.save(here.checkpoints, 7, {"value": 7})
    assert mirror.close() is None
    copy = type(here)(there / "mine")
    with pytest.raises(UserError, match="has gone on with this run"):
        open_mirror(uri, copy)
    assert bring(there, "mine", uri, print) and checkpoint.numbers(copy.checkpoints)[-1] == 7


def test_files_keep_the_names_that_their_users_gave_them(uri, begun, mirrored, tmp_path):
    here = begun()
    odd = here.root / "models" / "judge-1" / "Höflich (mit Regeln).yaml"
    odd.parent.mkdir(parents=True)
    odd.write_text("id: polite")
    mirrored(uri, here)
    assert bring(tmp_path / "other machine", "mine", uri, print)
    assert tree_of(type(here)(tmp_path / "other machine" / "mine")) == tree_of(here)
