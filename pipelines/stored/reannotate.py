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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from envs.storage.errors import StoreBusy
from pipelines import checkpoint
from pipelines.errors import UserError
from pipelines.experiment import COMPONENT, Experiment
from pipelines.judging.judges import build_judge, prepare_judge
from pipelines.judging.quarantine import canary_watch, put_in_quarantine
from pipelines.overrides import apply, explain
from pipelines.roles import task_of
from pipelines.run_directory import RunDirectory, stored_experiment
from pipelines.stored.comparison import Comparison, compare, stored_questions
from pipelines.stored.evidence import printable, restored_stage
from pipelines.stored.records import plural
from pipelines.stored.stored_experience import StoredExperience, one_line
from rewards.annotation.ledger import AnnotationLedger
from rewards.budget import Budget, Reservation
from rewards.budget import Config as BudgetConfig
from rewards.functions import RewardFunction, load_reward
from rewards.judges.canaried import CanariedJudge
from rewards.judges.function import ARGUMENTS, FunctionJudge, RewardModelJudge
from rewards.judges.judge import Answer, Judge, Question
from rewards.models.model import NO_CAPTION
from rewards.prices import Prices
from rewards.questions import caption_question, pair_question
from rewards.subjects import Subjects, names, subjects_of
from rewards.verdict_proposals import propose
from rewards.verdict_store import VerdictStore, caption_subjects, settle
from rewards.verdicts import SCHEMA, Status, Verdict, details_json, to_arrow

PUT_EVERY, PUT_EVERY_S = 1024, 1.0  # answers in hand that a kill would lose, at most
CHUNK = 16_384  # subjects of a reward function between two puts
DEAR_CHUNK = 64  # where each costs tokens or money, of which there is so much only
SAY_EVERY_S = 5.0
OWNER_TIMEOUT_S = 60.0  # for the run that goes on to take in what was judged
PATIENCE_S = 60.0  # with a judge that fails whatever it is asked
ANY_VALUE = 1e30  # functions and models may give any finite number


class Settings(BaseModel):
    """What to ask, and what it may cost.

    Attributes:
        reward: "judge", "model" (the newest checkpoint's reward model), or a function, `my_lab.rewards:exact_match`.
        against: reward version to compare with; empty: the run's own, or the newest other one.
        again: ask once more where the verdict is NULL.
        seconds: stop after this long.
        settings: arguments of a reward function with a fixed value.
        budget: limits of requests, tokens and money of this command.
        prices: of the judge.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reward: str = Field(default="judge", min_length=1)
    against: str = ""
    again: bool = False
    seconds: float | None = Field(default=None, gt=0)
    settings: dict[str, Any] = {}
    budget: BudgetConfig = BudgetConfig(degrade="stop")
    prices: Prices = Prices()


@dataclass
class Outcome:
    """What a re-annotation came to.

    Attributes:
        version: the reward version that was asked for.
        kind: of its subjects.
        total: subjects that could be judged.
        before: of those, judged before under this version.
        judged: judged now, by status.
        left: not judged yet.
        stopped: why it ended before everything was judged; empty where it did not.
        unknown: captions whose text nobody knows, or episodes that are not whole.
        seconds: of judging.
        tokens: that were read and written.
        cost: money.
        comparison: with the other version; None where there is none.
    """

    version: str
    kind: str
    total: int
    before: int
    judged: dict[str, int] = field(default_factory=dict)
    left: int = 0
    stopped: str = ""
    unknown: int = 0
    seconds: float = 0.0
    tokens: int = 0
    cost: float = 0.0
    comparison: Comparison | None = None

    def lines(self) -> list[str]:
        """For people."""
        now = sum(self.judged.values())
        by_status = ", ".join(f"{n:,} {status}" for status, n in sorted(self.judged.items())) or "none"
        lines = [
            f"reward version {self.version}: {now:,} of {plural(self.total, self.kind)} judged now ({by_status}), "
            f"{self.before:,} before, {self.left:,} left",
            f"{self.seconds:.1f} s, {self.tokens:,} tokens, {self.cost:.6g} money",
        ]
        if self.unknown:
            what = "captions without a known text" if self.kind == "caption" else "episodes that are not whole"
            lines.append(f"left out: {self.unknown:,} {what}")
        if self.stopped:
            lines.append(f"stopped: {self.stopped}; the same command goes on where this one ended")
        return lines + (self.comparison.lines() if self.comparison else ["there is no other version to compare with"])


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
            verdicts = stack.enter_context(_Verdicts(directory))
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


class _Verdicts:
    """The run's verdicts: owned by this process, or by the run that goes on and takes them in."""

    def __init__(self, directory: RunDirectory) -> None:
        self._directory, self._shared = directory.verdicts, False
        self._proposed: list[Path] = []
        try:
            self.store = VerdictStore(self._directory)
        except StoreBusy:
            self.store, self._shared = VerdictStore(self._directory, read_only=True), True

    def __enter__(self) -> _Verdicts:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    def put(self, batch: pa.RecordBatch, expected: Sequence[int]) -> None:
        """Store verdicts; what somebody else was quicker with stays theirs."""
        if self._shared:
            self._proposed.append(propose(self._directory, batch, np.asarray(expected, np.int32)))
        else:
            self.store.put(batch, np.asarray(expected, np.int32))

    def refresh(self) -> None:
        """See all that was put; where another process owns the store, once it has taken it in."""
        while self._proposed:
            settle(self._directory, self._proposed.pop(0), OWNER_TIMEOUT_S)
        self.store.refresh()

    def todo(self, subjects: pa.Array, version: str, again: bool) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Positions of subjects that are to be judged, and the generation that each is at."""
        found = self.store.join(subjects, COMPONENT, version)
        missing = ~found.valid if again else found.generations == 0
        where = np.flatnonzero(missing)
        return where, found.generations[where]


# What is judged ------------------------------------------------------------------------------------------------------


def _work(
    settings: Settings,
    experiment: Experiment,
    directory: RunDirectory,
    experience: StoredExperience,
    verdicts: VerdictStore,
) -> _Asked | _Computed:
    """What the settings mean for this run."""
    if settings.reward == "judge":
        prepare_judge(experiment.judge)
        judge = build_judge(experiment.judge, task_of(experiment).goal, experiment.serving.threads)
        version = experiment.reward_version(judge.fingerprint)
        if (watch := canary_watch(experiment)) is not None:
            judge = CanariedJudge(judge, watch, lambda found: put_in_quarantine(directory, found, version))
        return _Asked(
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
        return _Asked(judge, judge.fingerprint, *_questions("caption", experience, verdicts), (-ANY_VALUE, ANY_VALUE))
    function = load_reward(settings.reward)
    if settings.settings:
        function = function.configured(**settings.settings)
    if function.subject in ARGUMENTS:
        function.check(ARGUMENTS[function.subject])
        questions = _questions(function.subject, experience, verdicts)
        return _Asked(FunctionJudge(function), function.version, *questions, (-ANY_VALUE, ANY_VALUE))
    function.check(names(function.subject, experience.schema))
    captions = experience.captions if {"caption", "captions"} & set(function.arguments) else {}
    return _Computed(function, subjects_of(function.subject, experience.batches, captions, function.arguments))


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


@dataclass
class _Asked:
    """Questions to a judge, through the ledger."""

    judge: Judge
    version: str
    kind: str
    subjects: pa.Array
    texts: list[tuple[str, ...]]
    unknown: int
    bounds: tuple[float, float]

    async def run(
        self, verdicts: _Verdicts, settings: Settings, experiment: Experiment, say: Callable[[str], None]
    ) -> Outcome:
        where, generations = verdicts.todo(self.subjects, self.version, settings.again)
        outcome = Outcome(self.version, self.kind, len(self.subjects), len(self.subjects) - len(where))
        outcome.unknown = self.unknown
        expected = dict(zip(self.subjects.take(pa.array(where)).to_pylist(), generations.tolist(), strict=True))
        low, high = self.bounds
        config = experiment.annotation.model_copy(update={"order": "oldest", "value_low": low, "value_high": high})
        ledger = AnnotationLedger(config, COMPONENT, self.version, time.monotonic, settings.prices)
        began = time.monotonic()
        in_hand: list[Verdict] = []
        put_at = said_at = began

        def store(everything: bool = False) -> None:
            nonlocal put_at, said_at
            now = time.monotonic()
            if in_hand and (everything or len(in_hand) >= PUT_EVERY or now > put_at + PUT_EVERY_S):
                verdicts.put(to_arrow(in_hand), [expected[verdict.subject] for verdict in in_hand])
                in_hand.clear()
                put_at = now
            if now > said_at + SAY_EVERY_S:
                said_at = now
                books = ledger.ledger()
                say(f"{books.ok + sum(books.failures.values()):,} of {len(where):,} judged, {books.tokens:,} tokens")

        def answered(found: list[Verdict]) -> None:
            in_hand.extend(found)
            store()

        questions = (self._question(int(k)) for k in where)
        try:
            outcome.stopped = await _ask(ledger, self.judge, questions, settings, answered)
        finally:
            store(everything=True)
        books = ledger.ledger()
        outcome.judged = {**({"ok": books.ok} if books.ok else {}), **books.failures}
        outcome.left = len(where) - sum(outcome.judged.values())
        outcome.seconds, outcome.tokens, outcome.cost = time.monotonic() - began, books.tokens, books.cost
        return outcome

    def _question(self, k: int) -> Question:
        return pair_question(*self.texts[k]) if self.kind == "pair" else caption_question(*self.texts[k])


async def _ask(
    ledger: AnnotationLedger,
    judge: Judge,
    questions: Iterator[Question],
    settings: Settings,
    answered: Callable[[list[Verdict]], None],
) -> str:
    """Ask until all is answered or something forbids it, and wait for what is under way. Gives what forbade it."""
    budget = Budget(settings.budget, settings.prices)
    ends = time.monotonic() + (settings.seconds or 1e9)
    calls: dict[asyncio.Task[list[Answer]], tuple[int, int, Reservation]] = {}
    closed_at, stopped, at_most = time.monotonic(), "", None
    try:
        while True:
            while ledger.room and (question := next(questions, None)) is not None:
                ledger.ask(question)
            if ledger.breaker == "closed":
                closed_at = time.monotonic()
            elif time.monotonic() > closed_at + PATIENCE_S and not stopped:
                causes = ledger.ledger().causes
                stopped = f"the judge fails: {printable(max(causes, key=causes.__getitem__, default='no cause given'))}"
            if isinstance(judge, CanariedJudge) and (found := judge.watch.quarantine_of(judge.fingerprint)) is not None:
                stopped = str(found)
            if time.monotonic() > ends and not stopped:
                stopped = f"{settings.seconds:g} s are over"
            while not stopped and (batch := ledger.next_batch(at_most)) is not None:
                size = len(batch.questions)
                reservation = budget.reserve(size)
                if reservation is None:
                    ledger.give_back(batch.id)
                    if size == 1 and not calls:
                        stopped = "the budget is used up"
                    at_most = max(1, size // 2)
                    if size == 1 or stopped:
                        break
                    continue
                at_most = None
                call = asyncio.wait_for(judge.judge(batch.questions), ledger.config.deadline_s)
                calls[asyncio.ensure_future(call)] = batch.id, size, reservation
            if not calls:
                if stopped or not ledger.pending:
                    return stopped
                await asyncio.sleep(0.01)  # a retry is not due yet
                continue
            done, _ = await asyncio.wait(calls, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                batch_id, size, reservation = calls.pop(task)
                answered(_land(ledger, batch_id, size, task, judge.fingerprint, budget, reservation))
    finally:
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        budget.close()


def _land(
    ledger: AnnotationLedger,
    batch_id: int,
    size: int,
    task: asyncio.Task[list[Answer]],
    fingerprint: str,
    budget: Budget,
    reservation: Reservation,
) -> list[Verdict]:
    """What came of one call."""
    try:
        answers = task.result()
        tokens = sum(answer.tokens for answer in answers)
    except (TimeoutError, asyncio.TimeoutError):
        budget.settle(reservation, size, reservation.amount.tokens)  # what it took is not known
        return ledger.fail(batch_id, Status.TIMEOUT, f"no answer within {ledger.config.deadline_s:g} s")
    except Exception as error:  # whatever a judge raises is a fault of the judge, with its cause
        budget.settle(reservation, size, reservation.amount.tokens)
        return ledger.fail(batch_id, Status.JUDGE_FAULT, f"{type(error).__name__}: {error}")
    budget.settle(reservation, size, tokens)
    return ledger.complete(batch_id, answers, fingerprint)


@dataclass
class _Computed:
    """A reward function over the rows themselves. It fails the same way each time, so it is not tried again."""

    function: RewardFunction
    subjects: Subjects

    async def run(
        self, verdicts: _Verdicts, settings: Settings, experiment: Experiment, say: Callable[[str], None]
    ) -> Outcome:
        version, kind, ids = self.function.version, self.subjects.kind, self.subjects.ids
        where, generations = verdicts.todo(ids, version, settings.again)
        outcome = Outcome(version, kind, len(ids), len(ids) - len(where), unknown=self.subjects.left_out)
        began = said_at = time.monotonic()
        budget = settings.budget
        most = len(where) if budget.requests is None else min(len(where), budget.requests)
        chunk = CHUNK if budget.tokens is None and budget.money is None else DEAR_CHUNK
        done = 0
        while done < most and not outcome.stopped:
            part = slice(done, min(done + chunk, most))
            answers = await self._answers(where[part])
            batch = verdict_batch(
                kind,
                ids.take(pa.array(where[part])),
                answers,
                version,
                self.subjects.policy_versions[where[part]],
                settings.prices,
            )
            verdicts.put(batch, generations[part].tolist())
            done = part.stop
            for status in batch.column("status").to_pylist():
                outcome.judged[status] = outcome.judged.get(status, 0) + 1
            outcome.tokens += sum(answer.tokens for answer in answers)
            outcome.cost += float(np.sum(batch.column("cost").to_numpy()))
            outcome.seconds = time.monotonic() - began
            outcome.stopped = _used_up(settings, outcome)
            if time.monotonic() > said_at + SAY_EVERY_S:
                said_at = time.monotonic()
                say(f"{done:,} of {len(where):,} judged")
        outcome.left = len(where) - done
        outcome.stopped = (outcome.stopped or "the budget is used up") if outcome.left else ""
        return outcome

    async def _answers(self, chosen: np.ndarray[Any, Any]) -> list[Answer]:
        """Answers on some subjects: those between the first and the last are read together, then picked."""
        first, last = int(chosen[0]), int(chosen[-1])
        columns = self.subjects.columns(first, last + 1)
        if len(chosen) < last + 1 - first:
            columns = {name: [column[k - first] for k in chosen] for name, column in columns.items()}
        if not columns:  # the function asks for nothing
            columns = {"": [None] * len(chosen)}
        return await self.function.answer(columns)


def _used_up(settings: Settings, outcome: Outcome) -> str:
    """What forbids to go on with a reward function; empty where nothing does."""
    if settings.seconds is not None and outcome.seconds >= settings.seconds:
        return f"{settings.seconds:g} s are over"
    limits = ((settings.budget.tokens, outcome.tokens), (settings.budget.money, outcome.cost))
    return "the budget is used up" if any(limit is not None and spent >= limit for limit, spent in limits) else ""


def verdict_batch(
    kind: str, subjects: pa.Array, answers: Sequence[Answer], version: str, policy_versions: Any, prices: Prices
) -> pa.RecordBatch:
    """Final verdicts of a reward function on N subjects, as columns."""
    count = len(answers)

    def repeated(text: str) -> pa.Array:
        return pa.repeat(pa.scalar(text), count)

    columns = {
        "subject": subjects,
        "subject_kind": repeated(kind),
        "component": repeated(COMPONENT),
        "reward_version": repeated(version),
        "value": pa.array([answer.value for answer in answers], pa.float64()),
        "status": pa.array([answer.status.value for answer in answers]),
        "judge_fingerprint": repeated(f"function-{version}"),
        "cause": pa.array([answer.cause for answer in answers]),
        "attempt": pa.array(np.ones(count, np.int32)),
        "latency_s": pa.array([answer.latency_s for answer in answers], pa.float64()),
        "tokens": pa.array([answer.tokens for answer in answers], pa.int64()),
        "cost": pa.array([prices.cost(1, answer.tokens) for answer in answers], pa.float64()),
        "policy_version": pa.array(policy_versions, pa.int64()),
        "text": repeated(""),
        "scores": pa.array([answer.scores for answer in answers], pa.list_(pa.float64())),
        "details": pa.array([details_json(answer.details) for answer in answers]),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


# What is left behind -------------------------------------------------------------------------------------------------


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
