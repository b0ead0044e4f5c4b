"""`Evidence`: what a run left behind about its rewards: captions, their frequencies, verdicts, and the reward view.

Read from the newest whole checkpoint and from the verdict log. Nothing here raises for a run that was cut short: what
could not be had is named in `missing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines import checkpoint
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.reward_stage import RewardStage
from pipelines.run_directory import RunDirectory, stored_experiment
from pipelines.stored.stored_experience import stored_verdicts
from rewards.questions import judged_ids
from rewards.verdicts import Status, Verdict


@dataclass(frozen=True)
class Evidence:
    """What is known of a run's captions and rewards.

    Attributes:
        experiment: the run's, or None where its config cannot be read.
        frames: frames learnt from at the checkpoint, or None without one.
        captions: text by caption id.
        frequency: steps by caption id, up to the checkpoint.
        verdicts: by caption id; several where captions were judged in pairs.
        stage: the reward view as it was at the checkpoint, or None.
        missing: for people: what could not be read, and why.
    """

    experiment: Experiment | None
    frames: int | None
    captions: Mapping[int, str]
    frequency: Mapping[int, int]
    verdicts: Mapping[int, Sequence[Verdict]]
    stage: RewardStage | None
    missing: Sequence[str] = ()


def gather(directory: RunDirectory) -> Evidence:
    """Read what there is."""
    missing: list[str] = []
    experiment = None
    tree: dict[str, Any] = {}
    try:
        experiment = stored_experiment(directory)
    except UserError as error:
        missing.append(str(error))
    frames: int | None = None
    try:
        frames, tree, _ = checkpoint.load(directory.checkpoints)
    except UserError as error:
        missing.append(str(error).replace("; start anew without resume=", ""))
    captions = {int(ident): str(text) for ident, text in tree.get("captions", ())}
    verdicts: dict[int, list[Verdict]] = {}
    for verdict in read_verdicts(directory, tree, missing):
        try:
            idents = judged_ids(verdict)
        except ValueError as error:
            missing.append(str(error))
            continue
        for ident in idents:
            verdicts.setdefault(ident, []).append(verdict)
        if verdict.subject_kind == "caption":  # the log may know more captions than the checkpoint
            captions.setdefault(int(verdict.subject), verdict.text)
    stage = None
    if experiment is not None and tree:
        try:
            stage = restored_stage(experiment, tree)
        except (KeyError, ValueError, RuntimeError) as error:
            missing.append(f"the reward view of the checkpoint does not fit config.yaml: {error}")
    frequency = dict(tree.get("caption_frequency", {}))
    return Evidence(experiment, frames, captions, frequency, verdicts, stage, tuple(missing))


def read_verdicts(directory: RunDirectory, tree: Mapping[str, Any], missing: list[str]) -> list[Verdict]:
    """Final verdicts of the log and of a checkpoint's tree, the newest of each subject; adds to `missing`.

    Those of the reward version that the run learns from: others have judged the same things beside it.
    """
    version = tree.get("reward_version")
    stored = tree.get("annotation", {}).get("verdicts", ())
    found = {raw["subject"]: Verdict(**{**raw, "status": Status(raw["status"])}) for raw in stored}
    try:
        found |= {v.subject: v for v in stored_verdicts(directory) if version in (None, v.reward_version)}
    except (OSError, ValueError) as error:
        missing.append(f"{directory.verdicts} cannot be read: {error}")
    return list(found.values())


def restored_stage(experiment: Experiment, tree: Mapping[str, Any]) -> RewardStage:
    """The reward view of a checkpoint, scoring with the reward model that its trainer had.

    Raises:
        KeyError, ValueError, RuntimeError: the checkpoint is of another experiment.
    """
    stage = RewardStage(experiment.reward)
    roles = tree["roles"]
    stage.load_state_dict(roles["learner"]["rewards"])
    if stage.model is not None:
        stage.model.load_state_dict(roles["trainer"]["model"])
        stage.model.observe({int(ident): str(text) for ident, text in tree["captions"]})
    return stage


def printable(text: str) -> str:
    """Text from captions, judges and files without control characters: they could redraw a terminal or a page."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def verdict_text(evidence: Evidence, ident: int) -> str:
    """What the judge said of a caption, in a few words."""
    verdicts = evidence.verdicts.get(ident, ())
    if not verdicts:
        return "not judged"
    if verdicts[0].subject_kind == "pair":
        good = [v for v in verdicts if v.value is not None]
        # A pair's value is the preference for its first caption.
        points = sum(
            v.value if _first_of(v.text) == evidence.captions[ident] else 1 - v.value
            for v in good
            if v.value is not None
        )
        failed = len(verdicts) - len(good)
        return f"preferred in {points:g} of {len(good)}" + (f", {failed} NULL" if failed else "")
    verdict = verdicts[-1]
    if verdict.value is None:
        return f"NULL, {verdict.status.value}: {verdict.cause}"
    return f"{verdict.value:g}"


def _first_of(text: str) -> str:
    return text.partition("\n")[0]
