"""`Rows`: what is joined of stored verdicts, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rewards.verdicts import Status, status_texts

STATUSES = tuple(Status)


class Rows(NamedTuple):
    """What is joined, of verdicts of one component: columns `[N]`, in order of storing where it is one version."""

    subjects: pa.Array
    values: NDArray[np.float64]
    statuses: NDArray[np.int8]
    generations: NDArray[np.int32]
    order: NDArray[np.int64]

    @classmethod
    def of(cls, batch: pa.RecordBatch, counted: int) -> Rows:
        """The columns of a stored batch; `counted` rows were stored before."""
        return cls(
            batch.column("subject"),
            batch.column("value").to_numpy(zero_copy_only=False),
            pc.index_in(batch.column("status"), value_set=status_texts()).to_numpy().astype(np.int8),
            batch.column("generation").to_numpy(),
            np.arange(counted, counted + batch.num_rows),
        )

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """One behind another."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls(pa.array([], pa.string()), *(np.zeros(0, kind) for kind in ("f8", "i1", "i4", "i8")))
        subjects, *columns = zip(*parts, strict=True)
        return cls(pa.concat_arrays(subjects), *(np.concatenate(column) for column in columns))

    def take(self, where: NDArray[Any]) -> Rows:
        """Some of the rows."""
        return Rows(self.subjects.take(pa.array(where)), *(column[where] for column in self[1:]))

    def newest(self) -> Rows:
        """The last row of each subject."""
        encoded = self.subjects.dictionary_encode()
        if len(encoded.dictionary) == len(self.subjects):
            return self
        last = np.empty(len(encoded.dictionary), np.int64)
        last[encoded.indices.to_numpy()] = np.arange(len(self.subjects))  # of repeated indices the last one stays
        return self.take(last)


def pick(column: NDArray[Any], where: NDArray[Any]) -> NDArray[Any]:
    """Entries of a column, any entry where the index is -1; zeros of an empty one."""
    return column[where] if len(column) else np.zeros(len(where), column.dtype)
