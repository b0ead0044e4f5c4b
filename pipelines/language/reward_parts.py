"""`RewardParts`: the rewards of a language run by name, each of which says of an answer what it is worth.

A task brings rewards, an experiment may weigh them anew, add functions by dotted path, and add a judge.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any, Literal

from envs.language.task import EPISODE_COLUMNS, TextTask
from pipelines.errors import UserError
from pipelines.judging.rubric_judges import RewardModelJudge, RubricJudge
from pipelines.language.reward_settings import RewardsConfig
from pipelines.language.reward_view import OF, WORLD
from pipelines.language.tasks import text_task
from rewards.functions import RewardFunction, load_reward
from rewards.judges.judge import Answer, Judge, question
from rewards.verdicts import Status

JUDGE = "judge"
SUBJECT: Literal["row"] = "row"

Columns = dict[str, list[Any]]


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


class RewardParts:
    """The rewards.

    Attributes:
        judge: who judges, with its files where they are on this machine; None: nobody.
        parts: all of them.
        world: weight of what the task's world itself pays.
        best: what a gold reply earns from the task's own.
    """

    def __init__(
        self, config: RewardsConfig, task: TextTask, judge: RewardModelJudge | RubricJudge | None = None
    ) -> None:
        """Find them.

        Args:
            config: says which.
            task: has its own.
            judge: the config's, with its files where they are on this machine; None: where the config says.

        Raises:
            UserError: one cannot be loaded, or a weight is for none.
        """
        self._config = config
        self.judge = judge or config.judge
        self._judge: Judge | None = None
        found = {name: (float(w.weight), _function(name, w.function)) for name, w in task.rewards.items()}
        for name, path in config.functions.items():
            found[name] = (1.0, _function(name, path))
        weights = dict(config.weights)
        if config.view is not None:  # which says itself what counts, and how much
            read = config.view.inputs
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
        if config.judge is not None:
            text = config.judge.model_dump_json()
            judged = 1.0 if config.view is None else float(JUDGE in config.view.inputs)
            parts.append(Part(JUDGE, weights.pop(JUDGE, judged), hashlib.sha256(text.encode()).hexdigest()[:12]))
        self.world = weights.pop(WORLD, 1.0) if task.pays else 0.0
        self.best = sum(max(0.0, float(weighted.weight)) for weighted in task.rewards.values()) + float(task.pays)
        if unknown := sorted(weights):
            names = ", ".join(part.name for part in parts) or "none"
            raise UserError(f"rewards.weights: got {', '.join(unknown)}; expected names of rewards: {names}")
        others = {WORLD} if config.view is None else {*OF, WORLD}
        if taken := sorted({part.name for part in parts} & others):
            raise UserError(f"reward {taken[0]}: answers have another column of that name; expected a name of its own")
        self.parts = tuple(parts)

    def __getitem__(self, name: str) -> Part:
        """A reward by name."""
        return next(part for part in self.parts if part.name == name)

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
    """Rewards in a process of their own: one that hangs is killed with it. What trains models it does not load."""

    def __init__(
        self,
        config: RewardsConfig,
        task: str,
        options: Mapping[str, Any],
        judge: RewardModelJudge | RubricJudge | None = None,
    ) -> None:
        """Find the rewards; see `RewardParts`.

        Args:
            config: says which.
            task: by name or dotted path.
            options: of the task.
            judge: the config's, with its files where they are on this machine.
        """
        self._parts = RewardParts(config, text_task(task, options), judge)

    def ready(self) -> bool:
        """Load what is slow to load: the judge, if there is one."""
        self._parts.load()
        return True

    def answer(self, name: str, columns: Columns) -> list[Answer]:
        """See `RewardParts.answer`."""
        return asyncio.run(self._parts.answer(name, columns))


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
