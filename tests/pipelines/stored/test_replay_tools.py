"""Looking at what a run has stored, checking it, and taking it elsewhere and back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from envs.storage.store import Store, open_store
from envs.storage.writers import Key
from pipelines.errors import UserError
from pipelines.reports.books import ledger as books_shown
from pipelines.reports.summary import summary
from pipelines.run_directory import RunDirectory
from pipelines.stored.records import read_records
from pipelines.stored.replay_tools import (
    export_stores,
    import_stores,
    inspect_stores,
    ledger_report,
    stores_of,
    verify_stores,
)
from pipelines.stored.stored_experience import StoredExperience
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Status, Verdict, to_arrow


@pytest.fixture
def run(stored) -> RunDirectory:
    """Experience, and verdicts on it."""
    directory = stored()
    with VerdictStore(directory.verdicts) as store:
        for k in range(3):
            value, status = (0.5, Status.OK) if k else (None, Status.TIMEOUT)
            mine = Verdict(str(k), "caption", "intrinsic", "v1", value, status, "judge", text="Käse\x1b", details="{}")
            store.put(to_arrow([mine]))
    return directory


def rows_of(directory: RunDirectory) -> int:
    experience = StoredExperience(directory)
    experience.close()
    return experience.rows


# The ledger ----------------------------------------------------------------------------------------------------------


def books(**changes: object) -> dict:
    def count(n: int) -> dict[str, int]:
        return {"fragments": n, "rows": 10 * n, "frames": 100 * n}

    experience = {
        "accepted": count(9),
        "live": count(2),
        "consumed": count(4),
        "dropped": {"stale": count(2), "capacity": count(1)},
        "duplicates": 1,
        "fenced": 0,
        "samples": 3,
        "sampled_rows": 55,
    }
    verdicts = {"asked": 9, "ok": 4, "failures": {"timeout": 2}, "shed": 1, "pending": 1, "in_flight": 1}
    return {"experience": {**experience, **changes}, "verdicts": verdicts}


def test_books_that_add_up_are_shown_and_added_up(run: RunDirectory) -> None:
    run.write_json(run.ledger, books())
    report = ledger_report(run)
    text = "\n".join(report.lines)
    assert report.balanced and report.lines[-1] == "balanced"
    assert "accepted                             9            90           900" in text
    assert "dropped, capacity                  1            10           100" in text
    assert "3 samples of 55 rows in sum" in text
    assert "asked 9 = 4 ok + 2 timeout + 1 shed + 1 pending + 1 in flight" in text
    assert f"stored in replay/0/rows: {rows_of(run)} rows in 4 batches" in text
    assert "intrinsic, version v1: captions, 2 ok, 1 timeout" in text


@pytest.mark.slow
def test_the_books_say_how_long_batches_waited_for_verdicts(run: RunDirectory) -> None:
    line = "batches waited 12.5 s for verdicts in sum; 3 went on without all"
    for waits, shown in (
        ({"seconds": 12.5, "went_on_without": 3}, True),
        ({"seconds": 0.0, "went_on_without": 0}, False),
    ):
        run.write_json(run.ledger, books() | {"verdict_waits": waits})
        report = ledger_report(run)
        assert report.balanced and (line in report.lines) == shown
        assert (line in summary(run)) == (line in books_shown(read_records(run))) == shown


def test_the_books_of_a_run_that_is_there_today_are_read_too(run: RunDirectory) -> None:
    old = books()
    old["experience"]["sampled"] = old["experience"].pop("consumed")
    run.write_json(run.ledger, old)
    assert ledger_report(run).balanced


@pytest.mark.slow
@pytest.mark.parametrize("part", ["experience", "verdicts"])
def test_books_that_do_not_add_up_are_named_whatever_they_say_of_themselves(run: RunDirectory, part: str) -> None:
    wrong = books()
    wrong[part]["balanced"] = True
    if part == "experience":
        wrong[part]["live"]["rows"] += 1
    else:
        wrong[part]["ok"] += 1
    run.write_json(run.ledger, wrong)
    report = ledger_report(run)
    assert not report.balanced and report.lines[-1] == f"does not balance: {part}"


@pytest.mark.slow
@pytest.mark.parametrize("text", [None, "", "[]", "{}"])
def test_a_run_without_books_is_refused(run: RunDirectory, text: str | None) -> None:
    if text is not None:
        run.ledger.write_text(text)
    with pytest.raises(UserError, match=r"ledger") as error:
        ledger_report(run)
    assert "\n" not in str(error.value)


# Looking -------------------------------------------------------------------------------------------------------------


def test_stores_are_shown_with_rows_bytes_writers_and_columns(run: RunDirectory) -> None:
    lines = list(inspect_stores(run))
    verdicts, experience = (line for line in lines if not line.startswith(" "))
    assert experience.startswith(
        f"replay/0/rows: trajectory, schema version 1; {rows_of(run)} rows in 4 batches of 1 writer"
    )
    assert verdicts.startswith("verdicts: stored_verdict, schema version 2; 3 rows in 3 batches of 1 writer")
    columns = [line.split()[0] for line in lines if line.startswith(" ")]
    assert "observation.board" in columns and "generation" in columns
    assert any(line.endswith("double or NULL") for line in lines)


def test_a_sound_run_has_no_problems(run: RunDirectory) -> None:
    assert verify_stores(run) == []


def test_a_flipped_bit_and_a_broken_contract_are_found(run: RunDirectory) -> None:
    segment = next(run.experience.glob("*.arrow"))
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 4
    segment.write_bytes(data)
    (problem, *_) = verify_stores(run)
    assert problem.startswith("replay/0/rows: ") and "\n" not in problem
    with pytest.raises(UserError, match="cannot be read"):
        list(inspect_stores(run))


def test_rows_that_break_the_contract_are_named(run: RunDirectory) -> None:
    with open_store(run.experience) as store:
        schema, batch = store.schema, store.read(next(iter(store)).position)
    discount = schema.get_field_index("discount")
    flat = pa.array([7.0] * len(batch.column(discount).flatten()), pa.float32())
    wrong = pa.LargeListArray.from_arrays(batch.column(discount).offsets, flat)
    with Store(run.experience, schema) as store:
        store.append(Key(9, 0, 0), batch.set_column(discount, schema.field(discount), wrong))
    (problem,) = verify_stores(run)
    assert problem.startswith("replay/0/rows: batch (9, 0, 0): episode") and "expected 0 to 1" in problem


def test_a_generation_that_comes_twice_is_named(run: RunDirectory) -> None:
    with open_store(run.verdicts) as store:
        schema, first = store.schema, next(iter(store))
        batch, meta = store.read(first.position), first.meta
    with Store(run.verdicts, schema) as store:
        store.append(Key(0, 5, 0), batch, meta)
    assert verify_stores(run) == ["verdicts: verdict ('0', 'intrinsic', 'v1'): got generation 1 after 1"]


def test_stores_are_found_below_and_links_are_not_followed(run: RunDirectory, tmp_path: Path) -> None:
    (run.root / "linked").symlink_to(run.verdicts)
    (run.root / "replay" / "1").symlink_to(run.shard(0))
    assert [name for name, _ in stores_of(run.root)] == ["verdicts", "replay/0/rows"]


def test_a_run_without_stores_is_refused(tmp_path: Path) -> None:
    for tool in (verify_stores, lambda d: list(inspect_stores(d)), lambda d: export_stores(d, tmp_path / "out")):
        with pytest.raises(UserError, match="has no stores: set record_mb above 0"):
            tool(RunDirectory(tmp_path))


# Parquet and back ----------------------------------------------------------------------------------------------------


def contents(directory: Path) -> list:
    with open_store(directory) as store:
        return [(s.key, s.rows, dict(s.meta), store.read(s.position)) for s in store], store.schema


@pytest.mark.slow
def test_an_export_comes_back_without_loss(run: RunDirectory, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(
        "pipelines.stored.replay_tools.ROW_GROUP_BYTES", 20_000
    )  # batches and row groups end in other places
    files = export_stores(run, tmp_path / "out")
    assert [p.relative_to(tmp_path / "out").as_posix() for p in files] == ["verdicts.parquet", "replay/0/rows.parquet"]
    back = import_stores(tmp_path / "out", tmp_path / "back")
    for name in ("replay/0/rows", "verdicts"):
        (before, schema), (after, same) = contents(run.root / name), contents(back.root / name)
        assert schema.equals(same, check_metadata=True)
        assert [b[:3] for b in before] == [a[:3] for a in after]
        assert all(b[3].equals(a[3]) for b, a in zip(before, after, strict=True))
    assert back.config.read_text() == run.config.read_text()
    assert verify_stores(back) == []
    assert StoredExperience(back).captions == StoredExperience(run).captions


@pytest.mark.slow
def test_an_export_is_read_by_pyarrow_pandas_and_duckdb(run: RunDirectory, tmp_path: Path) -> None:
    verdicts, experience = export_stores(run, tmp_path / "out")
    with open_store(run.experience) as store:
        expected = pa.Table.from_batches([store.read(s.position) for s in store])
    assert pq.read_table(experience).equals(expected)
    import pandas as pd

    frame = pd.read_parquet(experience)
    assert [list(r) for r in frame["env_reward"]] == expected.column("env_reward").to_pylist()
    assert frame["observation.board"][0][0].tolist() == expected.column("observation.board")[0].as_py()[0]
    assert pd.read_parquet(verdicts)["value"].isna().tolist() == [True, False, False]
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect() as connection:
        sums = connection.execute("SELECT list_sum(env_reward) FROM read_parquet(?)", [str(experience)]).fetchall()
        nulls = connection.execute(f"SELECT count(*) FROM '{verdicts}' WHERE value IS NULL").fetchone()
    assert [s for (s,) in sums] == [sum(r) for r in expected.column("env_reward").to_pylist()]
    assert nulls == (1,)


def test_a_target_that_is_there_already_is_left_alone(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        export_stores(run, tmp_path / "out")
    export_stores(run, tmp_path / "good")
    with pytest.raises(UserError, match="is there already"):
        import_stores(tmp_path / "good", tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_what_is_no_export_is_refused_and_nothing_is_left_behind(run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no \.parquet files"):
        import_stores(tmp_path / "lost", tmp_path / "back")
    folder = tmp_path / "out"
    (_, experience) = export_stores(run, folder)
    good = experience.read_bytes()
    table = pq.read_table(experience)
    pq.write_table(table, experience)  # rewritten by something that does not keep the metadata
    with pytest.raises(UserError, match="rows belong together: no export"):
        import_stores(folder, tmp_path / "back")
    experience.write_bytes(good[: len(good) // 2])
    with pytest.raises(UserError, match="cannot import"):
        import_stores(folder, tmp_path / "back")
    experience.unlink()
    experience.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes(good)
    with pytest.raises(UserError, match="expected plain files"):
        import_stores(folder, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_batch_that_an_export_names_twice_is_refused(run: RunDirectory, tmp_path: Path) -> None:
    (verdicts, experience) = export_stores(run, tmp_path / "out")
    verdicts.unlink()
    file = pq.ParquetFile(experience)
    beside = json.loads(file.metadata.metadata[b"guerdon_batches"])
    beside[1][2] = beside[0][2]
    said = {"guerdon_store_schema": file.metadata.metadata[b"guerdon_store_schema"].decode()}
    with pq.ParquetWriter(tmp_path / "new", file.schema_arrow) as writer:
        writer.write_table(file.read())
        writer.add_key_value_metadata(said | {"guerdon_batches": json.dumps(beside)})
    file.close()
    os.replace(tmp_path / "new", experience)
    with pytest.raises(UserError, match="is duplicate: the file names it twice"):
        import_stores(tmp_path / "out", tmp_path / "back")
