"""The verdict store: compare-and-set, joins, refusals, crashes, and other processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.storage.errors import StoreBusy, StoreForeign
from envs.storage.store import Config, Store
from envs.storage.writers import Key
from rewards.verdict_checks import VerdictRefused
from rewards.verdict_proposals import propose
from rewards.verdict_rows import STATUSES
from rewards.verdict_store import PENDING, STORED, Outcome, VerdictStore, caption_subjects, put_shared
from rewards.verdicts import SCHEMA, Status, Verdict, to_arrow

HOUSE = Path(__file__).resolve().parents[2]


def verdict(subject: str, value: float | None = 1.0, version: str = "v1", **facts: object) -> Verdict:
    status = Status.OK if value is not None else Status.TIMEOUT
    plain = Verdict(subject, "caption", "intrinsic", version, value, status, "judge-1", text=f"text of {subject}")
    return replace(plain, **facts)  # type: ignore[arg-type]


def batch(*verdicts: Verdict) -> pa.RecordBatch:
    return to_arrow(verdicts)


def joined(store: VerdictStore, *subjects: str, version: str | None = "v1") -> list[float | None]:
    values = store.join(pa.array(subjects, pa.string()), "intrinsic", version).values
    return [None if np.isnan(value) else float(value) for value in values]


# Compare-and-set -----------------------------------------------------------------------------------------------------


def test_who_comes_second_is_told_so_and_stores_nothing(tmp_path: Path) -> None:
    with VerdictStore(tmp_path / "v") as store:
        assert store.put(batch(verdict("a", 1.0), verdict("b", 0.0))) == Outcome(2)
        assert store.put(batch(verdict("b", 1.0), verdict("c", 1.0))) == Outcome(1, ("b",))
        assert joined(store, "a", "b", "c", "d", "a") == [1.0, 0.0, 1.0, None, 1.0]


def test_a_newer_generation_replaces_the_one_it_expects_and_no_other(tmp_path: Path) -> None:
    with VerdictStore(tmp_path / "v") as store:
        store.put(batch(verdict("a", None), verdict("b", 0.25)))
        found = store.join(pa.array(["a", "b", "c"]), "intrinsic", "v1")
        assert found.generations.tolist() == [1, 1, 0]
        assert [STATUSES[k] for k in found.statuses] == [Status.TIMEOUT, Status.OK, Status.PENDING]
        assert store.put(batch(verdict("a", 0.5), verdict("b", 0.75)), [1, 0]) == Outcome(1, ("b",))
        assert store.put(batch(verdict("a", 0.9)), 1) == Outcome(0, ("a",))
        assert joined(store, "a", "b") == [0.5, 0.25]
        assert store.join(pa.array(["a"]), "intrinsic", "v1").generations.tolist() == [2]
        assert sum(b.num_rows for b in store.batches()) == 3  # the first one of "a" is there still


def test_versions_and_components_stand_side_by_side(tmp_path: Path) -> None:
    with VerdictStore(tmp_path / "v") as store:
        store.put(batch(verdict("a", 1.0), verdict("b", 1.0)))
        store.put(batch(verdict("a", 0.0, "v2"), verdict("b", None, "v2")))
        store.put(batch(verdict("a", 0.5, component="style")))
        assert joined(store, "a", "b", version="v1") == [1.0, 1.0]
        assert joined(store, "a", "b", version="v2") == [0.0, None]
        assert joined(store, "a", "b", version=None) == [0.0, 1.0]  # the newest ok of any version
        assert joined(store, "a", version="v3") == [None]
        assert store.join(pa.array(["a"]), "style").values.tolist() == [0.5]
        assert [(v.component, v.reward_version, v.ok, v.subjects) for v in store.versions()] == [
            ("intrinsic", "v1", 2, 2),
            ("intrinsic", "v2", 1, 2),
            ("style", "v1", 1, 1),
        ]
        assert store.versions()[1].statuses == {"ok": 1, "timeout": 1}


def test_what_is_pending_is_what_has_no_verdict_of_that_version(tmp_path: Path) -> None:
    with VerdictStore(tmp_path / "v") as store:
        store.put(batch(verdict("a"), verdict("b", None)))
        subjects = pa.array(["c", "b", "a", "d"])
        assert store.pending(subjects, "intrinsic", "v1").to_pylist() == ["c", "d"]
        assert store.pending(subjects, "intrinsic", "v2").to_pylist() == ["c", "b", "a", "d"]


def test_a_null_becomes_a_null_of_the_view_and_never_a_zero(tmp_path: Path) -> None:
    with VerdictStore(tmp_path / "v") as store:
        store.put(batch(verdict("a", 0.0), verdict("b", None)))
        column = store.join(pa.array(["a", "b", "c"]), "intrinsic", "v1").column
        assert column.valid.tolist() == [True, False, False]
        assert column.values[0] == 0.0 and np.isnan(column.values[1:]).all()


def test_an_empty_store_joins_nothing(tmp_path: Path) -> None:
    with VerdictStore(tmp_path / "v") as store:
        found = store.join(pa.array(["a", "b"]), "intrinsic")
        assert np.isnan(found.values).all() and (found.statuses == PENDING).all() and not found.generations.any()
        assert store.versions() == []
        assert store.put(to_arrow([])) == Outcome(0)


PUTS = st.lists(
    st.tuples(
        st.lists(st.sampled_from("abcdef"), unique=True, min_size=1),
        st.sampled_from(["v1", "v2"]),
        st.one_of(st.none(), st.integers(0, 9).map(float)),
        st.integers(0, 2),
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(PUTS)
def test_it_agrees_with_a_dictionary_also_after_it_was_opened_again(
    tmp_path_factory: pytest.TempPathFactory, puts
) -> None:
    directory = tmp_path_factory.mktemp("store") / "v"
    model: dict[tuple[str, str], tuple[int, float | None]] = {}
    latest: dict[str, float] = {}
    with VerdictStore(directory, config=Config(fsync="none")) as store:
        for subjects, version, value, expected in puts:
            outcome = store.put(batch(*(verdict(s, value, version) for s in subjects)), expected)
            wins = [s for s in subjects if model.get((s, version), (0, None))[0] == expected]
            assert outcome == Outcome(len(wins), tuple(s for s in subjects if s not in wins))
            for s in wins:
                model[s, version] = expected + 1, value
                latest |= {} if value is None else {s: value}
        check_against(store, model, latest)
    with VerdictStore(directory, read_only=True) as store:
        check_against(store, model, latest)


def check_against(store: VerdictStore, model: dict, latest: dict) -> None:
    subjects = pa.array(list("abcdefg"))
    for version in ("v1", "v2"):
        expected = [model.get((s, version), (0, None)) for s in "abcdefg"]
        assert store.join(subjects, "intrinsic", version).generations.tolist() == [g for g, _ in expected]
        assert joined(store, *"abcdefg", version=version) == [v for _, v in expected]
    assert joined(store, *"abcdefg", version=None) == [latest.get(s) for s in "abcdefg"]


@pytest.mark.slow
def test_many_small_puts_are_found_like_one_large_one(tmp_path: Path) -> None:
    with VerdictStore(tmp_path / "v", config=Config(fsync="none")) as store:
        for k in range(200):
            store.put(batch(verdict(str(k), k / 200)))
        assert joined(store, *map(str, range(200))) == [k / 200 for k in range(200)]
        assert store.put(batch(verdict("17"))) == Outcome(0, ("17",))


def test_subjects_of_captions_are_their_ids_in_decimal() -> None:
    assert caption_subjects(np.array([7, 2**62 + 1])).to_pylist() == ["7", "4611686018427387905"]


# Refusals ------------------------------------------------------------------------------------------------------------


def changed(**columns: list) -> pa.RecordBatch:
    good = batch(verdict("a"), verdict("b"))
    arrays = [pa.array(columns[f.name], f.type) if f.name in columns else good.column(f.name) for f in SCHEMA]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (changed(value=[1.0, float("nan")]), r"1 of 2 verdicts, such as on 'b': got NaN or infinity"),
        (changed(value=[float("-inf"), 1.0]), r"such as on 'a': got NaN or infinity"),
        (changed(value=[None, 1.0]), "a value must be there exactly when the status is ok"),
        (changed(status=["ok", "timeout"]), "a value must be there exactly when the status is ok"),
        (changed(status=["ok", "fine"]), "such as on 'b': unknown status"),
        (changed(status=["pending", "ok"], value=[None, 1.0]), "pending is no verdict"),
        (changed(subject=["a", "a"]), "a subject comes twice"),
        (changed(subject=["a", ""]), "the subject has no name"),
        (changed(subject=["a", None]), "subject is NULL"),
        (changed(reward_version=["v1", "v2"]), r"got verdicts of reward_version \['v1', 'v2'\]"),
        (changed(component=["", ""]), "got verdicts of component"),
        (changed(subject_kind=["caption", "pair"]), "got verdicts of subject_kind"),
        (changed(cost=[0.0, float("inf")]), "cost is not finite"),
        (changed(scores=[[], [float("nan")]]), "got scores of NaN"),
        (batch(verdict("a")).drop_columns(["text"]), "got verdicts of schema"),
        ("verdicts", "got verdicts of schema\nstr"),
    ],
)
def test_malformed_verdicts_are_refused_and_the_store_is_as_it_was(bad: object, message: str, tmp_path: Path) -> None:
    with VerdictStore(tmp_path / "v") as store:
        store.put(batch(verdict("z", 0.5)))
        before = contents(tmp_path)
        with pytest.raises(VerdictRefused, match=message):
            store.put(bad)  # type: ignore[arg-type]
        assert contents(tmp_path) == before
        assert joined(store, "z", "a", "b") == [0.5, None, None]


def contents(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_a_verdict_on_an_unknown_subject_is_refused(tmp_path: Path) -> None:
    def known(kind: str, subjects: pa.Array) -> pa.Array:
        return pa.array([kind == "caption" and subject in ("a", "b") for subject in subjects.to_pylist()])

    with VerdictStore(tmp_path / "v", known) as store:
        store.put(batch(verdict("a")))
        with pytest.raises(VerdictRefused, match="1 of 2 verdicts, such as on 'row-9': no such caption is stored"):
            store.put(batch(verdict("b"), verdict("row-9")))
        assert joined(store, "a", "b") == [1.0, None]


def test_one_version_judges_one_kind_of_subject(tmp_path: Path) -> None:
    with VerdictStore(tmp_path / "v") as store:
        store.put(batch(verdict("a")))
        with pytest.raises(VerdictRefused, match="got verdicts on a row; expected caption"):
            store.put(batch(verdict("r", subject_kind="row")))


def test_a_store_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    schema = pa.schema([("x", pa.int64())])
    with Store(tmp_path / "v", schema) as store:
        store.append(Key(0, 0, 0), pa.RecordBatch.from_pydict({"x": [1]}, schema))
    before = contents(tmp_path)
    for read_only in (False, True):
        with pytest.raises(StoreForeign):
            VerdictStore(tmp_path / "v", read_only=read_only)
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_a_store_that_is_open_to_be_read_is_not_written_to(tmp_path: Path) -> None:
    with VerdictStore(tmp_path / "v") as store:
        store.put(batch(verdict("a")))
        with pytest.raises(StoreBusy):
            VerdictStore(tmp_path / "v")
        with VerdictStore(tmp_path / "v", read_only=True) as reader:
            with pytest.raises(VerdictRefused, match="open to be read"):
                reader.put(batch(verdict("b")))
            store.put(batch(verdict("b", 0.5)))
            assert joined(reader, "a", "b") == [1.0, None]
            reader.refresh()
            assert joined(reader, "a", "b") == [1.0, 0.5]


# Other processes -----------------------------------------------------------------------------------------------------


def test_the_owner_takes_in_what_others_propose_and_answers_them(tmp_path: Path) -> None:
    directory = tmp_path / "v"
    with VerdictStore(directory) as store:
        store.put(batch(verdict("a", 0.25)))
        mine = propose(directory, batch(verdict("a", 1.0), verdict("b", 1.0)))
        stale = propose(directory, batch(verdict("a", 0.75)), 1)
        assert store.collect() == 2
        assert not mine.exists() and not stale.exists()
        assert joined(store, "a", "b") == [0.75, 1.0]
        assert store.collect() == 0


def test_a_proposal_is_taken_in_once_though_the_owner_died_before_it_answered(tmp_path: Path) -> None:
    directory = tmp_path / "v"
    with VerdictStore(directory) as store:
        store.put(batch(verdict("a", 0.25)))
        path = propose(directory, batch(verdict("a", 1.0), verdict("b", 1.0)))
        left = path.read_bytes()
        store.collect()
    reply = path.with_name(f"{path.name}.json")
    answered = reply.read_bytes()
    reply.unlink()  # it never came to that: the proposal is there still, its rows are stored
    path.write_bytes(left)
    with VerdictStore(directory) as store:
        assert store.collect() == 1
        assert joined(store, "a", "b") == [0.25, 1.0]
        assert sum(b.num_rows for b in store.batches()) == 2
    assert reply.read_bytes() == answered


@pytest.mark.parametrize("damage", [b"", b"no arrow", None])
def test_a_proposal_that_cannot_be_read_is_answered_and_thrown_away(damage: bytes | None, tmp_path: Path) -> None:
    directory = tmp_path / "v"
    with VerdictStore(directory) as store:
        path = propose(directory, batch(verdict("a")))
        path.write_bytes(path.read_bytes()[:-40] if damage is None else damage)
        good = propose(directory, batch(verdict("b")))
        assert store.collect() == 2
        assert joined(store, "a", "b") == [None, 1.0]
        assert not path.exists() and not good.exists()


def test_a_link_in_the_inbox_is_not_followed(tmp_path: Path) -> None:
    directory = tmp_path / "v"
    with VerdictStore(directory) as store:
        path = propose(directory, batch(verdict("a")))
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
        store.collect()
        assert joined(store, "a") == [None]
        assert (tmp_path / "elsewhere").exists()


def test_without_an_owner_the_one_that_waits_takes_it_in(tmp_path: Path) -> None:
    directory = tmp_path / "v"
    assert put_shared(directory, batch(verdict("a", 0.5))) == Outcome(1)
    assert put_shared(directory, batch(verdict("a", 1.0), verdict("b", 1.0))) == Outcome(1, ("a",))
    with VerdictStore(directory, read_only=True) as store:
        assert joined(store, "a", "b") == [0.5, 1.0]


def test_malformed_verdicts_do_not_even_reach_the_inbox(tmp_path: Path) -> None:
    with pytest.raises(VerdictRefused, match="a subject comes twice"):
        put_shared(tmp_path / "v", changed(subject=["a", "a"]))
    assert not list(tmp_path.rglob("*"))


def test_an_owner_that_never_collects_is_named_after_the_deadline_and_nothing_is_lost(tmp_path: Path) -> None:
    directory = tmp_path / "v"
    with VerdictStore(directory) as store:
        with pytest.raises(TimeoutError, match=r"the owner of .* has not taken in what was proposed for 0\.1 s"):
            put_shared(directory, batch(verdict("a")), timeout_s=0.1)
        store.collect()
        assert joined(store, "a") == [1.0]


WRITER = """
import sys
from pathlib import Path
from rewards.verdict_store import put_shared
from rewards.verdicts import Status, Verdict, to_arrow
directory, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
won = 0
for k in range(rounds):
    mine = [Verdict(f"s{k}-{i}", "caption", "intrinsic", "v1", float(name), Status.OK, name) for i in range(20)]
    won += put_shared(directory, to_arrow(mine)).stored
print(won)
"""


def writer(directory: Path, name: str, rounds: int) -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, str(directory), name, str(rounds)]
    environment = os.environ | {"PYTHONPATH": str(HOUSE)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.slow
def test_of_two_processes_that_judge_the_same_each_subject_has_one_winner(tmp_path: Path) -> None:
    directory, rounds = tmp_path / "v", 12
    writers = [writer(directory, name, rounds) for name in ("1", "2")]
    won = []
    for process in writers:
        out, _ = process.communicate(timeout=250)
        assert process.returncode == 0
        won.append(int(out))
    with VerdictStore(directory, read_only=True) as store:
        (version,) = store.versions()
        stored = pa.Table.from_batches(list(store.batches()))
    assert version.ok == 20 * rounds == sum(won) == stored.num_rows
    assert stored.column("generation").unique().to_pylist() == [1]
    by_name = [stored.column("judge_fingerprint").to_pylist().count(name) for name in ("1", "2")]
    assert by_name == won


@pytest.mark.slow
def test_a_live_owner_takes_in_what_another_process_judges_and_survives_its_death(tmp_path: Path) -> None:
    directory = tmp_path / "v"
    with VerdictStore(directory, config=Config(fsync="none")) as store:
        store.put(batch(verdict("s0-0", 0.0)))
        process = writer(directory, "1", 10_000)
        deadline = time.monotonic() + 300
        while not store.versions() or store.versions()[0].ok < 100:
            assert time.monotonic() < deadline
            store.collect()
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=300)
        store.collect()
        (version,) = store.versions()
        assert joined(store, "s0-0", "s0-1") == [0.0, 1.0]
        assert version.ok % 20 == 0  # whole proposals only: the first lost one of its twenty
        rows = sum(b.num_rows for b in store.batches())
        assert rows == version.ok
    with VerdictStore(directory, read_only=True) as store:
        assert store.versions() == [version]


def test_the_schema_on_disk_says_what_it_is() -> None:
    assert STORED.metadata[b"guerdon_schema"] == b"stored_verdict"
    assert STORED.names == [*SCHEMA.names, "generation"]
