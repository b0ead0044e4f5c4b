"""`guerdon ledger`, `guerdon replay inspect | verify | export | import`: what a run has stored, and whether it adds up.

An export is one Parquet file a store (zstd), with the store's schema and, in the file's metadata, where each batch
begins, who wrote it and what was stored beside it. So it can be read by anything that reads Parquet, and be imported
again without loss.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from envs.storage.schema import from_text, to_text
from envs.storage.store import Store, open_store
from envs.storage.verifying import verify
from envs.storage.writers import Ack, Key
from envs.trajectory import validate
from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory
from pipelines.stored.evidence import printable
from pipelines.stored.records import branch, count_text, judge_lines, number_at, plural
from pipelines.stored.stored_experience import one_line
from rewards.verdict_store import VerdictStore

SUFFIX = ".parquet"
BATCHES = "guerdon_batches"  # [actor, epoch, sequence, rows, meta] of each
SCHEMA = "guerdon_store_schema"  # the exact one: Parquet numbers the fields of its own
PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")
ROW_GROUP_BYTES = 32 * 2**20
SMALL_FILES = ("config.yaml", "ledger.json")
UNITS = ("fragments", "rows", "frames")
DEEPEST = 3  # folders of a run in which stores are looked for


# The ledger ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LedgerReport:
    """The books as text, and whether they add up."""

    lines: tuple[str, ...]
    balanced: bool


def ledger_report(directory: RunDirectory) -> LedgerReport:
    """Show a run's books and add them up anew.

    Raises:
        UserError: the run has no ledger yet, or it cannot be read.
    """
    try:
        books = json.loads(directory.ledger.read_text())
    except FileNotFoundError:
        raise UserError(f"{directory.root} has no ledger yet; it is written at the first checkpoint") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{directory.ledger} cannot be read: {one_line(error)}") from None
    if not isinstance(books, dict) or not isinstance(books.get("experience"), dict):
        raise UserError(f"{directory.ledger} holds no books; expected 'experience' and 'verdicts'")
    lines: list[str] = []
    wrong: list[str] = []
    former = [_verdicts(one, f" of {one.get('reward_version')}, before") for one in books.get("former_verdicts", [])]
    for part in (_experience(books["experience"]), _verdicts(branch(books, "verdicts")), *former):
        lines += part.lines
        wrong += [] if part.balanced else [part.lines[0].split()[0]]
    if "groups" in books:
        groups = _groups(branch(books, "groups"))
        lines += groups.lines
        wrong += [] if groups.balanced else ["groups"]
    lines += judge_lines(books)
    lines += _on_disk(directory)
    lines.append("balanced" if not wrong else f"does not balance: {' and '.join(wrong)}")
    return LedgerReport(tuple(lines), not wrong)


def _experience(books: Mapping[str, Any]) -> LedgerReport:
    """Adds up: accepted = live + used + dropped by reason, in each unit."""
    terms = [("accepted", branch(books, "accepted")), ("  live", branch(books, "live"))]
    terms += [(f"  {name}", branch(books, name)) for name in ("sampled", "consumed", "evicted") if name in books]
    terms += [(f"  dropped, {reason}", counts) for reason, counts in sorted(branch(books, "dropped").items())]
    lines = ["experience".ljust(24) + "".join(unit.rjust(14) for unit in UNITS)]
    for name, counts in terms:
        lines.append(name.ljust(24) + "".join(count_text(number_at(counts, unit)).rjust(14) for unit in UNITS))
    numbers = [[number_at(counts, unit) or 0 for _, counts in terms] for unit in UNITS]
    other = {name: number_at(books, name) for name in ("duplicates", "fenced")}
    lines.append("not accepted: " + ", ".join(f"{name} {count_text(n)}" for name, n in other.items()))
    if "sampled_rows" in books:
        samples, rows = number_at(books, "samples") or 0, number_at(books, "sampled_rows") or 0
        lines.append(f"{plural(samples, 'sample')} of {plural(rows, 'row')} in sum")
    return LedgerReport(tuple(lines), all(accepted == sum(parts) for accepted, *parts in numbers))


def _verdicts(books: Mapping[str, Any], which: str = "") -> LedgerReport:
    """Adds up: asked = ok + each failure + shed + pending + in flight + dropped."""
    terms = {"ok": number_at(books, "ok"), **branch(books, "failures")}
    terms |= {name: number_at(books, name) for name in ("shed", "pending", "in_flight", "dropped") if name in books}
    summands = " + ".join(f"{count_text(n)} {name.replace('_', ' ')}" for name, n in terms.items())
    asked = number_at(books, "asked")
    lines = (f"verdicts{which} asked {count_text(asked)} = {summands}",)
    return LedgerReport(lines, asked is None or asked == sum(n or 0 for n in terms.values()))


def _groups(books: Mapping[str, Any]) -> LedgerReport:
    """Of a language run, adds up: begun = stored + under way + given up."""
    begun, *terms = (number_at(books, name) or 0 for name in ("begun", "stored", "under_way", "given_up"))
    stored, under_way, given_up = terms
    text = f"groups begun {begun:,} = {stored:,} stored + {under_way:,} under way + {given_up:,} given up"
    return LedgerReport((text,), begun == sum(terms))


def _on_disk(directory: RunDirectory) -> list[str]:
    """What the stores hold, beside what the books say."""
    lines = []
    for name, path in stores_of(directory.root):
        with _opened(path) as store:
            rows = sum(stored.rows for stored in store)
            lines.append(f"stored in {name}: {plural(rows, 'row')} in {len(store):,} batches")
    if (directory.verdicts / "store.json").exists():
        try:
            with VerdictStore(directory.verdicts, read_only=True) as verdicts:
                versions = verdicts.versions()
        except (OSError, ValueError, pa.ArrowException) as error:
            raise UserError(f"{directory.verdicts} cannot be read: {one_line(error)}") from None
        for version in versions:
            statuses = ", ".join(f"{n:,} {status}" for status, n in sorted(version.statuses.items()))
            lines.append(f"  {version.component}, version {version.reward_version}: {version.kind}s, {statuses}")
    return lines


# Looking at stores ---------------------------------------------------------------------------------------------------


def stores_of(root: Path) -> list[tuple[str, Path]]:
    """The stores of a run by their path below it; links are not followed."""
    found = []
    for depth in range(1, DEEPEST + 1):
        for path in sorted(root.glob("/".join(["*"] * depth))):
            inside = path.relative_to(root)
            linked = any((root / Path(*inside.parts[: k + 1])).is_symlink() for k in range(len(inside.parts)))
            if not linked and (path / "store.json").is_file() and all(map(PART.fullmatch, inside.parts)):
                found.append((inside.as_posix(), path))
    return found


def inspect_stores(directory: RunDirectory) -> Iterator[str]:
    """What each store of a run holds: rows, bytes, who wrote it, its columns.

    Raises:
        UserError: there is no store, or one cannot be read.
    """
    for name, path in _some_stores(directory):
        with _opened(path) as store:
            batches = list(store)
            meta = {k.decode(): v.decode() for k, v in (store.schema.metadata or {}).items()}
            kind = f"{meta.get('guerdon_schema', 'rows')}, schema version {meta.get('schema_version', '?')}"
            writers = {(stored.key.actor, stored.key.epoch) for stored in batches}
            rows = sum(stored.rows for stored in batches)
            yield (
                f"{name}: {kind}; {rows:,} rows in {len(batches):,} batches of {plural(len(writers), 'writer')}, "
                f"{store.bytes_live / 2**20:,.1f} MiB live, {store.bytes_on_disk / 2**20:,.1f} on disk"
            )
            sizes = dict.fromkeys(store.schema.names, 0)
            for stored in batches:
                batch = store.read(stored.position)
                for column in store.schema.names:
                    sizes[column] += batch.column(column).nbytes
            for field in store.schema:
                null = " or NULL" if field.nullable else ""
                yield printable(f"  {field.name:<28} {sizes[field.name] / 2**20:>10,.2f} MiB  {field.type}{null}")


def verify_stores(directory: RunDirectory) -> list[str]:
    """Every problem of a run's stores in one line each: bytes, Arrow, and what rows and verdicts must hold.

    Raises:
        UserError: there is no store.
    """
    problems = []
    for name, path in _some_stores(directory):
        found = verify(path)
        try:
            found += _contract_offences(path)
        except (OSError, ValueError, pa.ArrowException) as error:
            if one_line(error) not in found:
                found.append(one_line(error))
        problems += [printable(f"{name}: {problem}") for problem in found]
    return problems


def _contract_offences(path: Path) -> list[str]:
    with open_store(path) as store:
        kind = (store.schema.metadata or {}).get(b"guerdon_schema", b"").decode()
        if kind == "stored_verdict":
            with VerdictStore(path, read_only=True) as verdicts:
                verdicts.versions()
            return _generation_offences(store)
        found = []
        for stored in store if kind == "trajectory" else ():
            try:
                validate(store.read(stored.position))
            except ValueError as error:
                found.append(f"batch {tuple(stored.key)}: {one_line(error)}")
        return found


def _generation_offences(store: Store) -> list[str]:
    """Each key's generations must be 1, 2, 3, …: neither lost nor twice."""
    newest: dict[tuple[str, str, str], int] = {}
    found = []
    names = ("subject", "component", "reward_version", "generation")
    for stored in store:
        columns = [store.read(stored.position).column(name).to_pylist() for name in names]
        for *key, generation in zip(*columns, strict=True):
            if generation != newest.get(tuple(key), 0) + 1:
                found.append(f"verdict {tuple(key)}: got generation {generation} after {newest.get(tuple(key), 0)}")
            newest[tuple(key)] = generation
    return found


# Parquet and back ----------------------------------------------------------------------------------------------------


def export_stores(directory: RunDirectory, to: Path) -> list[Path]:
    """Write each store of a run as `to`/NAME.parquet, and its small files beside them. Gives the Parquet files.

    Raises:
        UserError: there is no store, the target is not empty, or it cannot be written.
    """
    stores = _some_stores(directory)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"to: {to} is there already; expected a directory that is missing or empty")
    written = []
    try:
        for name, path in stores:
            target = to / f"{name}{SUFFIX}"
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f"{target.name}.partial")
            with _opened(path) as store:
                _write_parquet(store, partial)
            os.replace(partial, target)
            written.append(target)
        for small in SMALL_FILES:
            if (directory.root / small).is_file():
                shutil.copyfile(directory.root / small, to / small)
    except (OSError, ValueError, pa.ArrowException) as error:
        for partial in to.rglob("*.partial"):
            partial.unlink()
        raise UserError(f"cannot export to {to}: {one_line(error)}") from None
    return written


def _write_parquet(store: Store, path: Path) -> None:
    batches = list(store)
    with pq.ParquetWriter(path, store.schema, compression="zstd") as writer:
        waiting: list[pa.RecordBatch] = []
        for stored in batches:
            waiting.append(store.read(stored.position))
            if sum(batch.nbytes for batch in waiting) >= ROW_GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))
        beside = [[*stored.key, stored.rows, dict(stored.meta)] for stored in batches]
        writer.add_key_value_metadata({BATCHES: json.dumps(beside), SCHEMA: to_text(store.schema)})


def import_stores(source: Path, to: Path) -> RunDirectory:
    """Make a run directory of an export: the same stores, batch by batch, and the small files.

    Raises:
        UserError: there is nothing to import, a file is no export or is damaged, or the target is not empty.
    """
    files = sorted(path for path in source.rglob(f"*{SUFFIX}") if path.is_file()) if source.is_dir() else []
    if not files:
        raise UserError(f"from: {source} holds no {SUFFIX} files; expected what `guerdon replay export` wrote")
    for path in files:
        parts = path.relative_to(source).parts
        linked = any((source / Path(*parts[: k + 1])).is_symlink() for k in range(len(parts)))
        if linked or len(parts) > DEEPEST or not all(map(PART.fullmatch, parts)):
            raise UserError(f"from: got {printable(str(path))}; expected plain files with names of letters and digits")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"to: {to} is there already; expected a directory that is missing or empty")
    existed = to.exists()
    try:
        for path in files:
            _read_parquet(path, to / path.relative_to(source).with_suffix(""))
        for small in SMALL_FILES:
            if (source / small).is_file() and not (source / small).is_symlink():
                shutil.copyfile(source / small, to / small)
    except (OSError, ValueError, TypeError, LookupError, pa.ArrowException) as error:
        shutil.rmtree(to, ignore_errors=True)
        if existed:
            to.mkdir()
        raise UserError(f"cannot import {path}: {one_line(error)}") from None
    return RunDirectory(to)


def _read_parquet(path: Path, directory: Path) -> None:
    with pq.ParquetFile(path) as file, ExitStack() as stack:
        said = file.metadata.metadata or {}
        beside = json.loads(said.get(BATCHES.encode(), b"null"))
        if not isinstance(beside, list) or sum(int(entry[3]) for entry in beside) != file.metadata.num_rows:
            raise ValueError(f"it does not say which of its {file.metadata.num_rows} rows belong together: no export")
        schema = from_text(said[SCHEMA.encode()].decode())
        store = stack.enter_context(Store(directory, schema))
        groups, table = iter(range(file.num_row_groups)), schema.empty_table()
        for *key, rows, meta in beside:
            while table.num_rows < rows:
                table = pa.concat_tables([table, file.read_row_group(next(groups)).cast(schema)])
            batch = table.slice(0, rows).combine_chunks().to_batches()[0]
            table = table.slice(rows)
            ack, _ = store.append(Key(*key), batch, meta)
            if ack is not Ack.STORED:
                raise ValueError(f"batch {tuple(key)} is {ack.value}: the file names it twice, or out of order")


def _some_stores(directory: RunDirectory) -> list[tuple[str, Path]]:
    stores = stores_of(directory.root)
    if not stores:
        raise UserError(f"{directory.root} has no stores: set record_mb above 0, or let the run go on for a while")
    return stores


def _opened(path: Path) -> Store:
    try:
        return open_store(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read: {one_line(error)}") from None
