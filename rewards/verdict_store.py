"""`VerdictStore`: verdicts on disk, beside the experience they are about, joined to it by subject and reward version.

A verdict's key is (subject, component, reward version), and its generation counts how often that key was judged: 1 the
first time. `put` is a compare-and-set: it says which generation it expects to replace (0: nobody has judged yet), and
whoever comes second is told so and stores nothing. Older generations and other versions stay; nothing is overwritten.

One process owns a store (a lock held by the system, and epochs of writers, see `envs.storage`). Others leave their
verdicts in its inbox: `put_shared` writes a file there and waits for the owner, who takes in what has come whenever it
calls `collect`, and answers. Where nobody owns the store, the one that waits does. A proposal is taken in once, also
when the owner dies between storing and answering: its name is stored with the rows.

    live run (owner) ──put──→ store ←──collect── inbox ←──put_shared── guerdon reannotate, a second judge, …

Verdicts are loaded and joined as Arrow and NumPy columns, without a Python object for each.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from envs.storage.errors import StoreBusy, StoreForeign
from envs.storage.files import read_json, write_json
from envs.storage.store import Config, Position, Store, open_store
from envs.storage.writers import Key
from rewards.columns import Column
from rewards.verdict_checks import Known, VerdictRefused, check_verdicts
from rewards.verdict_names import Names, hashes
from rewards.verdict_proposals import (
    PROPOSAL,
    STORED_AS,
    forget_old_replies,
    inbox_of,
    propose,
    read_proposal,
    reply_of,
)
from rewards.verdict_rows import STATUSES, Rows, pick
from rewards.verdicts import SCHEMA, Status, Verdict, from_arrow

STORED = pa.schema([*SCHEMA, pa.field("generation", pa.int32(), nullable=False)], metadata=STORED_AS)
PENDING = STATUSES.index(Status.PENDING)
CHUNKS_KEPT = 64  # more than these are made one, so that many small puts cost little each


@dataclass(frozen=True)
class Outcome:
    """What became of a put.

    Attributes:
        stored: verdicts that are in the store now.
        lost: subjects that somebody else had judged in between; theirs stand.
    """

    stored: int
    lost: tuple[str, ...] = ()


class Joined(NamedTuple):
    """Verdicts of N subjects, in their order.

    Attributes:
        values: float64 `[N]`, NaN where NULL.
        statuses: int8 `[N]`, positions in `STATUSES`; `pending` where there is no verdict.
        generations: int32 `[N]`, 0 where there is no verdict; expect these in the next `put`.
    """

    values: NDArray[np.float64]
    statuses: NDArray[np.int8]
    generations: NDArray[np.int32]

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where there is a value, `[N]`."""
        return ~np.isnan(self.values)

    @property
    def column(self) -> Column:
        """The values as a component of a reward view."""
        return Column(self.values.astype(np.float32), self.valid)


@dataclass(frozen=True)
class Version:
    """What a store holds of one component and reward version.

    Attributes:
        kind: of its subjects.
        statuses: subjects by the status of their newest verdict.
    """

    component: str
    reward_version: str
    kind: str
    statuses: dict[str, int]

    @property
    def subjects(self) -> int:
        """Subjects with a verdict, NULL ones included."""
        return sum(self.statuses.values())

    @property
    def ok(self) -> int:
        """Subjects with a value."""
        return self.statuses.get(Status.OK.value, 0)


class VerdictStore:
    """Verdicts of a directory. Not thread-safe. `with VerdictStore(…) as store:` closes it."""

    def __init__(
        self,
        directory: Path,
        known: Known | None = None,
        config: Config | None = None,
        read_only: bool = False,
    ) -> None:
        """Own a store, made where there is none; or read one.

        Args:
            directory: of the store.
            known: for a subject kind and subjects `[N]`, which of them exist `[N]`; None: the host vouches.
            config: how it is written; verdicts are dear, so the default waits for the disk.
            read_only: take no lock, and see what was stored up to now (`refresh` sees more).

        Raises:
            StoreBusy: another process owns it.
            ValueError: it is corrupt, or not a store of verdicts.
        """
        self.directory, self._known = directory, known
        self._rows: dict[tuple[str, str], list[Rows]] = {}
        self._kinds: dict[tuple[str, str], str] = {}
        self._names: dict[tuple[str, str], Names] = {}
        self._newest: dict[tuple[str, str | None], Rows] = {}
        self._taken_in: dict[str, Outcome] = {}
        self._seen: set[Position] = set()
        self._counted = 0
        self._store = open_store(directory) if read_only else Store(directory, STORED, config or Config(fsync="always"))
        try:
            if not self._store.schema.equals(STORED):
                raise StoreForeign(f"{directory}: got a store of\n{self._store.schema}\nexpected verdicts\n{STORED}")
            self._epoch = self._load()
            if not read_only:
                forget_old_replies(directory)
        except BaseException:
            self._store.close()
            raise
        self._sequence, self.read_only = 0, read_only

    def __enter__(self) -> VerdictStore:
        """The store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def copy_to(self, directory: Path) -> None:
        """Copy what is stored, as it is now, into a directory on the same disk; proposals in the inbox are not.

        Raises:
            OSError: the disk is full, or failed.
        """
        self._store.copy_to(directory)

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def refresh(self) -> None:
        """See what the owner has stored meanwhile; for stores that are open to be read."""
        if self.read_only:
            self._store.close()
            self._store = open_store(self.directory)
            self._load()

    # Putting --------------------------------------------------------------------------------------------------------

    def put(self, verdicts: pa.RecordBatch, expected: int | Sequence[int] | NDArray[Any] = 0) -> Outcome:
        """Store verdicts whose key is at the generation that is expected.

        Args:
            verdicts: N rows of `rewards.verdicts.SCHEMA`, of one kind, component and reward version.
            expected: one generation, or N of them; 0 where nobody has judged yet.

        Returns:
            How many are stored, and the subjects that somebody else was quicker with.

        Raises:
            VerdictRefused: a verdict is malformed, or its subject is not known; nothing is stored.
            OSError: the disk is full; nothing is stored.
        """
        return self._put(verdicts, expected, "")

    def _put(self, verdicts: pa.RecordBatch, expected: int | Sequence[int] | NDArray[Any], proposal: str) -> Outcome:
        if self.read_only:
            raise VerdictRefused(f"{self.directory} is open to be read; open it as its owner, or use put_shared")
        check_verdicts(verdicts, self._known)
        if verdicts.num_rows == 0:
            return Outcome(0)
        expectation = np.broadcast_to(np.asarray(expected, np.int32), (verdicts.num_rows,))
        key = verdicts.column("component")[0].as_py(), verdicts.column("reward_version")[0].as_py()
        kind = verdicts.column("subject_kind")[0].as_py()
        if self._kinds.get(key, kind) != kind:
            raise VerdictRefused(f"{key[0]}, version {key[1]}: got verdicts on a {kind}; expected {self._kinds[key]}")
        subjects = verdicts.column("subject")
        found = self._generations(key, subjects)
        wins = found == expectation
        outcome = Outcome(int(wins.sum()), tuple(subjects.filter(pa.array(~wins)).to_pylist()))
        if not outcome.stored:
            return outcome
        if outcome.lost:
            verdicts, found = verdicts.filter(pa.array(wins)), found[wins]
        batch = pa.RecordBatch.from_arrays([*verdicts.columns, pa.array(found + 1, pa.int32())], schema=STORED)
        meta = {"component": key[0], "reward_version": key[1], "kind": kind}
        if proposal:
            meta |= {"proposal": proposal, "lost": list(outcome.lost)}
        self._store.append(Key(0, self._epoch, self._sequence), batch, meta)
        self._sequence += 1
        self._take_in(batch, meta)
        return outcome

    def collect(self) -> int:
        """Take in what other processes have left in the inbox, oldest first, and answer each.

        Returns:
            How many proposals were taken in, refused ones included.
        """
        names = sorted(p.name for p in inbox_of(self.directory).glob("*") if PROPOSAL.fullmatch(p.name))
        for name in names:
            path = inbox_of(self.directory) / name
            try:
                outcome = self._taken_in.get(name) or self._put(*read_proposal(path), proposal=name)
                reply: dict[str, Any] = {"stored": outcome.stored, "lost": list(outcome.lost)}
            except FileNotFoundError:
                continue
            except (ValueError, pa.ArrowException) as error:  # the proposer's fault, and it is told so
                reply = {"error": str(error)}
            write_json(reply_of(path), reply)
            path.unlink(missing_ok=True)
        return len(names)

    # Reading --------------------------------------------------------------------------------------------------------

    def versions(self) -> list[Version]:
        """What there is, in the order in which it began."""
        found = []
        for (component, version), kind in self._kinds.items():
            counts = np.bincount(self._latest(component, version).statuses, minlength=len(STATUSES))
            statuses = {status.value: int(n) for status, n in zip(STATUSES, counts, strict=True) if n}
            found.append(Version(component, version, kind, statuses))
        return found

    def join(self, subjects: pa.Array, component: str, version: str | None = None) -> Joined:
        """The verdicts of subjects.

        Args:
            subjects: `[N]` strings, repeats allowed.
            component: of the reward.
            version: reward version: its newest generation, NULL where that failed. None: the newest ok verdict of
                any version.
        """
        rows = self._latest(component, version)
        where = pc.index_in(subjects, value_set=rows.subjects).fill_null(-1).to_numpy(zero_copy_only=False)
        known = where >= 0
        return Joined(
            np.where(known, pick(rows.values, where), np.nan),
            np.where(known, pick(rows.statuses, where), np.int8(PENDING)),
            np.where(known, pick(rows.generations, where), np.int32(0)),
        )

    def pending(self, subjects: pa.Array, component: str, version: str) -> pa.Array:
        """Those of distinct subjects that have no verdict of this version, in their order."""
        judged = self._latest(component, version).subjects
        return subjects.filter(pc.invert(pc.is_in(subjects, value_set=judged)))

    def batches(self, component: str | None = None, version: str | None = None) -> Iterator[pa.RecordBatch]:
        """Whole verdicts, oldest first, of one component and version or of all; every generation is among them."""
        for stored in self._store:
            same = component in (None, stored.meta["component"]) and version in (None, stored.meta["reward_version"])
            if same:
                yield self._store.read(stored.position)

    def verdicts(self, component: str | None = None, version: str | None = None) -> list[Verdict]:
        """What `batches` gives, as records: the newest verdict of each subject, kind, component and version."""
        found: dict[tuple[str, ...], Verdict] = {}
        for batch in self.batches(component, version):
            rows = pa.RecordBatch.from_arrays([batch.column(name) for name in SCHEMA.names], schema=SCHEMA)
            for verdict in from_arrow([rows]):
                found[verdict.subject, verdict.subject_kind, verdict.component, verdict.reward_version] = verdict
        return list(found.values())

    # Columns --------------------------------------------------------------------------------------------------------

    def _load(self) -> int:
        """Take in the batches that were not seen yet; gives the epoch that follows the highest."""
        epoch = 0
        for stored in self._store:
            epoch = max(epoch, stored.key.epoch + 1)
            if stored.position not in self._seen:
                self._take_in(self._store.read(stored.position), stored.meta)
                self._seen.add(stored.position)
        return epoch

    def _take_in(self, batch: pa.RecordBatch, meta: Any) -> None:
        key = str(meta["component"]), str(meta["reward_version"])
        self._kinds.setdefault(key, str(meta["kind"]))
        if name := meta.get("proposal"):
            self._taken_in[name] = Outcome(batch.num_rows, tuple(meta["lost"]))
        chunks = self._rows.setdefault(key, [])
        chunks.append(Rows.of(batch, self._counted))
        if key in self._names:
            self._names[key].add(hashes(batch.column("subject")))
        self._counted += batch.num_rows
        if len(chunks) > CHUNKS_KEPT:
            chunks[:] = [Rows.joined(chunks)]
        self._newest.pop(key, None)
        self._newest.pop((key[0], None), None)

    def _generations(self, key: tuple[str, str], subjects: pa.Array) -> NDArray[np.int32]:
        """The newest generation of each subject `[N]`. The few are looked up in the many, not the many in the few."""
        newest = np.zeros(len(subjects), np.int32)
        if key not in self._names:  # whoever puts nothing needs none
            self._names[key] = Names()
            for rows in self._rows.get(key, ()):
                self._names[key].add(hashes(rows.subjects))
        if not self._names[key].may_have(hashes(subjects)):
            return newest
        for rows in self._rows.get(key, ()):
            where = pc.index_in(rows.subjects, value_set=subjects)
            hits = where.is_valid().to_numpy(zero_copy_only=False)
            newest[where.drop_null().to_numpy()] = rows.generations[hits]  # later ones are later in the rows, too
        return newest

    def _latest(self, component: str, version: str | None) -> Rows:
        """One row a subject: the newest of a version, or the newest ok one of all versions."""
        cached = self._newest.get((component, version))
        if cached is None:
            mine = [
                chunk
                for (name, reward_version), chunks in self._rows.items()
                if name == component and version in (None, reward_version)
                for chunk in chunks
            ]
            rows = Rows.joined(mine)
            if version is None:
                rows = rows.take(np.flatnonzero(~np.isnan(rows.values)))
                rows = rows.take(np.argsort(rows.order, kind="stable")).newest()
            elif (rows.generations > 1).any():
                rows = rows.newest()
            cached = self._newest[component, version] = rows
        return cached


# The inbox -----------------------------------------------------------------------------------------------------------


def put_shared(
    directory: Path,
    verdicts: pa.RecordBatch,
    expected: int | Sequence[int] | NDArray[Any] = 0,
    timeout_s: float = 60.0,
    known: Known | None = None,
) -> Outcome:
    """Put verdicts into a store that another process may own; see `VerdictStore.put`.

    Args:
        directory: of the store.
        verdicts: as of `VerdictStore.put`.
        expected: as of `VerdictStore.put`.
        timeout_s: how long the owner may take to answer.
        known: as of `VerdictStore`, where this process turns out to be the one that takes the verdicts in.

    Raises:
        VerdictRefused: the owner refused them; nothing is stored.
        TimeoutError: the owner has not answered. The proposal stays, and is taken in once, whenever an owner collects.
    """
    check_verdicts(verdicts, known)
    return settle(directory, propose(directory, verdicts, expected), timeout_s, known)


def settle(directory: Path, proposal: Path, timeout_s: float = 60.0, known: Known | None = None) -> Outcome:
    """Wait until a proposal is taken in, by the owner of the store or, where there is none, by this process.

    Args:
        directory: of the store.
        proposal: that `propose` gave.
        timeout_s: as of `put_shared`.
        known: as of `put_shared`.

    Raises:
        VerdictRefused, TimeoutError: as of `put_shared`.
    """
    reply, deadline, owner_tried = reply_of(proposal), time.monotonic() + timeout_s, -1.0
    while not reply.exists():
        now = time.monotonic()
        if now > deadline:
            raise TimeoutError(
                f"the owner of {directory} has not taken in what was proposed for {timeout_s:g} s; it stays in "
                f"{proposal}: see whether the process that owns the store still runs"
            )
        if now > owner_tried + 0.5:
            owner_tried = now
            try:
                with VerdictStore(directory, known) as store:
                    store.collect()
                continue
            except StoreBusy:
                pass  # its owner will
        time.sleep(0.02)
    said = read_json(reply)
    reply.unlink(missing_ok=True)
    if "error" in said:
        raise VerdictRefused(said["error"])
    return Outcome(int(said["stored"]), tuple(said["lost"]))


def caption_subjects(caption_ids: NDArray[np.int64]) -> pa.Array:
    """The subjects of captions `[N]`: their ids in decimal."""
    return pc.cast(pa.array(caption_ids), pa.string())
