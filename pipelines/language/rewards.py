"""`RewardSet`: the named, weighted rewards of a language run, and the verdicts that they give on answers.

A task brings rewards, an experiment may weigh them anew, add functions by dotted path, and add a judge. Each answer
gets one verdict from each of them, under its row. What could not be had is NULL with its cause.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from envs.language.task import EPISODE_COLUMNS, TextTask
from envs.language.trajectory import records
from learners.language.presets import preset
from pipelines.errors import UserError
from pipelines.judging.rubric_judges import RewardModelJudge, RubricJudge
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.reward_view import OF, WORLD, fact, failed_of, layout_of, own_view, weighted, world_column
from rewards.aggregation.weighted_sum import OnNull, WeightedSum
from rewards.columns import Column
from rewards.functions import RewardFunction, load_reward
from rewards.judges.judge import Answer, Judge, question
from rewards.verdicts import Status, Verdict, details_json
from rewards.views.part import Terms
from rewards.views.view import RewardView, ViewResult

JUDGE = "judge"
SUBJECT: Literal["row"] = "row"
FAILURES = (Status.JUDGE_FAULT, Status.TIMEOUT)
"""What is worth another try."""

Columns = dict[str, list[Any]]
Values = Mapping[str, Mapping[str, float | None]]
"""Verdicts by reward and row; None where NULL."""
Ask = Callable[[str, Columns], Awaitable[list[Answer]]]
"""Asks a reward by name about N answers, wherever it runs."""


@dataclass(frozen=True)
class Part:
    """One reward.

    Attributes:
        name: of the component.
        weight: in the sum.
        version: hash of what decides its values.
        function: that computes it; None: a judge, or the world.
        waits: whether it only waits for others (an `async` function), and so needs no process of its own.
    """

    name: str
    weight: float
    version: str
    function: RewardFunction | None = None
    waits: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns that it may look at; others need not travel to it."""
        return ("completion", "prompt") if self.function is None else ("completion", *self.function.arguments)


class RewardSet:
    """All rewards of an experiment."""

    def __init__(
        self,
        experiment: LanguageExperiment,
        task: TextTask,
        judge: RewardModelJudge | RubricJudge | None = None,
    ) -> None:
        """Find them; `best` is what a gold reply earns from the task's own.

        Args:
            experiment: says which.
            task: has its own.
            judge: the experiment's, with its files where they are on this machine; None: where the experiment says.

        Raises:
            UserError: one cannot be loaded, or a weight is for none.
        """
        self._config, self._gold = experiment.rewards, experiment.monitors.gold
        self.judge = judge or self._config.judge
        self._judge: Judge | None = None
        found = {name: (float(w.weight), _function(name, w.function)) for name, w in task.rewards.items()}
        for name, path in self._config.functions.items():
            found[name] = (1.0, _function(name, path))
        weights = dict(self._config.weights)
        if self._config.view is not None:  # which says itself what counts, and how much
            read = self._config.view.inputs
            found = {name: (float(name in read), function) for name, (_, function) in found.items()}
        parts = [
            Part(
                name,
                weights.pop(name, weight),
                function.version,
                function,
                asyncio.iscoroutinefunction(function.function),
            )
            for name, (weight, function) in found.items()
        ]
        if self._config.judge is not None:
            text = self._config.judge.model_dump_json()
            judged = 1.0 if self._config.view is None else float(JUDGE in self._config.view.inputs)
            parts.append(Part(JUDGE, weights.pop(JUDGE, judged), hashlib.sha256(text.encode()).hexdigest()[:12]))
        world = weights.pop(WORLD, 1.0) if task.pays else 0.0
        self.best = sum(max(0.0, float(weighted.weight)) for weighted in task.rewards.values()) + float(task.pays)
        if unknown := sorted(weights):
            names = ", ".join(part.name for part in parts) or "none"
            raise UserError(f"rewards.weights: got {', '.join(unknown)}; expected names of rewards: {names}")
        others = {WORLD} if self._config.view is None else {*OF, WORLD}
        if taken := sorted({part.name for part in parts} & others):
            raise UserError(f"reward {taken[0]}: answers have another column of that name; expected a name of its own")
        self.parts = tuple(parts)
        self._version = [*([p.name, p.weight, p.version] for p in self.parts), world, self._config.on_null]
        self.view = self._view(world, preset(experiment.method, experiment.sampling.max_tokens).advantage)

    def __getitem__(self, name: str) -> Part:
        """A reward by name."""
        return next(part for part in self.parts if part.name == name)

    @property
    def version(self) -> str:
        """Hash of all that decides the reward."""
        text = json.dumps(self._version + ([] if self._config.view is None else [self.view.version]))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def check(self, columns: Sequence[str]) -> None:
        """Compare what the rewards ask for with the columns there will be.

        Raises:
            UserError: one asks for what nothing provides.
        """
        for part in self.parts:
            if part.function is not None:
                try:
                    part.function.check({*columns, *EPISODE_COLUMNS})
                except ValueError as error:
                    raise UserError(str(error)) from None

    async def answer(self, name: str, columns: Columns) -> list[Answer]:
        """What a reward says of N answers; a failure is an answer without a value.

        Raises:
            TimeoutError: it has not come in time. What computes is interrupted between two answers, and not within one.
        """
        return await asyncio.wait_for(self._answer(name, columns), self._config.deadline_s)

    async def _answer(self, name: str, columns: Columns) -> list[Answer]:
        part = self[name]
        if part.function is not None:
            return await part.function.answer(columns)
        asked = [
            question("response", (c,), prompt=p) for c, p in zip(columns["completion"], columns["prompt"], strict=True)
        ]
        answers = await self._built_judge().judge(asked)
        if isinstance(
            self._config.judge, RewardModelJudge
        ):  # its number itself: a bound would hide how far it is followed
            return [replace(one, value=one.details["logit"]) if one.status is Status.OK else one for one in answers]
        return list(answers)

    def columns(self, rows: pa.Table, values: Values) -> dict[str, Column]:
        """The components of N answers; NULL where there is no verdict."""
        names = rows.column("row_id").to_pylist()
        found = {}
        for part in self.parts:
            known = [values[part.name].get(name) for name in names]
            found[part.name] = Column(
                np.array([0.0 if v is None else v for v in known], np.float32), np.array([v is not None for v in known])
            )
        return {**found, WORLD: world_column(rows)}

    def seen(self, rows: pa.Table, columns: Mapping[str, Column], *, learn: bool = False) -> ViewResult:
        """What N answers have earned in all, and their advantages within their groups: the view over the components.

        Args:
            rows: of the answers.
            columns: what `columns` made of them.
            learn: whether running statistics of the view see these answers first.
        """
        return self.view.apply(self._given(rows, columns), layout_of(rows), learn=learn)

    def attribute(self, rows: pa.Table, columns: Mapping[str, Column]) -> dict[str, Terms]:
        """What each component and each part has put into the columns of the view; see `RewardView.attribute`."""
        return self.view.attribute(self._given(rows, columns), layout_of(rows))

    def _given(self, rows: pa.Table, columns: Mapping[str, Column]) -> dict[str, Column]:
        """All that the view may read."""
        if self._config.view is not None:
            return {**columns, **{name: fact(rows, name) for name in self.view.inputs if name in OF}}
        # In the sum a world that paid nothing is worth nothing, and one that failed is NULL: that is no 0.
        paid, failed = columns[WORLD], failed_of(rows)
        return {**columns, WORLD: Column(np.where(paid.valid, paid.values, np.float32(0.0)), ~failed)}

    def _view(self, world: float, advantage: str | None) -> RewardView:
        """How components become a reward and, by an estimator, an advantage."""
        weights = {part.name: part.weight for part in self.parts}
        if self._config.view is not None:
            return own_view(self._config.view, weights, advantage)
        on_null: dict[str, OnNull] = {
            **{n: self._config.on_null if w else "omit" for n, w in weights.items()},
            WORLD: "mask",  # it failed, see `_given`
        }
        return weighted(WeightedSum(coefficients={**weights, WORLD: world}, on_null=on_null), advantage)

    @property
    def paying(self) -> tuple[str, ...]:
        """Names of the rewards that are learnt from, and are not held out."""
        return tuple(part.name for part in self.parts if part.weight and part.name != self.gold)

    @property
    def gold(self) -> str:
        """Name of the reward that is held out, by the experiment or because it pays nothing; empty: none is."""
        held_out = [part.name for part in self.parts if not part.weight]
        return self._gold or (held_out[0] if held_out else "")

    def load(self) -> None:
        """Build the judge, if there is one, so that the first answer does not wait for it.

        Raises:
            UserError: it cannot be built.
        """
        if self._config.judge is not None:
            self._built_judge()

    def _built_judge(self) -> Judge:
        if self._judge is None:
            from pipelines.judging.judges import build_judge

            assert self.judge is not None
            self._judge = build_judge(self.judge, "")
        return self._judge


class RewardHost:
    """Rewards in a process of their own: one that hangs is killed with it."""

    def __init__(self, experiment: LanguageExperiment, judge: RewardModelJudge | RubricJudge | None = None) -> None:
        """Find the rewards; see `RewardSet`."""
        from pipelines.language.tasks import task_of

        self._set = RewardSet(experiment, task_of(experiment), judge)

    def ready(self) -> bool:
        """Load what is slow to load: the judge, if there is one."""
        self._set.load()
        return True

    def answer(self, name: str, columns: Columns) -> list[Answer]:
        """See `RewardSet.answer`."""
        return asyncio.run(self._set.answer(name, columns))


async def annotate(parts: Sequence[Part], ask: Ask, rows: pa.RecordBatch, config: Any) -> list[list[Verdict]]:
    """Judge the answers of a group by all rewards at once.

    Args:
        parts: the rewards.
        ask: asks one of them.
        rows: of the group.
        config: `RewardsConfig`: how often it is tried.

    Returns:
        For each reward one verdict an answer.
    """
    columns = columns_of(rows)
    return list(await asyncio.gather(*(_annotate(part, ask, rows, columns, config) for part in parts)))


async def _annotate(part: Part, ask: Ask, rows: pa.RecordBatch, columns: Columns, config: Any) -> list[Verdict]:
    names, versions = (rows.column(name).to_pylist() for name in ("row_id", "policy_version_max"))
    # Whom the world failed has done nothing wrong, and nothing that could be scored.
    broken = Answer(Status.JUDGE_FAULT, cause="the episode was aborted: its world raised, or did not answer in time")
    given_up = {i for i, finish in enumerate(columns["finish"]) if finish == "aborted"}
    answers: dict[int, tuple[Answer, int]] = {i: (broken, 0) for i in given_up}
    for attempt in range(1, config.attempts + 1):
        asked = [
            i for i in range(len(names)) if i not in answers or (i not in given_up and answers[i][0].status in FAILURES)
        ]
        if not asked:
            break
        some = {name: [column[i] for i in asked] for name, column in columns.items() if name in part.reads}
        try:
            given = await ask(part.name, some)
            if len(given) != len(asked):
                raise ValueError(
                    f"reward {part.name}: got {len(given)} values for {len(asked)} answers; expected one each"
                )
        except (TimeoutError, asyncio.TimeoutError) as error:  # it says so where its process was killed for it
            cause = str(error)[:300] or f"no answer within {config.deadline_s:g} s"
            given = [Answer(Status.TIMEOUT, cause=cause)] * len(asked)
        except Exception as error:  # whatever a reward raises is its fault, with the cause
            given = [Answer(Status.JUDGE_FAULT, cause=f"{type(error).__name__}: {error}"[:300])] * len(asked)
        answers.update({i: (answer, attempt) for i, answer in zip(asked, given, strict=True)})
    return [
        Verdict(
            subject=names[i],
            subject_kind=SUBJECT,
            component=part.name,
            reward_version=part.version,
            value=answer.value,
            status=answer.status,
            judge_fingerprint=part.version,
            cause=answer.cause,
            attempt=attempt,
            latency_s=answer.latency_s,
            tokens=answer.tokens,
            policy_version=max(0, versions[i]),
            text=columns["completion"][i],
            details=details_json(answer.details),
        )
        for i, (answer, attempt) in sorted(answers.items())
    ]


def columns_of(rows: pa.RecordBatch) -> Columns:
    """What rewards may ask for, of N answers: columns of their prompts, and what the episodes became."""
    found = records(rows)
    return {name: [one.get(name) for one in found] for name in dict.fromkeys(key for one in found for key in one)}


def _function(name: str, given: Any) -> RewardFunction:
    """A reward function of whatever a task or a setting names."""
    if isinstance(given, str):
        try:
            return load_reward(given)
        except ValueError as first:
            given = _plain(given, str(first))
    if isinstance(given, RewardFunction):
        return given
    if isinstance(given, FunctionType):
        return RewardFunction(given, SUBJECT, "1")
    raise UserError(f"reward {name}: got a {type(given).__name__}; expected a function or package.module:function")


def _plain(path: str, problem: str) -> Any:
    """A function without @reward, by its path."""
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        raise UserError(problem) from None
    return found
