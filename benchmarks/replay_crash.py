"""`replay-crash`: a writer of a store is killed (SIGKILL) at random moments, files are damaged, the disk is full.

    python -m benchmarks.replay_crash
    python -m benchmarks.replay_crash kills=50 flips=300 policies=[always] seed=1

The writer says through a pipe what was acknowledged, and what it is about to drop. After each kill the store is read
and compared with that, and the next writer goes on with it. A killed process leaves what it gave to the operating
system; what a machine that loses its power can lose stands in docs/storage.md. Other keys: work, results.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import shutil
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from envs.storage.errors import StoreCorrupt, StoreForeign
from envs.storage.store import Config, Store, open_store
from envs.storage.verifying import verify
from envs.storage.writers import Ack, Key
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, Figure, figure, write_result

NAME = "replay-crash"
KILLS, FLIPS = 200, 1000
POLICIES = ("always", "interval", "none")
LOAD_S = 0.06  # a kill comes at any moment of these seconds of load …
STARTING_S, STARTING_SHARE = 0.06, 0.2  # … or, in this share, while the writer still starts and recovers
OPEN_S = 250.0  # that a writer may take to start, on a busy machine
LIVES = 20  # kills that one store goes through, before the next store
KEPT = 48  # batches that are live; older ones are dropped, so that segments are deleted under load, too
RECOVERIES, RECOVERY_BYTES = 5, 256 * 10**6

ROWS = (1, 3, 10, 30, 100, 300, 1000)
SCHEMA = pa.schema([("sequence", pa.int64()), ("observation", pa.list_(pa.uint8(), 1659))])
OBSERVATIONS = pa.FixedSizeListArray.from_arrays(
    pa.array(np.random.default_rng(0).integers(0, 256, 1659 * max(ROWS), dtype=np.uint8)), 1659
)
SAID = struct.Struct("<cQ")
OPENED, ACKNOWLEDGED, DROPPING = b"O", b"A", b"D"


def rows_of(sequence: int) -> int:
    """How many rows a batch has: 1 to 1000, so that there are small and large writes to be killed in."""
    return ROWS[sequence * 2654435761 % 2**32 % len(ROWS)]


def batch_of(sequence: int) -> pa.RecordBatch:
    """The batch of a sequence number, always the same."""
    rows = rows_of(sequence)
    return pa.record_batch(
        [pa.repeat(pa.scalar(sequence, pa.int64()), rows), OBSERVATIONS.slice(0, rows)], schema=SCHEMA
    )


def write_under_load(directory: Path, config: Config, first: int, kept: int, pipe: Connection) -> None:
    """The writer: append from `first` on until it is killed, and say through the pipe what was acknowledged."""
    store = Store(directory, SCHEMA, config)
    pipe.send_bytes(SAID.pack(OPENED, 0))
    live = deque((one.key.sequence, one.position) for one in store)
    for sequence in itertools.count(first):
        ack, position = store.append(Key(0, 0, sequence), batch_of(sequence))
        pipe.send_bytes(SAID.pack(ACKNOWLEDGED, sequence))
        if ack is Ack.STORED and position is not None:
            live.append((sequence, position))
        if len(live) > kept:
            oldest, position = live.popleft()
            pipe.send_bytes(SAID.pack(DROPPING, oldest))
            store.drop([position])


@dataclass
class Books:
    """What the parent knows of one store, and what it found.

    Attributes:
        acknowledged: sequence numbers that the writer was told are stored.
        dropping: those that may be gone, since the writer gave them up.
    """

    acknowledged: set[int] = field(default_factory=set)
    dropping: set[int] = field(default_factory=set)


@dataclass
class Toll:
    """What the kills under one policy cost."""

    kills: int = 0
    while_starting: int = 0
    acknowledged_rows: int = 0
    rows_lost: int = 0
    rows_doubled: int = 0
    rows_wrong: int = 0
    unacknowledged_kept: int = 0
    tail_bytes: list[int] = field(default_factory=list)


def live_and_die(directory: Path, config: Config, books: Books, draw: random.Random, toll: Toll) -> None:
    """One writer, from its start to its death."""
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=False)
    first = max(books.acknowledged, default=-1) + 1
    process = context.Process(target=write_under_load, args=(directory, config, first, KEPT, theirs), daemon=True)
    process.start()
    theirs.close()
    opened = draw.random() < STARTING_SHARE
    dies_s = time.monotonic() + draw.uniform(0, STARTING_S) if opened else time.monotonic() + OPEN_S
    begins = OPENED if toll.acknowledged_rows else ACKNOWLEDGED  # a toll of nothing says nothing
    said: list[tuple[bytes, int]] = []
    while (left_s := dies_s - time.monotonic()) > 0 and ours.poll(left_s):
        said.append(SAID.unpack(ours.recv_bytes()))
        if not opened and said[-1][0] == begins:
            opened, dies_s = True, time.monotonic() + draw.uniform(0, LOAD_S)
    process.kill()
    process.join()
    try:
        while True:
            said.append(SAID.unpack(ours.recv_bytes()))
    except (EOFError, OSError):  # its last word may be cut short, too
        ours.close()
    if not opened:
        raise UserError(f"a writer did not open its store within {OPEN_S:.0f} s")
    toll.kills += 1
    toll.while_starting += not said
    new = {sequence for word, sequence in said if word == ACKNOWLEDGED} - books.acknowledged
    toll.acknowledged_rows += sum(map(rows_of, new))
    books.acknowledged |= new
    books.dropping |= {sequence for word, sequence in said if word == DROPPING}


def inspect(directory: Path, books: Books, toll: Toll) -> None:
    """Compare what is stored with what was acknowledged."""
    if not (directory / "store.json").exists():  # the first writer died before it had made anything
        assert not books.acknowledged
        return
    with open_store(directory) as store:
        toll.tail_bytes.append(store.recovery.dropped_bytes)
        found = [one.key.sequence for one in store]
        for one in store:
            toll.rows_wrong += 0 if store.read(one.position).equals(batch_of(one.key.sequence)) else one.rows
    toll.rows_lost += sum(map(rows_of, books.acknowledged - books.dropping - set(found)))
    toll.rows_doubled += sum(map(rows_of, found)) - sum(map(rows_of, set(found)))
    toll.unacknowledged_kept += len(set(found) - books.acknowledged)


def kill_at_random(work: Path, policy: str, kills: int, seed: int) -> Toll:
    """Kill writers of one policy, `LIVES` of each store."""
    draw, toll = random.Random(f"{seed}-{policy}"), Toll()
    config = Config.model_validate({"segment_mb": 4, "fsync": policy, "fsync_interval_s": 0.02})
    for number in range(kills):
        directory = work / f"{policy}-{number // LIVES}"
        if number % LIVES == 0:
            books = Books()
        live_and_die(directory, config, books, draw, toll)
        inspect(directory, books, toll)
        if number % LIVES == LIVES - 1 or number == kills - 1:
            shutil.rmtree(directory)
    return toll


def recovery_s_per_gb(work: Path, number: int) -> float:
    """Seconds per GB that opening takes after a writer of many large segments was killed; files are in memory."""
    directory = work / f"recovery-{number}"
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=False)
    config = Config(segment_mb=64, fsync="interval")
    process = context.Process(target=write_under_load, args=(directory, config, 0, 10**9, theirs), daemon=True)
    process.start()
    theirs.close()
    written = 0
    while written < RECOVERY_BYTES:
        if not ours.poll(60):
            raise UserError("a writer said nothing for a minute")
        word, sequence = SAID.unpack(ours.recv_bytes())
        written += rows_of(sequence) * 1659 if word == ACKNOWLEDGED else 0
    process.kill()
    process.join()
    ours.close()
    with Store(directory, SCHEMA) as store:
        taken_s, size = store.recovery.seconds, store.bytes_on_disk
    shutil.rmtree(directory)
    return taken_s / size * 1e9


@dataclass(frozen=True)
class Damage:
    """How many changes were made, noticed, and how often data was read that had not been written."""

    what: str
    made: int
    noticed: int
    misread: int


def damaged_stores(work: Path) -> Iterator[tuple[str, Path]]:
    """Small stores: one that is sealed, and two whose process died, with all batches on disk for certain, or none."""
    for kind, policy in (("sealed", "always"), ("hot, always", "always"), ("hot, none", "none")):
        live, copy = work / f"{kind}-live", work / kind
        store = Store(live, SCHEMA, Config.model_validate({"segment_mb": 1, "fsync": policy}))
        for sequence in (0, 7, 14):
            assert rows_of(sequence) <= 1000
            store.append(Key(0, 0, sequence), batch_of(sequence).slice(0, 1), {"n": sequence})
        if kind == "sealed":
            store.close()
        shutil.copytree(live, copy)
        store.close()
        yield kind, copy


def look(directory: Path) -> tuple[bool, bool]:
    """Whether opening a store notices anything, and whether it gives data that was not written."""
    try:
        store = open_store(directory)
    except (StoreCorrupt, StoreForeign):
        return True, False
    with store:
        sound = [0, 7, 14]
        found = list(store)
        misread = [one.key.sequence for one in found] != sound[: len(found)] or any(
            not store.read(one.position).equals(batch_of(one.key.sequence).slice(0, 1)) or one.meta["n"] != n
            for one, n in zip(found, sound, strict=False)
        )
        return bool(store.recovery.notes), misread


def cut_and_flip(work: Path, flips: int, seed: int) -> list[Damage]:
    """Cut each file of small stores at every byte, and flip random bits in them."""
    done = []
    for kind, directory in damaged_stores(work):
        files = sorted(directory.iterdir())
        contents = [path.read_bytes() for path in files]
        lengths = [len(content.rstrip(b"\0")) for content in contents]
        seen: list[tuple[bool, bool]] = []
        for path, content, length in zip(files, contents, lengths, strict=True):
            for end in range(length):
                os.truncate(path, end)
                seen.append(look(directory))
                with open(path, "r+b") as file:
                    file.seek(end)
                    file.write(content[end:length])
                    file.truncate(len(content))
        done.append(Damage(f"{kind}: cut at every byte", len(seen), sum(n for n, _ in seen), sum(m for _, m in seen)))
        draw, seen = random.Random(seed), []
        for _ in range(flips):
            which = draw.choices(range(len(files)), weights=lengths)[0]
            position, bit = draw.randrange(lengths[which]), 1 << draw.randrange(8)
            with open(files[which], "r+b", buffering=0) as file:
                file.seek(position)
                file.write(bytes([contents[which][position] ^ bit]))
                seen.append(look(directory))
                file.seek(position)
                file.write(contents[which][position : position + 1])
        done.append(Damage(f"{kind}: random bit flipped", flips, sum(n for n, _ in seen), sum(m for _, m in seen)))
    return done


def fill_disk(work: Path) -> dict[str, Cell]:
    """Fill a file system of 16 MiB, make room, and go on; gives a row of the table."""
    disk = work / "disk"
    disk.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        reason = mounted.stderr.strip() if mounted.returncode else ""
    except OSError as error:
        reason = str(error)
    if reason:
        return {"what": "full disk", "outcome": f"not measured: {reason}"}
    try:
        ballast, error_text, full_at = disk / "ballast", "", 0
        ballast.write_bytes(bytes(4 * 2**20))
        store = Store(disk / "store", SCHEMA, Config(segment_mb=4, fsync="always"))
        try:
            for full_at in range(10**6):
                store.append(Key(0, 0, full_at), batch_of(full_at))
        except OSError as error:
            error_text = str(error)
        found = [one.key.sequence for one in store]
        lost = sum(map(rows_of, set(range(full_at)) - set(found)))
        ballast.unlink()
        resumed = store.append(Key(0, 0, full_at), batch_of(full_at))[0] is Ack.STORED
        store.close()
        with open_store(disk / "store") as again:
            found = [one.key.sequence for one in again]
            lost += sum(map(rows_of, set(range(full_at + 1)) - set(found)))
        sound = not verify(disk / "store") and len(found) == len(set(found)) == full_at + 1
        return {"what": "full disk", "outcome": error_text, "rows_lost": lost, "resumed": resumed and sound}
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)


def one(value: float, unit: str) -> Figure:
    """A figure that is counted once."""
    return Figure(value=float(value), unit=unit, low=None, high=None, n=1)


def main(arguments: Sequence[str]) -> int:
    """The command; gives the exit code."""
    values: dict[str, Any] = parse(arguments)
    kills, flips = int(values.pop("kills", KILLS)), int(values.pop("flips", FLIPS))
    policies, seed = values.pop("policies", POLICIES), int(values.pop("seed", 0))
    work = Path(values.pop("work", f"runs/{NAME}")).resolve() / time.strftime("%Y%m%d-%H%M%S")
    results = Path(values.pop("results", "docs/results"))
    if values:
        raise UserError(f"got {sorted(values)}; expected kills, flips, policies, seed, work, results")
    multiprocessing.set_forkserver_preload(["envs.storage.store", "pipelines.overrides", "pipelines.results"])
    work.mkdir(parents=True)
    figures: dict[str, Figure] = {}
    table: list[dict[str, Cell]] = []
    tolls = {}
    for policy in policies:
        toll = tolls[policy] = kill_at_random(work, policy, kills, seed)
        figures[f"acknowledged rows lost, {policy}"] = one(toll.rows_lost, "rows")
        figures[f"rows doubled, {policy}"] = one(toll.rows_doubled, "rows")
        figures[f"tail dropped at a kill, {policy}"] = figure(toll.tail_bytes, "bytes")
        table.append(
            {
                "what": f"kill -9, fsync={policy}",
                "kills": toll.kills,
                "while_starting": toll.while_starting,
                "acknowledged_rows": toll.acknowledged_rows,
                "rows_lost": toll.rows_lost,
                "rows_doubled": toll.rows_doubled,
                "rows_wrong": toll.rows_wrong,
                "batches_kept_though_unacknowledged": toll.unacknowledged_kept,
                "kills_with_a_tail": sum(size > 0 for size in toll.tail_bytes),
                "largest_tail_bytes": max(toll.tail_bytes, default=0),
            }
        )
        print(table[-1], flush=True)
    figures["recovery"] = figure([recovery_s_per_gb(work, number) for number in range(RECOVERIES)], "s/GB")
    damages = cut_and_flip(work, flips, seed)
    for damage in damages:
        figures[damage.what] = one(damage.noticed / damage.made, "share noticed")
        table.append(
            {"what": damage.what, "made": damage.made, "noticed": damage.noticed, "read_as_data": damage.misread}
        )
        print(table[-1], flush=True)
    full = fill_disk(work)
    table.append(full)
    print(full, f"recovery {figures['recovery'].value:.3f} s/GB", flush=True)
    shutil.rmtree(work)
    holds = (
        all(toll.rows_lost == toll.rows_doubled == toll.rows_wrong == 0 for toll in tolls.values())
        and all(damage.noticed == damage.made and damage.misread == 0 for damage in damages)
        and bool(full.get("resumed", True))
        and full.get("rows_lost", 0) == 0
    )
    measured = " a full disk is an error that loses nothing and ends when there is room," if "resumed" in full else ""
    words = "".join(f" {argument}" for argument in arguments)
    result = write_result(
        results / f"{NAME}.json",
        NAME,
        f"A store whose writer is killed at {kills} random moments under load for each of fsync={', '.join(policies)} "
        f"loses no acknowledged row and doubles none;{measured} and files cut at every byte or with any of {flips} "
        "random bits flipped are noticed each time and never read as data.",
        holds,
        f"python -m benchmarks.{NAME.replace('-', '_')}{words}",
        figures,
        table,
    )
    print(f"{results / f'{NAME}.json'}: holds {result.holds}")
    return 0 if result.holds else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end, nothing was written")
