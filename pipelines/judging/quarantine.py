"""Canaries of a run, and its quarantine: judges that failed them. One small file each, so that lifting is removing.

What is here is not believed: not by the run (its reward model begins anew without those verdicts, and nobody is asked),
not by who learns from it offline, and `guerdon switch` refuses a reward version of such a judge.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from envs.storage.files import replace_file
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.overrides import explain
from pipelines.run_directory import RunDirectory
from pipelines.stored.records import branch, canary_line
from rewards.canaries import CanaryWatch
from rewards.canary_file import read_canaries


def canary_watch(experiment: Experiment) -> CanaryWatch | None:
    """The canaries of an experiment; None where it has none.

    Raises:
        UserError: the file cannot be used, or its canaries are not of the kind that the judge is asked.
    """
    if experiment.canaries.file is None or not experiment.judged:
        return None
    asked = "pair" if experiment.reward.source == "ranking" else "caption"
    try:
        canaries = read_canaries(Path(experiment.canaries.file).expanduser())
        if wrong := [canary for canary in canaries if canary.kind != asked]:
            raise ValueError(
                f"{experiment.canaries.file}: got a canary of kind {wrong[0].kind!r}; expected {asked!r}, what a judge "
                f"is asked for reward.source={experiment.reward.source}"
            )
        return CanaryWatch(canaries, experiment.canaries)
    except ValueError as error:
        raise UserError(str(error)) from None


class Evidence(Protocol):
    """Why a judge is not believed; as text, for people."""

    @property
    def judge(self) -> str:
        """Its fingerprint."""
        ...


class Entry(BaseModel):
    """A judge in quarantine.

    Attributes:
        judge: its fingerprint.
        reward_version: under which it was asked.
        why: the evidence, for people.
        time: since when, seconds since 1970.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    judge: str
    reward_version: str
    why: str
    time: float


def quarantined(directory: RunDirectory) -> dict[str, Entry]:
    """Every judge in quarantine, by fingerprint.

    Raises:
        UserError: a file is not what `put_in_quarantine` writes.
    """
    found = {}
    for path in sorted(directory.quarantine.glob("*.json")):
        try:
            entry = Entry.model_validate_json(path.read_bytes())
        except FileNotFoundError:  # lifted just now
            continue
        except ValidationError as error:
            raise UserError(f"{path}: {explain(error)}; look at it, and remove it to lift the quarantine") from None
        found[entry.judge] = entry
    return found


def put_in_quarantine(directory: RunDirectory, quarantine: Evidence, reward_version: str) -> None:
    """Remember that a judge is not believed."""
    entry = Entry(judge=quarantine.judge, reward_version=reward_version, why=str(quarantine), time=time.time())
    directory.quarantine.mkdir(exist_ok=True)
    replace_file(_path(directory, entry.judge), [entry.model_dump_json(indent=1).encode() + b"\n"])


def lift_quarantine(directory: RunDirectory, name: str) -> Entry:
    """Believe a judge again; a run that goes on takes notice with its next report.

    Args:
        directory: of the run.
        name: the judge's fingerprint, or its first letters.

    Raises:
        UserError: none or several in quarantine begin like this.
    """
    known = quarantined(directory)
    fitting = [judge for judge in known if judge == name] or [judge for judge in known if judge.startswith(name)]
    if len(fitting) != 1 or not name:
        raise UserError(f"got judge {name!r}; expected one of {', '.join(known) or 'none: nobody is in quarantine'}")
    _path(directory, fitting[0]).unlink(missing_ok=True)
    return known[fitting[0]]


def canary_lines(directory: RunDirectory) -> list[str]:
    """How the judges of a run did on their canaries, and who is in quarantine."""
    try:
        books = json.loads(directory.ledger.read_text())
    except (OSError, ValueError):
        books = {}
    lines = [canary_line(judge, told) for judge, told in branch(books, "canaries").items()]
    lines += [f"{entry.why} (reward version {entry.reward_version})" for entry in quarantined(directory).values()]
    return lines or ["no canary was judged: name a file of them with canaries.file="]


def _path(directory: RunDirectory, judge: str) -> Path:
    return directory.quarantine / f"{hashlib.sha256(judge.encode()).hexdigest()[:16]}.json"
