"""`guerdon switch`: tell a running learner to go on with another reward version.

The request is a small file in the run's directory, replaced in one piece; the run looks at it in its own time
(`requested_switch`), so nobody waits for anybody. A version that says too little of what is stored is refused here,
before the learner sees it.
"""

from __future__ import annotations

import json
import time
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from envs.storage.files import replace_file
from pipelines.errors import UserError
from pipelines.experiment import COMPONENT
from pipelines.judging.quarantine import quarantined
from pipelines.overrides import explain
from pipelines.run_directory import RunDirectory
from pipelines.stored.comparison import PER_STEP, stored_questions
from pipelines.stored.records import percent_text
from pipelines.stored.stored_experience import StoredExperience, one_line
from rewards.models.model import NO_CAPTION
from rewards.subjects import subjects_of
from rewards.verdict_store import VerdictStore, Version, caption_subjects

FILE = "switch.json"
LEAST = 0.9  # share of what is stored that a version must have a value for


class Switch(BaseModel):
    """What a run is asked to go on with.

    Attributes:
        reward_version: whose verdicts count from now on.
        kind: of its subjects.
        share_judged: of what was stored when it was asked for, the share with a value.
        reward: what judged: "judge", "model" or a dotted path; empty where that is not known.
        judge: config of the judge, where it was one.
        time: of the request, seconds since 1970.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    component: str = COMPONENT
    reward_version: str = Field(min_length=1)
    kind: str = Field(min_length=1)
    share_judged: float = Field(ge=0, le=1)
    reward: str = ""
    judge: dict[str, Any] | None = None
    time: float


def request_switch(directory: RunDirectory, reward: str, least: float = LEAST) -> Switch:
    """Ask a run to go on with a reward version.

    Args:
        directory: of the run.
        reward: the version; the first letters do where they are enough.
        least: share of the stored experience that must have a value.

    Raises:
        UserError: there is no such version, or it says too little.
    """
    if not 0 <= least <= 1:
        raise UserError(f"least: got {least}; expected a share from 0 to 1")
    experience = StoredExperience(directory)
    try:
        with VerdictStore(directory.verdicts, read_only=True) as store:
            version = find_version(store, reward)
            for entry in quarantined(directory).values():
                if entry.reward_version == version.reward_version:
                    raise UserError(f"reward version {version.reward_version}: {entry.why} (`guerdon canaries`)")
            share = share_judged(experience, store, version)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UserError(f"{directory.verdicts} cannot be read: {one_line(error)}") from None
    finally:
        experience.close()
    if share < least:
        raise UserError(
            f"reward version {version.reward_version} has a value for {percent_text(share)} of what is stored; "
            f"expected {percent_text(least)}: go on with `guerdon reannotate`, or lower least="
        )
    asked = _asked(directory, version.reward_version)
    switch = Switch(
        reward_version=version.reward_version,
        kind=version.kind,
        share_judged=share,
        reward=str(asked.get("settings", {}).get("reward", "")),
        judge=asked.get("judge"),
        time=time.time(),
    )
    replace_file(directory.root / FILE, [switch.model_dump_json(indent=1).encode() + b"\n"])
    return switch


def requested_switch(directory: RunDirectory) -> Switch | None:
    """What the run was last asked to go on with; None where nobody asked.

    Raises:
        UserError: the file is not what `request_switch` writes.
    """
    path = directory.root / FILE
    try:
        return Switch.model_validate_json(path.read_bytes(), strict=True)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise UserError(f"{path}: {explain(error)}; ask again with `guerdon switch`") from None


def find_version(store: VerdictStore, name: str) -> Version:
    """The version that is meant.

    Raises:
        UserError: none or several begin like this.
    """
    known = [version for version in store.versions() if version.component == COMPONENT]
    fitting = [v for v in known if v.reward_version == name] or [v for v in known if v.reward_version.startswith(name)]
    if len(fitting) != 1 or not name:
        listed = ", ".join(f"{v.reward_version} ({v.ok:,} {v.kind}s)" for v in known) or "none: nothing is judged"
        raise UserError(f"got reward version {name!r}; expected one of {listed}")
    return fitting[0]


def share_judged(experience: StoredExperience, store: VerdictStore, version: Version) -> float:
    """Share of the captioned steps, or of the subjects of the version's kind, that have a value."""
    weights = np.ones(0)
    if version.kind == "caption":
        ids, counts = np.unique(experience.flat("caption_id"), return_counts=True)
        weights, subjects = counts[ids != NO_CAPTION], caption_subjects(ids[ids != NO_CAPTION])
    elif version.kind in (*PER_STEP, "row", "episode"):
        subjects = subjects_of(version.kind, experience.batches, {}, ()).ids
    else:
        subjects, _ = stored_questions(store, COMPONENT, version.kind)
    weights = weights if len(weights) else np.ones(len(subjects))
    valid = store.join(subjects, version.component, version.reward_version).valid
    return float(weights[valid].sum() / weights.sum()) if len(weights) else 0.0


def _asked(directory: RunDirectory, version: str) -> dict[str, Any]:
    """What `guerdon reannotate` noted of a version; empty where it was judged in a live run."""
    try:
        record = json.loads((directory.root / "reannotations" / f"{version}.json").read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
