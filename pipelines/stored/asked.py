"""`Asked`: subjects that a judge is asked about, each once, through the same ledger as in a live run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from pipelines.experiment import COMPONENT, Experiment
from pipelines.stored.evidence import printable
from pipelines.stored.reannotation import SAY_EVERY_S, Outcome, Settings
from pipelines.stored.verdict_sink import VerdictSink
from rewards.annotation.contract import counted
from rewards.annotation.ledger import AnnotationLedger
from rewards.budget import Budget, Reservation
from rewards.judges.canaried import CanariedJudge
from rewards.judges.judge import Answer, Judge, Question
from rewards.questions import caption_question, pair_question
from rewards.verdicts import Status, Verdict, to_arrow

PUT_EVERY, PUT_EVERY_S = 1024, 1.0  # answers in hand that a kill would lose, at most
PATIENCE_S = 60.0  # with a judge that fails whatever it is asked


@dataclass
class Asked:
    """Questions to a judge, through the ledger."""

    judge: Judge
    version: str
    kind: str
    subjects: pa.Array
    texts: list[tuple[str, ...]]
    unknown: int
    bounds: tuple[float, float]

    async def run(
        self, verdicts: VerdictSink, settings: Settings, experiment: Experiment, say: Callable[[str], None]
    ) -> Outcome:
        """Ask what was not judged yet under this version, as far as the settings allow, and store what comes back."""
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
        tokens = sum(counted(answer.tokens) for answer in answers)  # else the call counts in full
    except (TimeoutError, asyncio.TimeoutError):
        budget.settle(reservation, size, reservation.amount.tokens)  # what it took is not known
        return ledger.fail(batch_id, Status.TIMEOUT, f"no answer within {ledger.config.deadline_s:g} s")
    except Exception as error:  # whatever a judge raises is a fault of the judge, with its cause
        budget.settle(reservation, size, reservation.amount.tokens)
        return ledger.fail(batch_id, Status.JUDGE_FAULT, f"{type(error).__name__}: {error}")
    budget.settle(reservation, size, tokens)
    return ledger.complete(batch_id, answers, fingerprint)
