"""`StoredRun`: what a run left to learn from: its experience, its captions, and the verdicts of each reward version.

Nothing here is written to. Rows are views of mapped files: a run may be larger than memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.specs import EnvSpec
from envs.trajectory import spec_of
from pipelines.errors import UserError
from pipelines.experiment import COMPONENT, Experiment
from pipelines.judging.quarantine import quarantined
from pipelines.run_directory import RunDirectory, stored_experiment
from pipelines.stored.stored_experience import StoredExperience, one_line
from rewards.subjects import subjects_of
from rewards.verdict_store import VerdictStore
from rewards.verdicts import SCHEMA, Verdict, from_arrow

OF_EXPERIENCE = ("step", "row", "episode")
"""Subjects that are part of the experience itself; a verdict on them is joined to it, and no reward model is needed."""

_IDENTITY = ("row_id", "action", "behaviour_logprob")


class StoredRun:
    """A run that is over, or one that goes on, as it is at this moment."""

    def __init__(self, directory: RunDirectory) -> None:
        """Open it.

        Raises:
            UserError: its config or its experience cannot be read, or there is no experience.
        """
        self.directory = directory
        self.experiment: Experiment = stored_experiment(directory)
        if self.experiment.offline is not None:
            raise UserError(
                f"{directory.root} learnt offline and has no experience of its own: give its source, "
                f"from={self.experiment.offline.source}"
            )
        self._experience = StoredExperience(directory)
        self.batches: Sequence[pa.RecordBatch] = self._experience.batches
        self.spec: EnvSpec = spec_of(self._experience.schema)[0]

    @cached_property
    def identity(self) -> str:
        """Hash of what was done in the stored experience, step by step, in whatever files it lies."""
        digest = hashlib.sha256(self.batches[0].schema.metadata[b"env_spec"])
        for batch in self.batches:
            for name in _IDENTITY:
                digest.update(_bytes(batch.column(name)))
        return digest.hexdigest()[:16]

    @property
    def episode_of_row(self) -> NDArray[np.int64]:
        """Number of each row's episode, by first appearance, `[R]`."""
        return self._experience.episode_of_row

    @property
    def row_steps(self) -> NDArray[np.int64]:
        """Steps of each row, `[R]`."""
        return self._experience.row_steps

    @cached_property
    def first_step(self) -> NDArray[np.int64]:
        """Position of each row's first step in its episode, `[R]`."""
        return np.concatenate([batch.column("first_step").to_numpy() for batch in self.batches])

    @property
    def captions(self) -> Mapping[int, str]:
        """Text by caption id, as far as it is known."""
        return self._experience.captions

    # Verdicts -------------------------------------------------------------------------------------------------------

    @cached_property
    def versions(self) -> Mapping[str, str]:
        """The kind of subject that each reward version judges, the oldest version first."""
        judged = self._judged.versions() if self._judged is not None else ()
        return {version.reward_version: version.kind for version in judged if version.component == COMPONENT}

    def verdicts(self, version: str) -> list[Verdict]:
        """All verdicts of a reward version, of each subject the newest one; none of a judge in quarantine."""
        assert self._judged is not None
        batches = self._judged.batches(COMPONENT, version)
        found = from_arrow(pa.RecordBatch.from_arrays(batch.columns[: len(SCHEMA)], schema=SCHEMA) for batch in batches)
        barred = quarantined(self.directory)
        return list({v.subject: v for v in found if v.judge_fingerprint not in barred}.values())

    def joined(self, version: str) -> NDArray[np.float32]:
        """What a reward version on steps, rows or episodes is worth to each step, `[S]`; NaN where NULL.

        A verdict on a row or an episode belongs to its last step. The other steps are worth 0, because nobody was to
        be asked about them; a step that was to be judged and was not is NULL.
        """
        assert self._judged is not None
        kind = self.versions[version]
        parts = []
        for batch in self.batches:
            if kind == "step":
                ids = subjects_of("step", [batch], {}, ()).ids
                parts.append(self._judged.join(ids, COMPONENT, version).values.astype(np.float32))
                continue
            last = np.cumsum(batch.column("env_reward").value_lengths().to_numpy()) - 1
            values = np.zeros(int(last[-1]) + 1, np.float32)
            found = self._judged.join(batch.column(f"{kind}_id"), COMPONENT, version).values
            asked = np.ones(len(last), np.bool_)
            if kind == "episode":
                asked = batch.column("ended").to_numpy(zero_copy_only=False)
            values[last[asked]] = found[asked]
            parts.append(values)
        return np.concatenate(parts)

    @cached_property
    def _judged(self) -> VerdictStore | None:
        if not (self.directory.verdicts / "store.json").is_file():
            return None
        try:
            return VerdictStore(self.directory.verdicts, read_only=True)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise UserError(f"{self.directory.verdicts} cannot be read: {one_line(error)}") from None


def _bytes(column: pa.Array) -> bytes:
    """The content of a column, whatever lies around it in its buffers."""
    if pa.types.is_string(column.type):
        return "\n".join(column.to_pylist()).encode()
    while isinstance(column, (pa.LargeListArray, pa.FixedSizeListArray)):
        column = column.flatten()
    content: bytes = np.ascontiguousarray(column.to_numpy()).tobytes()
    return content
