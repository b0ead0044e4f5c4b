"""`reward-server-chaos`: replicas of the reward server are killed and stopped, and the judge misbehaves, under load.

    python -m benchmarks.reward_server_chaos
    python -m benchmarks.reward_server_chaos seconds=600 every_s=10 judge=rules

Two replicas serve a judge that now and then answers garbage, is too slow, raises, or cannot be read. Every `every_s`
seconds one is killed (SIGKILL), every `stop_every`-th time stopped instead (SIGSTOP: it hangs, and is not dead). New
questions come all the time, some of them again, and a stand-in for a learner takes a reward view of what is known by
then. In the end every question must have had exactly one verdict. Other keys: questions_per_s, trouble (share of
calls), hits (so many at least, however long it takes), results.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.apparatus.asking import Questions
from benchmarks.apparatus.training import sigterm_interrupts
from cluster.serving import Config as ServingConfig
from cluster.serving import Service, ServiceOverloaded, serving
from cluster.session import Config as RayConfig
from cluster.session import ray_session
from pipelines.errors import UserError
from pipelines.judging.judges import build_judge, prepare_judge
from pipelines.judging.served_judge import ServedJudge, caller
from pipelines.judging.settings import BuiltinJudge, JudgeConfig, RulesJudge
from pipelines.overrides import parse
from pipelines.results import Cell, Figure, Result, figure, write_result
from rewards.aggregation.weighted_sum import WeightedSum
from rewards.annotation.annotator import Annotator
from rewards.annotation.books import Books
from rewards.annotation.hedging import Config as HedgingConfig
from rewards.annotation.hedging import Hedging
from rewards.annotation.ledger import AnnotationLedger
from rewards.annotation.ledger import Config as AnnotationConfig
from rewards.columns import Column
from rewards.judges.judge import Answer, Judge, Question
from rewards.verdicts import Status, Verdict
from rewards.views.view import Config as ViewConfig
from rewards.views.view import RewardView

NAME = "reward-server-chaos"
GOAL = "explore and descend"
SECONDS, EVERY_S, STOP_EVERY, QUESTIONS_PER_S, TROUBLE = 120.0, 5.0, 6, 100.0, 0.1
VIEW_EVERY_S, STEPS = 0.05, 256
STANDSTILL_S = 1.0  # a learner that has to wait longer than this for a view has stopped
DEADLINE_S = 3.0
PATIENCE_S = 300.0  # with what comes in seconds on a machine that has nothing else to do
QUEUEING = AnnotationConfig(
    batch_size=32,
    max_in_flight=4,
    deadline_s=DEADLINE_S,
    max_attempts=12,
    backoff_s=0.1,
    backoff_max_s=3.0,
    breaker_failures=8,
    breaker_cooldown_s=0.5,
)
SERVING = ServingConfig(replicas=2, cpus=0.5, health_period_s=1.0, health_timeout_s=2.0, call_timeout_s=DEADLINE_S)


class Troubled:
    """A judge that misbehaves in a share of its calls, in every way that there is."""

    def __init__(self, judge: Judge, share: float, seed: int | None = None) -> None:
        """Trouble `judge`; each process in its own order, unless `seed` says which."""
        self._judge, self._share = judge, share
        self._random = random.Random(os.getpid() if seed is None else seed)

    @property
    def fingerprint(self) -> str:
        """That of the judge."""
        return self._judge.fingerprint

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer, or not."""
        answers = await self._judge.judge(questions)
        if self._random.random() >= self._share:
            return answers
        kind = self._random.choice(("nan", "text", "number", "slow", "500", "unparseable"))
        if kind == "nan":
            return [Answer(Status.OK, float("nan")) for _ in answers]
        if kind == "text":
            return [Answer(Status.OK, "yes") for _ in answers]  # type: ignore[arg-type]
        if kind == "number":
            return [Answer(Status.OK, 17.0), *answers[1:]]
        if kind == "slow":
            await asyncio.sleep(2 * DEADLINE_S)
            return answers
        if kind == "500":
            raise ConnectionError("HTTP 500: internal server error")
        return [Answer(Status.UNPARSEABLE, cause="got 'perhaps'"), *answers[1:]]

    async def check(self) -> None:
        """Always."""


def troubled_judge(config: JudgeConfig, share: float) -> ServedJudge:
    """What runs in a replica."""
    return ServedJudge(Troubled(build_judge(config, GOAL, 1), share), SERVING.batch_tokens)


@dataclass
class Kill:
    """One replica that was hit, and when another took its place."""

    what: str
    at: float
    recovered_s: float | None = None


@dataclass
class Story:
    """What happened."""

    asked: set[str] = field(default_factory=set)
    verdicts: Counter[str] = field(default_factory=Counter)
    kills: list[Kill] = field(default_factory=list)
    views: int = 0
    longest_view_gap_s: float = 0.0
    longest_verdict_gap_s: float = 0.0
    processes: set[int] = field(default_factory=set)
    _verdict_at: float | None = None

    def settled(self, verdicts: Sequence[Verdict]) -> None:
        """Verdicts became final."""
        now = time.monotonic()
        self.verdicts.update(verdict.subject for verdict in verdicts)
        if self._verdict_at is not None:
            self.longest_verdict_gap_s = max(self.longest_verdict_gap_s, now - self._verdict_at)
        self._verdict_at = now

    def answered(self, process: int) -> None:
        """A process answered; one that is new takes the place of the one that was hit first."""
        if process not in self.processes:
            self.processes.add(process)
            waiting = next((kill for kill in self.kills if kill.recovered_s is None), None)
            if waiting is not None:
                waiting.recovered_s = time.monotonic() - waiting.at

    @property
    def lost(self) -> int:
        """Questions without a verdict."""
        return len(self.asked - set(self.verdicts))

    @property
    def twice(self) -> int:
        """Questions with more than one."""
        return sum(count > 1 for count in self.verdicts.values())


async def ask_for_ever(annotator: Annotator, story: Story, per_s: float) -> None:
    """New questions at a steady rate, a fifth of them once more."""
    questions = Questions(0.2, seed=0)
    while True:
        for question in questions(max(1, round(per_s / 10))):
            story.asked.add(question.subject)
            annotator.post(question)
        await asyncio.sleep(0.1)


async def learn_for_ever(ledger: AnnotationLedger, story: Story) -> None:
    """A stand-in for the learner: a reward view of random known and unknown captions, again and again."""
    total = WeightedSum(coefficients={"intrinsic": 0.1}, on_null={"intrinsic": "omit"})
    view = RewardView(ViewConfig(name="chaos", parts=(total,)))
    draw, last = random.Random(0), time.monotonic()
    while True:
        known = list(ledger.verdicts.values())[-STEPS:]
        steps = [draw.choice(known) if known else None for _ in range(STEPS)]
        values = np.array([np.nan if one is None or one.value is None else one.value for one in steps], np.float32)
        column = Column(values, ~np.isnan(values))
        result = view.apply({"intrinsic": column})
        if not (np.isfinite(result.reward).all() and result.weight.all()):
            raise UserError("a NULL came through the view")
        story.views += 1
        now = time.monotonic()
        story.longest_view_gap_s, last = max(story.longest_view_gap_s, now - last), now
        await asyncio.sleep(VIEW_EVERY_S)


async def hit_for_ever(service: Service, story: Story, every_s: float, stop_every: int) -> None:
    """Hit the replica that answers next, again and again, once two are there."""
    stopped: set[int] = set()
    while True:
        await asyncio.sleep(every_s)
        with suppress(Exception):
            process = await service.pid()
            if process in stopped or not psutil.pid_exists(process):
                continue
            stop = len(story.kills) % stop_every == stop_every - 1
            story.answered(process)  # it may be the one that took the place of another, and be hit before it judged
            os.kill(process, signal.SIGSTOP if stop else signal.SIGKILL)
            stopped.update([process] if stop else [])
            story.kills.append(Kill("stopped" if stop else "killed", time.monotonic()))


async def hit_often(story: Story, seconds: float, hits: int) -> None:
    """So many seconds, and longer where fewer replicas than `hits` have been hit by then."""
    began = time.monotonic()
    while (spent := time.monotonic() - began) < seconds or (len(story.kills) < hits and spent < seconds + PATIENCE_S):
        await asyncio.sleep(0.1)


async def live(
    service: Service, seconds: float, every_s: float, stop_every: int, per_s: float, hits: int
) -> tuple[Story, Books, Hedging]:
    """Run it all, and then wait for what is owed."""
    story = Story()
    ledger = AnnotationLedger(QUEUEING, "intrinsic", "v1", time.monotonic)
    hedging = Hedging(HedgingConfig(at_most=0.2, warm_up=10, shortest_s=0.3))
    annotator = Annotator(
        ledger,
        caller(service, story.answered),
        busy=(ServiceOverloaded,),
        hedging=hedging,
        on_verdicts=story.settled,
    )
    async with annotator:
        asking = asyncio.create_task(ask_for_ever(annotator, story, per_s))
        others = [
            asyncio.create_task(learn_for_ever(ledger, story)),
            asyncio.create_task(hit_for_ever(service, story, every_s, stop_every)),
        ]
        over = asyncio.create_task(hit_often(story, seconds, hits))
        try:
            done, _ = await asyncio.wait([over, asking, *others], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # none of them ends by itself but the first
            asking.cancel()
            others[1].cancel()
            await annotator.drain(PATIENCE_S)
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline and any(kill.recovered_s is None for kill in story.kills):
                with suppress(Exception):  # whatever a replica that is gone makes of the call
                    story.answered(await service.pid())
                await asyncio.sleep(0.2)
        finally:
            for task in (over, asking, *others):
                task.cancel()
            await asyncio.gather(over, asking, *others, return_exceptions=True)
    return story, ledger.ledger(), hedging


def report(story: Story, books: Books, hedging: Hedging, command: str, results: Path) -> Result:
    """Write the result."""
    recovered = [kill.recovered_s for kill in story.kills if kill.recovered_s is not None]
    figures = {
        name: Figure(value=float(value), unit=unit, low=None, high=None, n=1)
        for name, value, unit in (
            ("questions asked", len(story.asked), "questions"),
            ("questions lost", story.lost, "questions"),
            ("verdicts applied twice", story.twice, "questions"),
            ("ledger balanced", books.balanced, "yes = 1"),
            ("values", books.ok, "verdicts"),
            ("NULLs", sum(books.failures.values()), "verdicts"),
            ("retries", books.retries, "questions"),
            ("hedged calls", hedging.hedged, "calls"),
            ("hedged calls whose second answer came first", hedging.won, "calls"),
            ("late answers ignored", books.late_batches, "calls"),
            ("replicas hit", len(story.kills), "replicas"),
            ("replicas replaced", len(recovered), "replicas"),
            ("reward views taken", story.views, "views"),
            ("longest wait for a reward view", story.longest_view_gap_s, "s"),
            ("longest time without a verdict", story.longest_verdict_gap_s, "s"),
            ("label lag, median", books.lag_median_s, "s"),
            ("label lag, 99 %", books.lag_p99_s, "s"),
        )
    }
    if recovered:
        figures["recovery of a replica"] = figure(recovered, "s")
    rows: list[dict[str, Cell]] = [{"table": "hits", **asdict(kill)} for kill in story.kills]
    rows += [{"table": "NULLs", "status": status, "verdicts": count} for status, count in books.failures.items()]
    rows += [{"table": "failed attempts", "cause": cause, "questions": n} for cause, n in sorted(books.causes.items())]
    holds = (
        story.lost == story.twice == 0
        and books.balanced
        and len(recovered) == len(story.kills) > 0
        and story.longest_view_gap_s < STANDSTILL_S
    )
    return write_result(
        results / f"{NAME}.json",
        NAME,
        "While replicas of the reward server are killed and stopped under load, and the judge answers garbage, hangs "
        "and raises, no question is lost, no verdict is applied twice, the ledger balances, a learner that takes "
        f"reward views never waits {STANDSTILL_S:g} s, and every replica is replaced.",
        holds,
        command,
        figures,
        rows,
    )


def main(arguments: Sequence[str]) -> int:
    """The command; gives the exit code."""
    values: dict[str, Any] = parse(arguments)
    seconds, every_s = float(values.pop("seconds", SECONDS)), float(values.pop("every_s", EVERY_S))
    stop_every, per_s = int(values.pop("stop_every", STOP_EVERY)), float(values.pop("questions_per_s", QUESTIONS_PER_S))
    hits = int(values.pop("hits", 1))
    trouble, judge = float(values.pop("trouble", TROUBLE)), values.pop("judge", "builtin")
    results = Path(values.pop("results", "docs/results"))
    if values or judge not in ("builtin", "rules"):
        raise UserError(f"got judge={judge} and {sorted(values)}; expected builtin or rules, and the file's keys")
    config: JudgeConfig = BuiltinJudge() if judge == "builtin" else RulesJudge()
    prepare_judge(config)
    with (
        ray_session(RayConfig(object_store_mb=100), 4),
        serving("judge", partial(troubled_judge, config, trouble), "ask", SERVING) as service,
    ):
        story, books, hedging = asyncio.run(live(service, seconds, every_s, stop_every, per_s, hits))
    words = "".join(f" {argument}" for argument in arguments)
    result = report(story, books, hedging, f"python -m benchmarks.{NAME.replace('-', '_')}{words}", results)
    for name, found in result.figures.items():
        print(f"{name}: {found.value:.3g} {found.unit}")
    print(f"{results / f'{NAME}.json'}: holds {result.holds}")
    return 0 if result.holds else 1


if __name__ == "__main__":
    try:
        with sigterm_interrupts():
            sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end, nothing was written")
