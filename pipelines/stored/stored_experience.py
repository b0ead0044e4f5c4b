"""`StoredExperience`: the trajectories that a run has stored, read as columns.

Nothing is copied that is not asked for: batches are views of mapped files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.storage.schema import require_same
from envs.storage.store import open_store
from envs.trajectory import spec_of, unragged
from pipelines import checkpoint
from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Verdict


class StoredExperience:
    """All rows of all shares of a run's replay, share by share, in the order in which they were stored."""

    def __init__(self, directory: RunDirectory) -> None:
        """Open it, to be read.

        Raises:
            UserError: there is none, or it is not experience.
        """
        self.directory = directory
        shares = directory.shards()
        if not shares:
            raise UserError(f"{directory.root} has no stored experience: set record_mb above 0 and run it again")
        try:
            self._stores = [open_store(path) for path in shares]
            for store in self._stores:
                spec_of(store.schema)
                require_same(store.schema, self.schema, str(store.directory))
            self.batches = [store.read(stored.position) for store in self._stores for stored in store]
        except (OSError, ValueError, pa.ArrowException) as error:
            raise UserError(f"{shares[0].parent.parent} cannot be read: {one_line(error)}") from None
        if not self.batches:
            raise UserError(f"{directory.root} has stored no experience yet: let the run go on for a while")

    @property
    def schema(self) -> pa.Schema:
        """Of the rows."""
        return self._stores[0].schema

    @cached_property
    def rows(self) -> int:
        """Trajectories."""
        return sum(batch.num_rows for batch in self.batches)

    @cached_property
    def row_steps(self) -> NDArray[np.int64]:
        """Steps of each row `[R]`."""
        return np.concatenate([b.column("env_reward").value_lengths().to_numpy() for b in self.batches])

    @property
    def steps(self) -> int:
        """Steps of all rows together."""
        return int(self.row_steps.sum())

    def flat(self, name: str) -> NDArray[Any]:
        """A column of scalars of steps, all rows one behind another `[S]`."""
        return np.concatenate([unragged(batch.column(name)) for batch in self.batches])

    @cached_property
    def episode_of_row(self) -> NDArray[np.int64]:
        """Number of each row's episode `[R]`, by first appearance."""
        names = pa.chunked_array([batch.column("episode_id") for batch in self.batches])
        return names.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)  # type: ignore[no-any-return]

    @cached_property
    def captions(self) -> Mapping[int, str]:
        """Text by caption id: what was stored beside the rows, what the newest checkpoint knows, what was judged."""
        texts: dict[int, str] = {}
        for stored in (stored for store in self._stores for stored in store):
            said = stored.meta.get("meta", {})  # `Fragment.to_plain`, see pipelines/replay_shard.py
            texts |= {int(ident): str(text) for ident, text in said.get("captions", ())}
        if checkpoint.numbers(self.directory.checkpoints):
            _, tree, _ = checkpoint.load(self.directory.checkpoints)
            texts |= {int(ident): str(text) for ident, text in tree.get("captions", ())}
        if (self.directory.verdicts / "store.json").exists():
            with VerdictStore(self.directory.verdicts, read_only=True) as verdicts:
                for batch in verdicts.batches():
                    if batch.column("subject_kind")[0].as_py() == "caption":
                        ids, said = (batch.column(name).to_pylist() for name in ("subject", "text"))
                        texts |= {int(ident): text for ident, text in zip(ids, said, strict=True) if text}
        return texts

    def close(self) -> None:
        """Let go of the files."""
        for store in self._stores:
            store.close()


def stored_rows(directory: RunDirectory) -> Iterator[pa.RecordBatch]:
    """Rows of a run, oldest first, share by share; nothing where it stores none.

    Raises:
        OSError, ValueError: a store cannot be read.
    """
    for path in directory.shards():
        with open_store(path) as store:
            yield from [store.read(stored.position) for stored in store]


def stored_verdicts(directory: RunDirectory) -> list[Verdict]:
    """The verdicts of a run, the newest of each question; nothing where it has none.

    Raises:
        OSError, ValueError: the store cannot be read.
    """
    if not (directory.verdicts / "store.json").is_file():
        return []
    with VerdictStore(directory.verdicts, read_only=True) as store:
        return store.verdicts()


def one_line(error: BaseException) -> str:
    """An error's message without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__
