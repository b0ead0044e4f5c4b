from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rewards import budget, cache, rates
from rewards.annotation import hedging
from rewards.annotation.annotator import LOOK_S, Annotator
from rewards.annotation.ledger import AnnotationLedger, Config
from rewards.annotation.permits import Permits
from rewards.judges.judge import Answer, Question
from rewards.verdicts import Status, Verdict


class Busy(Exception):
    pass


class Scripted:
    """A judge that does what a script says for each call, and after its end answers."""

    def __init__(self, *script: Any) -> None:
        self.script, self.calls = list(script), []

    async def __call__(self, questions: tuple[Question, ...]) -> tuple[str, Sequence[Answer]]:
        self.calls.append([question.subject for question in questions])
        step = self.script.pop(0) if self.script else None
        if isinstance(step, float):
            await asyncio.sleep(step)
        elif isinstance(step, asyncio.Event):
            await step.wait()
        elif isinstance(step, BaseException):
            raise step
        elif step is not None:
            return step
        return "judge", [Answer(Status.OK, 1.0, tokens=10) for _ in questions]


def question(k: object) -> Question:
    return Question(str(k), "caption", (f"caption {k}",))


def ledger_of(**config: Any) -> AnnotationLedger:
    config = {"backoff_s": 0.005, "backoff_max_s": 0.01, "breaker_cooldown_s": 0.02, **config}
    return AnnotationLedger(Config(**config), "helpful", "v1", time.monotonic)


def asked(annotator: Annotator, count: int, within_s: float = 250.0) -> list[Verdict]:
    async def go() -> list[Verdict]:
        async with annotator:
            return await asyncio.gather(*(annotator.ask(question(k), within_s=within_s) for k in range(count)))

    return asyncio.run(go())


def test_many_askers_are_answered_by_few_calls() -> None:
    judge, seen = Scripted(), []
    ledger = ledger_of(batch_size=16)
    verdicts = asked(Annotator(ledger, judge, on_verdicts=seen.extend), 64)
    assert [v.subject for v in verdicts] == [str(k) for k in range(64)]
    assert [len(call) for call in judge.calls] == [16] * 4
    assert sorted(v.subject for v in seen) == sorted(v.subject for v in verdicts)
    assert ledger.ledger().balanced


def test_whoever_asks_the_same_waits_for_the_same_answer() -> None:
    judge, ledger = Scripted(0.05), ledger_of()

    async def go() -> list[Verdict]:
        async with Annotator(ledger, judge) as annotator:
            first = await asyncio.gather(*(annotator.ask(question(1)) for _ in range(5)))
            return [*first, await annotator.ask(question(1))]

    assert len(set(map(id, asyncio.run(go())))) == 1 and judge.calls == [["1"]]
    assert ledger.ledger().duplicates == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trouble", "cause"),
    [
        (ConnectionError("the replica died"), "judge_fault: ConnectionError: the replica died"),
        (("judge", [Answer(Status.OK, float("nan"))]), "judge_fault: got value nan"),
        (asyncio.CancelledError(), "judge_fault: the call was cancelled"),
        (("judge", [Answer(Status.OK, 10**400)]), "judge_fault: got value 1000"),
        (("judge", [Answer(Status.OK, 1.0, tokens=10**20)]), "judge_fault: ValueError: got 10000000000000000"),
        (("judge", [Answer(Status.OK, 1.0, tokens=-1)]), "judge_fault: ValueError: got -1 tokens"),
        (("judge", [Answer(Status.OK, 1.0, details={"x": object()})]), "judge_fault: got a cause or details that"),
        (("judge", []), "judge_fault: got 0 answers"),
        (("judge", "yes"), "judge_fault: AttributeError"),
        ("garbage", "judge_fault: ValueError"),
        (60.0, "timeout: no answer within 0.5 s"),
    ],
)
def test_whatever_goes_wrong_is_counted_by_its_cause_and_asked_again(trouble: Any, cause: str) -> None:
    ledger = ledger_of(deadline_s=0.5 if isinstance(trouble, float) else 60.0, max_attempts=100)
    (verdict,) = asked(Annotator(ledger, Scripted(trouble)), 1)
    # A busy machine may be late for the second answer too, where the deadline is short.
    assert verdict.value == 1.0 and (verdict.attempt == 2 or (verdict.attempt > 2 and isinstance(trouble, float)))
    assert [found for found in ledger.ledger().causes if found.startswith(cause)]


def test_a_judge_that_always_fails_ends_in_null_and_not_in_zero() -> None:
    (verdict,) = asked(Annotator(ledger_of(max_attempts=2), Scripted(*[OSError("500")] * 2)), 1)
    assert (verdict.value, verdict.status, verdict.attempt) == (None, Status.JUDGE_FAULT, 2)


def test_a_busy_judge_is_asked_again_later_and_it_costs_no_attempt() -> None:
    judge, ledger = Scripted(Busy(), Busy(), Busy()), ledger_of(max_attempts=1, breaker_failures=1)
    annotator = Annotator(ledger, judge, busy=(Busy,))
    assert [v.value for v in asked(annotator, 3)] == [1.0] * 3
    books = ledger.ledger()
    assert (books.returned_batches, books.attempts, books.failed_batches, books.breaker) == (3, 3, 0, "closed")


def test_the_slow_call_is_made_again_and_the_verdict_is_applied_once() -> None:
    seen: list[Verdict] = []
    settings = hedging.Config(warm_up=5, at_most=1.0, shortest_s=0.02)
    ledger = ledger_of(batch_size=1, max_in_flight=1, deadline_s=120.0)
    judge = Scripted(*[None] * 5, 60.0)
    annotator = Annotator(ledger, judge, hedging=hedging.Hedging(settings), on_verdicts=seen.extend)
    asked(annotator, 6)
    assert annotator.hedging and annotator.hedging.won == 1
    assert len(judge.calls) == 7 and len(seen) == 6 and ledger.ledger().balanced


@pytest.mark.parametrize(
    ("first_dies", "attempt", "spent"),
    [
        (True, 2, (3, 120)),  # a question at 10 tokens, a call that died at 100, and its repetition at 10
        (False, 1, (2, 20)),  # two questions at 10 tokens
    ],
)
def test_a_second_call_that_was_never_begun_costs_nothing_and_hides_no_failure(
    first_dies: bool, attempt: int, spent: tuple[int, int]
) -> None:
    calls, again = [], asyncio.Event()

    async def judge(questions: tuple[Question, ...]) -> tuple[str, Sequence[Answer]]:
        calls.append(questions)
        if len(calls) == 2:
            await again.wait()
            if first_dies:
                raise OSError("gone")
            await asyncio.sleep(0.05)
        elif len(calls) == 3:
            again.set()
            await asyncio.sleep(0.05 if first_dies else 0.0)
            raise Busy
        return "judge", [Answer(Status.OK, 1.0, tokens=10) for _ in questions]

    account = budget.Budget(budget.Config(tokens=10_000, tokens_a_question=100))
    hedged = hedging.Hedging(hedging.Config(warm_up=1, at_most=0.6, shortest_s=0.02))  # the second of three calls
    annotator = Annotator(ledger_of(), judge, busy=(Busy,), hedging=hedged, permits=Permits(account))

    async def go() -> Verdict:
        async with annotator:
            await annotator.ask(question(0), within_s=250.0)
            return await annotator.ask(question(1), within_s=250.0)

    verdict = asyncio.run(go())
    assert (verdict.value, verdict.attempt, hedged.hedged) == (1.0, attempt, 1)
    assert account.account().spent[:2] == spent and account.account().reserved.requests == 0


def test_what_was_answered_in_another_run_is_not_asked_again(tmp_path: Path) -> None:
    for judged in (20, 0):
        kept, ledger, judge = cache.VerdictCache(cache.Config(file=str(tmp_path / "c.db"))), ledger_of(), Scripted()
        verdicts = asked(Annotator(ledger, judge, fingerprint="judge", cache=kept), 20)
        assert [v.value for v in verdicts] == [1.0] * 20
        assert sum(map(len, judge.calls)) == judged
        books = ledger.ledger()
        assert (books.cached, books.tokens, books.tokens_saved) == (20 - judged, 10 * judged, 10 * (20 - judged))
        assert books.balanced and books.hit_rate == (0.0 if judged else 1.0)
        kept.close()


def limits(degrade: str, **settings: Any) -> Permits:
    return Permits(budget.Budget(budget.Config(degrade=degrade, **settings)), look_again_s=0.05)


def test_over_budget_is_null_with_that_status_and_blames_no_judge() -> None:
    permits, ledger, judge = limits("over_budget", requests=5), ledger_of(batch_size=4), Scripted()
    verdicts = asked(Annotator(ledger, judge, permits=permits), 12)
    assert sum(map(len, judge.calls)) == 5, "to the last one"
    assert [v.status for v in verdicts].count(Status.OVER_BUDGET) == 7
    assert all(v.value is None for v in verdicts if v.status is Status.OVER_BUDGET)
    assert ledger.ledger().failed_batches == 0 and ledger.ledger().balanced


def test_what_calls_under_way_have_reserved_is_waited_for_and_is_no_end_of_the_budget() -> None:
    """32 questions reserve 32,768 of 33,000 tokens, and take 320: there is room for the other eight."""
    permits = Permits(budget.Budget(budget.Config(tokens=33_000)))
    verdicts = asked(Annotator(ledger_of(), Scripted(), permits=permits), 40)
    assert [verdict.value for verdict in verdicts] == [1.0] * 40


def test_out_of_budget_a_cheaper_judge_answers_under_its_own_name() -> None:
    async def cheap(questions: tuple[Question, ...]) -> tuple[str, Sequence[Answer]]:
        return "cheap", [Answer(Status.OK, 0.0) for _ in questions]

    verdicts = asked(Annotator(ledger_of(), Scripted(), permits=limits("fallback", requests=3), fallback=cheap), 10)
    assert [v.judge_fingerprint for v in verdicts].count("judge") == 3
    assert {v.judge_fingerprint for v in verdicts if v.value == 0.0} == {"cheap"}
    with pytest.raises(ValueError, match="without a cheaper judge"):
        Annotator(ledger_of(), Scripted(), permits=limits("fallback", requests=3))


def test_out_of_budget_questions_wait_until_there_is_some_again(tmp_path: Path) -> None:
    file = str(tmp_path / "budget.db")
    ledger, judge = ledger_of(), Scripted()

    async def go() -> None:
        poor = Permits(budget.Budget(budget.Config(requests=2, degrade="stop", file=file)), look_again_s=0.01)
        async with Annotator(ledger, judge, permits=poor) as annotator:
            for k in range(5):
                annotator.post(question(k))
            until = time.monotonic() + 250
            while len(ledger.verdicts) < 2 and time.monotonic() < until:
                await asyncio.sleep(0.01)
            with pytest.raises(asyncio.TimeoutError):
                await annotator.drain(0.1)
        assert (len(ledger.verdicts), ledger.pending) == (2, 3)
        rich = Permits(budget.Budget(budget.Config(requests=9, degrade="stop", file=file)))
        async with Annotator(ledger, judge, permits=rich) as annotator:
            await annotator.drain(250.0)

    asyncio.run(go())
    assert ledger.ledger().ok == 5 and sum(map(len, judge.calls)) == 5


def test_a_rate_limit_makes_questions_wait_and_loses_none() -> None:
    config = rates.Config(requests_per_minute=60 * 50, burst_s=0.1)  # five at once, then fifty a second
    began = time.monotonic()
    verdicts = asked(Annotator(ledger_of(batch_size=1), Scripted(), permits=Permits(rates=rates.RateLimit(config))), 20)
    assert all(v.value == 1.0 for v in verdicts) and time.monotonic() - began > 0.25


def test_the_answer_is_charged_by_what_it_took_and_a_failed_call_in_full() -> None:
    account = budget.Budget(budget.Config(tokens=10_000, tokens_a_question=100))
    asked(Annotator(ledger_of(), Scripted(OSError("gone")), permits=Permits(account)), 4)
    # Four questions failed once, at 100 tokens each as nobody knows better, and then took 10 each.
    assert account.account().spent[:2] == (8, 440) and account.account().reserved.requests == 0


def test_whoever_waits_too_long_is_told_and_the_question_stays_owed() -> None:
    ledger, go_on = ledger_of(deadline_s=250.0), asyncio.Event()

    async def go() -> None:
        async with Annotator(ledger, Scripted(go_on)) as annotator:
            with pytest.raises(asyncio.TimeoutError):
                await annotator.ask(question(1), within_s=0.05)
            assert ledger.pending + ledger.in_flight == 1 and not annotator._waiting
            go_on.set()
            assert (await annotator.ask(question(1))).value == 1.0

    asyncio.run(go())


def test_what_is_shed_comes_back_and_is_answered() -> None:
    ledger = ledger_of(queue_capacity=4, batch_size=2, max_in_flight=1)
    verdicts = asked(Annotator(ledger, Scripted()), 30)
    assert len(verdicts) == 30 and ledger.ledger().shed == 0


def test_nobody_looks_again_and_again_while_a_retry_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, looks = ledger_of(backoff_s=0.6, backoff_max_s=0.6), []
    look = ledger.next_batch
    monkeypatch.setattr(ledger, "next_batch", lambda at_most=None: (looks.append(1), look(at_most))[1])
    began = time.monotonic()
    (verdict,) = asked(Annotator(ledger, Scripted(OSError("gone"))), 1)
    assert verdict.attempt == 2
    assert len(looks) <= 15 + (time.monotonic() - began) / LOOK_S, "where it is slow, more may look"


def test_a_ledger_that_was_let_go_is_looked_at() -> None:
    ledger, judge = ledger_of(), Scripted()
    ledger.held = True

    async def go() -> float | None:
        async with Annotator(ledger, judge) as annotator:
            waiting = asyncio.create_task(annotator.ask(question(1), within_s=250.0))
            await asyncio.sleep(0.01)
            assert judge.calls == []
            ledger.held = False
            return (await waiting).value

    assert asyncio.run(go()) == 1.0


def test_verdicts_that_cannot_be_stored_end_annotation_for_whoever_asks_or_attends() -> None:
    def full(verdicts: list[Verdict]) -> None:
        raise OSError(28, "no space is left")

    async def go() -> None:
        async with Annotator(ledger_of(), Scripted(), on_verdicts=full) as annotator:
            attending = asyncio.create_task(annotator.attend())
            for ended in (annotator.ask(question(1)), attending, annotator.ask(question(2))):
                with pytest.raises(OSError, match="no space"):
                    await ended

    with pytest.raises(OSError, match="no space"):
        asyncio.run(go())


def test_questions_that_do_not_fill_a_batch_wait_for_company_after_a_call() -> None:
    judge, ledger = Scripted(), ledger_of(batch_size=3)

    async def go() -> None:
        async with Annotator(ledger, judge, company_s=1000.0) as annotator:
            await annotator.ask(question(0))
            assert judge.calls == [["0"]], "the first one goes at once"
            waiting = [asyncio.create_task(annotator.ask(question(k))) for k in (1, 2)]
            await asyncio.sleep(0.05)
            assert len(judge.calls) == 1
            await asyncio.gather(annotator.ask(question(3)), *waiting)
            assert sorted(judge.calls[1]) == ["1", "2", "3"]
        async with Annotator(ledger, judge, company_s=0.05) as annotator:
            await annotator.ask(question(4))
            await annotator.ask(question(5))  # nobody comes, and it goes alone

    asyncio.run(go())
    assert judge.calls[2:] == [["4"], ["5"]]
