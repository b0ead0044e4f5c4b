"""`guerdon reannotate`: ask another judge, reward function or reward model about experience that is stored already.

    stored rows → distinct subjects → not judged under this version → judge → verdicts beside the old ones → A/B table

Captions (and pairs) are asked once each, through the same ledger and the same protocol as in a live run; reward
functions of steps, rows and episodes run over the rows themselves. Verdicts are stored while it goes, so that a command
that was stopped or killed goes on where it was when it is given again: what was not stored yet is asked once more.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from pipelines import checkpoint
from pipelines.environment.roles import task_of
from pipelines.errors import UserError
from pipelines.experiment import COMPONENT, Experiment
from pipelines.judging.judges import build_judge, prepare_judge
from pipelines.judging.quarantine import canary_watch, put_in_quarantine
from pipelines.overrides import apply, explain
from pipelines.run_directory import RunDirectory, stored_experiment
from pipelines.stored.asked import Asked
from pipelines.stored.comparison import compare, stored_questions
from pipelines.stored.computed import Computed
from pipelines.stored.evidence import restored_stage
from pipelines.stored.reannotation import Outcome, Settings
from pipelines.stored.stored_experience import StoredExperience, one_line
from pipelines.stored.verdict_sink import VerdictSink
from rewards.functions import load_reward
from rewards.judges.canaried import CanariedJudge
from rewards.judges.function import ARGUMENTS, FunctionJudge, RewardModelJudge
from rewards.models.model import NO_CAPTION
from rewards.subjects import names, subjects_of
from rewards.verdict_store import VerdictStore, caption_subjects

ANY_VALUE = 1e30  # functions and models may give any finite number


def reannotate(directory: RunDirectory, values: Mapping[str, Any], say: Callable[[str], None] = print) -> Outcome:
    """Judge stored experience anew, and compare with what was said before.

    Args:
        directory: of the run; it may still be going on.
        values: keys of `Settings` by dotted path, and overrides of the run's `judge`, `annotation` and
            `canaries`.
        say: shows a line of progress.

    Raises:
        UserError: a key or value does not fit, there is no stored experience, or the judge cannot be made.
    """
    settings, experiment = _resolved(stored_experiment(directory), values)
    with ExitStack() as stack:
        experience = StoredExperience(directory)
        stack.callback(experience.close)
        try:
            verdicts = stack.enter_context(VerdictSink(directory))
            work = _work(settings, experiment, directory, experience, verdicts.store)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise UserError(f"{directory.root}: {one_line(error)}") from None
        outcome = asyncio.run(work.run(verdicts, settings, experiment, say))
        try:
            verdicts.refresh()
        except (OSError, ValueError) as error:  # a TimeoutError is an OSError
            raise UserError(f"{directory.root}: {one_line(error)}") from None
        other = _other_version(verdicts.store, settings, experiment, outcome.version, outcome.kind)
        if other:
            outcome.comparison = compare(experience, verdicts.store, experiment, COMPONENT, other, outcome.version)
        _write(directory, settings, experiment, outcome)
    return outcome


def _resolved(experiment: Experiment, values: Mapping[str, Any]) -> tuple[Settings, Experiment]:
    own: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    for key, value in values.items():
        head, *rest = key.split(".")
        if head in ("judge", "annotation", "canaries"):
            theirs[key] = value
        elif head not in Settings.model_fields or len(rest) > 1:
            raise UserError(
                f"unknown key {key!r}; expected {', '.join(Settings.model_fields)}, judge.…, annotation.… or canaries.…"
            )
        elif rest:
            own.setdefault(head, {"degrade": "stop"} if head == "budget" else {})[rest[0]] = value
        else:
            own[head] = value
    try:
        settings = Settings.model_validate(own)
    except ValidationError as error:
        raise UserError(explain(error)) from None
    if settings.reward != "judge" and (given := [key for key in theirs if key.startswith("judge")]):
        raise UserError(f"got {given[0]} with reward={settings.reward}, which asks no judge; leave one of them out")
    return settings, apply(experiment, theirs) if theirs else experiment


def _work(
    settings: Settings,
    experiment: Experiment,
    directory: RunDirectory,
    experience: StoredExperience,
    verdicts: VerdictStore,
) -> Asked | Computed:
    """What the settings mean for this run."""
    if settings.reward == "judge":
        prepare_judge(experiment.judge)
        judge = build_judge(experiment.judge, task_of(experiment).goal, experiment.serving.threads)
        version = experiment.reward_version(judge.fingerprint)
        if (watch := canary_watch(experiment)) is not None:
            judge = CanariedJudge(judge, watch, lambda found: put_in_quarantine(directory, found, version))
        return Asked(
            judge,
            version,
            *_questions("pair" if experiment.reward.source == "ranking" else "caption", experience, verdicts),
            (0.0, 1.0),
        )
    if settings.reward == "model":
        _, tree, _ = checkpoint.load(directory.checkpoints)
        model = restored_stage(experiment, tree).model
        if model is None:
            raise UserError(
                f"reward=model: the run's reward is {experiment.reward.source}, which learns no reward model"
            )
        judge = RewardModelJudge(model)
        return Asked(judge, judge.fingerprint, *_questions("caption", experience, verdicts), (-ANY_VALUE, ANY_VALUE))
    function = load_reward(settings.reward)
    if settings.settings:
        function = function.configured(**settings.settings)
    if function.subject in ARGUMENTS:
        function.check(ARGUMENTS[function.subject])
        questions = _questions(function.subject, experience, verdicts)
        return Asked(FunctionJudge(function), function.version, *questions, (-ANY_VALUE, ANY_VALUE))
    function.check(names(function.subject, experience.schema))
    captions = experience.captions if {"caption", "captions"} & set(function.arguments) else {}
    return Computed(function, subjects_of(function.subject, experience.batches, captions, function.arguments))


def _questions(
    kind: str, experience: StoredExperience, verdicts: VerdictStore
) -> tuple[str, pa.Array, list[tuple[str, ...]], int]:
    """Kind, distinct subjects, the texts of each, and how many there are whose text is not known."""
    if kind == "pair":
        subjects, joined = stored_questions(verdicts, COMPONENT, kind)
        return kind, subjects, [tuple(text.split("\n")) for text in joined], 0
    if kind != "caption":
        raise UserError(f"stored trajectories hold no {kind}s; expected a reward of captions, steps, rows or episodes")
    ids = np.unique(experience.flat("caption_id"))
    ids = ids[ids != NO_CAPTION]
    texts = [experience.captions.get(int(ident), "") for ident in ids]
    known = np.array([bool(text) for text in texts], np.bool_)
    return kind, caption_subjects(ids[known]), [(text,) for text in texts if text], int((~known).sum())


def _other_version(store: VerdictStore, settings: Settings, experiment: Experiment, version: str, kind: str) -> str:
    """The version to compare with; empty where there is none."""
    found = [v for v in store.versions() if v.component == COMPONENT]
    if settings.against:
        return settings.against
    if version not in {v.reward_version for v in found}:
        return ""  # nothing was judged
    comparable = ("caption", "step") if kind in ("caption", "step") else (kind,)
    others = [v.reward_version for v in found if v.reward_version != version and v.kind in comparable]
    return others[0] if others else ""


def _write(directory: RunDirectory, settings: Settings, experiment: Experiment, outcome: Outcome) -> None:
    """Keep what was asked, and what came of it, in RUN/reannotations/VERSION.json."""
    folder = directory.root / "reannotations"
    folder.mkdir(exist_ok=True)
    record = {
        "time": time.time(),
        "settings": settings.model_dump(mode="json"),
        "judge": experiment.judge.model_dump(mode="json") if settings.reward == "judge" else None,
        **{name: value for name, value in vars(outcome).items() if name != "comparison"},
        "comparison": outcome.comparison.as_dict() if outcome.comparison else None,
    }
    json.dumps(record, allow_nan=False)  # a NaN here would be a mistake of ours
    directory.write_json(folder / f"{outcome.version}.json", record)
