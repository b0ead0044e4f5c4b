"""`RecordedJudge`: the verdicts of another run, replayed: for exact repeats, tests, and new reward models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from rewards.judges.judge import Answer, Question
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Status, Verdict, from_arrow


class RecordedJudge:
    """A `Judge` that knows what was recorded, and nothing else."""

    def __init__(self, path: Path | str) -> None:
        """Read stored verdicts.

        Args:
            path: a run's directory, a directory of stored verdicts, an Arrow IPC file or stream of verdicts, or a
                directory of such files. A stream that a crash cut short counts up to its last whole batch.

        Raises:
            FileNotFoundError: there is no such path, or no verdict in it.
            ValueError: a file is not of verdicts.
        """
        self.path = Path(path).expanduser()
        self._verdicts: dict[str, Verdict] = {}
        digest = hashlib.sha256()
        for verdict in self._read():
            if verdict.status is Status.OK:  # a failure may have been mended by a later attempt
                self._verdicts[verdict.subject] = verdict
        for subject, verdict in sorted(self._verdicts.items()):
            digest.update(f"{subject}={verdict.value!r}\n".encode())
            if verdict.scores:
                digest.update(f"{verdict.scores!r}\n".encode())
        self._fingerprint = "recorded-" + digest.hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """Hash of all recorded values."""
        return self._fingerprint

    @property
    def kinds(self) -> frozenset[str]:
        """Of the subjects that have a value."""
        return frozenset(verdict.subject_kind for verdict in self._verdicts.values())

    def __len__(self) -> int:
        """Number of subjects that have a value."""
        return len(self._verdicts)

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order; what was not recorded is NULL."""
        return [self._answer(question) for question in questions]

    async def check(self) -> None:
        """Nothing to reach: the verdicts were read when the judge was made."""

    def _answer(self, question: Question) -> Answer:
        verdict = self._verdicts.get(question.subject)
        if verdict is None:
            # It abstains, and is not ill: to ask again, or to wait until it is well, would bring nothing.
            return Answer(Status.UNPARSEABLE, cause=f"not recorded in {self.path}")
        details = json.loads(verdict.details) if verdict.details else {}
        return Answer(Status.OK, verdict.value, scores=verdict.scores, details=details)

    def _read(self) -> Iterator[Verdict]:
        root = self.path / "verdicts" if (self.path / "verdicts").is_dir() else self.path
        if (root / "store.json").is_file():
            with VerdictStore(root, read_only=True) as store:
                yield from store.verdicts()
            return
        files = sorted(root.glob("*.arrow*")) if root.is_dir() else [root]
        files = [file for file in files if file.is_file() and file.stat().st_size]
        if not files:
            raise FileNotFoundError(
                f"got the path {str(self.path)!r}, where there are no recorded verdicts; expected an Arrow file, or a "
                "directory with some: give the verdicts of a finished run"
            )
        for file in files:
            try:
                yield from from_arrow(_batches(file))
            except ValueError as error:  # pa.ArrowInvalid is one
                reason = str(error).splitlines()[0]
                raise ValueError(f"{file} holds no verdicts that can be read ({reason}); name another file") from error


def _batches(file: Path) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow IPC file or stream."""
    with pa.OSFile(str(file)) as source:
        if source.read(6) == b"ARROW1":
            reader = pa.ipc.open_file(source)
            yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
            return
        source.seek(0)
        stream = pa.ipc.open_stream(source)
        while True:
            try:
                yield stream.read_next_batch()
            except (StopIteration, OSError, pa.ArrowInvalid):  # the end, or where a crash cut it
                return
