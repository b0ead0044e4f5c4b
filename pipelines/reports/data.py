"""`RunData` and `Report`: what the page tells, read once and as late as it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pipelines.reports.sampling import Sample, sample_rewards
from pipelines.reports.seeds import Group, group_runs
from pipelines.run_directory import RunDirectory
from pipelines.stored.evidence import Evidence, gather
from pipelines.stored.records import Records, read_records
from pipelines.stored.stored_experience import one_line


@dataclass
class RunData:
    """One run.

    Attributes:
        records: its small files.
        notes: what the page leaves out, for people.
    """

    records: Records
    notes: list[str] = field(default_factory=list)

    @property
    def directory(self) -> RunDirectory:
        """Where it is."""
        return self.records.directory

    @cached_property
    def evidence(self) -> Evidence:
        """Captions, verdicts and the reward view of the newest checkpoint."""
        return gather(self.directory)

    @cached_property
    def sample(self) -> Sample | None:
        """Rewards of stored steps; None where there are none to be had."""
        if self.records.language or self.evidence.stage is None:
            return None
        try:
            return sample_rewards(self.directory, self.evidence.stage)
        except (OSError, ValueError) as error:
            self.notes.append(f"stored experience cannot be read: {one_line(error)}")
            return None

    @property
    def missing(self) -> list[str]:
        """What could not be read, of all that was asked for up to now."""
        known = self.__dict__.get("evidence")
        return list(dict.fromkeys([*self.records.missing, *(known.missing if known else ()), *self.notes]))


@dataclass(frozen=True)
class Report:
    """The runs side by side, and which of them are seeds of one recipe."""

    runs: tuple[RunData, ...]
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, directories: Sequence[RunDirectory]) -> Report:
        """Read the small files of each."""
        runs = tuple(RunData(read_records(directory)) for directory in directories)
        return cls(runs, tuple(group_runs([run.records for run in runs])))
