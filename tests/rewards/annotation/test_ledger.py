from __future__ import annotations

import json
import math
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.annotation.flights import Batch
from rewards.annotation.ledger import AnnotationLedger, Config
from rewards.judges.judge import Answer, Question
from rewards.verdicts import Status, Verdict

YES = Answer(Status.OK, 1.0)
UNPARSED = Answer(Status.UNPARSEABLE, cause="got 'perhaps'")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make(**config: object) -> tuple[AnnotationLedger, Clock]:
    clock = Clock()
    return AnnotationLedger(Config(**config), "helpful", "v1", clock), clock


def question(k: int) -> Question:
    return Question(str(k), "caption", (f"caption {k}",))


def taken(ledger: AnnotationLedger) -> Batch:
    batch = ledger.next_batch()
    assert batch is not None
    return batch


def answered(ledger: AnnotationLedger, batch: Batch, answer: Answer = YES) -> list[Verdict]:
    return ledger.complete(batch.id, [answer] * len(batch.questions), "judge")


def test_a_question_becomes_a_verdict_with_its_lag_and_latency() -> None:
    ledger, clock = make()
    ledger.ask(question(1), policy_version=7)
    clock.now = 2.0
    batch = taken(ledger)
    clock.now = 5.0
    (verdict,) = ledger.complete(batch.id, [Answer(Status.OK, 0.75, tokens=11)], "judge")
    assert verdict == Verdict(
        *("1", "caption", "helpful", "v1", 0.75, Status.OK, "judge"),
        **{"attempt": 1, "latency_s": 3.0, "tokens": 11, "policy_version": 7, "text": "caption 1"},
    )
    books = ledger.ledger()
    assert (books.asked, books.ok, books.tokens, books.lag_mean_s, books.lag_max_s) == (1, 1, 11, 5.0, 5.0)
    assert books.balanced and ledger.verdicts == {"1": verdict}


def test_the_newest_question_goes_first_and_the_oldest_by_choice() -> None:
    for order, expected in (("newest", ["3", "2"]), ("oldest", ["1", "2"])):
        ledger, _ = make(order=order, batch_size=2)
        for k in (1, 2, 3):
            ledger.ask(question(k))
        assert [q.subject for q in taken(ledger).questions] == expected


def test_a_restart_keeps_the_order() -> None:
    for order, expected in (("newest", ["3", "2", "1"]), ("oldest", ["1", "2", "3"])):
        ledger, _ = make(order=order)
        for k in (1, 2, 3):
            ledger.ask(question(k))
        again, _ = make(order=order)
        again.load_state_dict(json.loads(json.dumps(ledger.state_dict())))
        assert [q.subject for q in taken(again).questions] == expected


def test_oni_a_caption_waiting_for_its_label_is_not_asked_again() -> None:
    ledger, _ = make()
    assert ledger.ask(question(1)) == "queued"
    assert ledger.ask(question(1)) == "duplicate"  # pending
    batch = taken(ledger)
    assert ledger.ask(question(1)) == "duplicate"  # in flight
    assert ledger.next_batch() is None
    answered(ledger, batch)
    assert ledger.ask(question(1)) == "duplicate"  # judged
    assert ledger.next_batch() is None
    assert (ledger.ledger().asked, ledger.ledger().attempts, ledger.ledger().duplicates) == (1, 1, 3)


def test_a_question_that_waits_for_a_retry_is_not_asked_again() -> None:
    ledger, _ = make()
    ledger.ask(question(1))
    ledger.fail(taken(ledger).id, Status.JUDGE_FAULT, "replica died")
    assert ledger.ask(question(1)) == "duplicate"


def test_oni_one_failed_batch_does_not_end_annotation() -> None:
    ledger, clock = make(batch_size=1)
    ledger.ask(question(1))
    assert ledger.fail(taken(ledger).id, Status.JUDGE_FAULT, "the actor died") == []
    ledger.ask(question(2))
    assert [v.subject for v in answered(ledger, taken(ledger))] == ["2"]
    clock.now += 60.0
    (verdict,) = answered(ledger, taken(ledger))
    assert (verdict.subject, verdict.value, verdict.attempt) == ("1", 1.0, 2)
    assert ledger.ledger().causes == {"judge_fault: the actor died": 1}


def test_oni_an_unparsed_answer_is_null_and_not_zero() -> None:
    ledger, _ = make()
    ledger.ask(question(1))
    (verdict,) = answered(ledger, taken(ledger), UNPARSED)
    assert (verdict.value, verdict.status, verdict.cause) == (None, Status.UNPARSEABLE, "got 'perhaps'")
    assert ledger.ledger().failures == {"unparseable": 1}


def test_oni_the_backlog_is_bounded_and_survives_a_checkpoint() -> None:
    ledger, _ = make(queue_capacity=2, backfill_capacity=1)
    for k in range(5):
        ledger.ask(question(k))
    books = ledger.ledger()
    assert (books.pending, books.shed, books.asked) == (2, 3, 5)
    again, _ = make(queue_capacity=2)
    again.load_state_dict(json.loads(json.dumps(ledger.state_dict())))
    assert again.ledger() == books


@pytest.mark.parametrize(
    "answer",
    [
        Answer(Status.OK, math.nan),
        Answer(Status.OK, math.inf),
        Answer(Status.OK, None),
        Answer(Status.OK, 1.5),
        Answer(Status.OK, -0.1),
        Answer(Status.OK, 10**400),
        Answer(Status.OK, 1.0, scores=(10**400,)),
        Answer(Status.OK, 1.0, tokens=-1),
        Answer(Status.OK, 1.0, tokens=10**20),
        Answer(Status.OK, 1.0, tokens=0.5),
        Answer(Status.OK, 1.0, details={"x": object()}),
        Answer(Status.OK, 1.0, details={"x": "\ud800"}),
        Answer(Status.UNPARSEABLE, cause="\ud800"),
        Answer(Status.PENDING),
        None,
    ],
)
def test_an_answer_that_breaks_the_contract_is_a_judge_fault(answer: Answer) -> None:
    ledger, _ = make(max_attempts=1)
    ledger.ask(question(1))
    (verdict,) = answered(ledger, taken(ledger), answer)
    assert (verdict.value, verdict.status) == (None, Status.JUDGE_FAULT)
    assert "expected" in verdict.cause


def test_a_reply_of_the_wrong_length_is_a_judge_fault_of_all() -> None:
    ledger, _ = make(max_attempts=1)
    ledger.ask(question(1))
    ledger.ask(question(2))
    verdicts = ledger.complete(taken(ledger).id, [YES], "judge")
    assert [v.status for v in verdicts] == [Status.JUDGE_FAULT] * 2
    assert verdicts[0].cause == "got 1 answers to 2 questions"


def test_a_cause_with_half_a_character_can_be_written_down() -> None:
    ledger, _ = make(max_attempts=1)
    ledger.ask(question(1))
    (verdict,) = ledger.fail(taken(ledger).id, Status.JUDGE_FAULT, "got \ud800")
    assert verdict.cause == "got \\ud800"


def test_a_failure_whose_status_says_ok_is_refused() -> None:
    ledger, _ = make()
    with pytest.raises(ValueError, match="expected one that names a failure"):
        ledger.fail(0, Status.OK, "")


def test_retries_back_off_and_then_end_in_null() -> None:
    ledger, clock = make(max_attempts=3, backoff_s=1.0, backoff_max_s=100.0, breaker_failures=100)
    ledger.ask(question(1))
    for longest in (3.0, 9.0):  # each pause is at least the shortest, and at most three times the one before
        assert ledger.fail(taken(ledger).id, Status.TIMEOUT, "slow") == []
        clock.now += 1.0 - 1e-6
        assert ledger.next_batch() is None
        clock.now += longest - 1.0 + 1e-6
    (verdict,) = ledger.fail(taken(ledger).id, Status.TIMEOUT, "slow")
    assert (verdict.value, verdict.status, verdict.attempt) == (None, Status.TIMEOUT, 3)
    assert ledger.next_batch() is None
    assert (ledger.ledger().failures, ledger.ledger().retries) == ({"timeout": 1}, 2)


def test_what_the_policy_got_wrong_is_not_retried() -> None:
    ledger, _ = make()
    ledger.ask(question(1))
    (verdict,) = answered(ledger, taken(ledger), Answer(Status.POLICY_FAULT, cause="empty"))
    assert verdict.status is Status.POLICY_FAULT and ledger.pending == 0


def test_a_late_answer_of_an_expired_batch_is_ignored_and_counted() -> None:
    ledger, clock = make(deadline_s=10.0, backoff_s=0.0)
    ledger.ask(question(1))
    batch = taken(ledger)
    clock.now = 9.0
    assert ledger.expire() == [] and ledger.in_flight == 1
    clock.now = 10.0
    ledger.expire()
    assert (ledger.in_flight, ledger.pending) == (0, 1)
    assert answered(ledger, batch) == []
    assert ledger.ledger().late_batches == 1
    assert len(answered(ledger, taken(ledger))) == 1
    assert ledger.ledger().causes == {"timeout: no answer within 10 s": 1}


def test_batches_in_flight_are_bounded() -> None:
    ledger, _ = make(batch_size=1, max_in_flight=2)
    for k in range(3):
        ledger.ask(question(k))
    first = taken(ledger)
    taken(ledger)
    assert ledger.next_batch() is None
    answered(ledger, first)
    assert ledger.next_batch() is not None


def test_what_does_not_fill_a_batch_waits_while_others_are_with_the_judge() -> None:
    ledger, _ = make(batch_size=3, max_in_flight=3, partial_in_flight=1)
    ledger.ask(question(0))
    first = taken(ledger)  # nothing is under way: it goes alone
    for k in (1, 2):
        ledger.ask(question(k))
        assert ledger.next_batch() is None
    ledger.ask(question(3))
    assert len(taken(ledger).questions) == 3  # full
    for k in (4, 5):
        ledger.ask(question(k))
    answered(ledger, first)
    assert ledger.next_batch() is None  # the full one is under way
    assert ledger.next_batch(at_most=2) is not None  # as many as the limits allow are enough
    assert ledger.ledger().balanced


def test_the_breaker_opens_probes_with_one_question_and_closes() -> None:
    ledger, clock = make(batch_size=2, breaker_failures=2, breaker_cooldown_s=10.0, backoff_s=0.0, max_attempts=9)
    for k in range(4):
        ledger.ask(question(k))
    for _ in range(2):
        ledger.fail(taken(ledger).id, Status.JUDGE_FAULT, "gone")
    assert (ledger.breaker, ledger.next_batch()) == ("open", None)
    clock.now = 10.0
    assert ledger.breaker == "half_open"
    probe = taken(ledger)
    assert len(probe.questions) == 1 and ledger.next_batch() is None
    ledger.fail(probe.id, Status.JUDGE_FAULT, "gone")
    assert ledger.breaker == "open"
    clock.now = 20.0
    answered(ledger, taken(ledger))
    assert ledger.breaker == "closed" and len(taken(ledger).questions) == 2


def test_it_says_when_time_alone_lets_more_be_sent() -> None:
    pauses = {"backoff_s": 4.0, "backoff_max_s": 4.0, "breaker_failures": 2, "breaker_cooldown_s": 10.0}
    ledger, clock = make(max_attempts=9, **pauses)
    assert ledger.due_in() is None
    ledger.ask(question(1))
    assert ledger.due_in() is None, "what is ready needs no time"
    ledger.fail(taken(ledger).id, Status.JUDGE_FAULT, "gone")
    assert ledger.due_in() == 4.0
    clock.now = 3.0
    assert (ledger.next_batch(), ledger.due_in()) == (None, 1.0)
    clock.now = 4.0
    ledger.fail(taken(ledger).id, Status.JUDGE_FAULT, "gone")
    assert ledger.due_in() == 4.0, "the retry comes before the probe"
    clock.now = 8.0
    assert (ledger.next_batch(), ledger.due_in()) == (None, 6.0), "the breaker is open"
    clock.now = 14.0
    assert ledger.due_in() is None and len(taken(ledger).questions) == 1


def test_replies_that_are_all_faults_open_the_breaker_and_unparsed_ones_do_not() -> None:
    for answer, state in ((Answer(Status.JUDGE_FAULT, cause="x"), "open"), (UNPARSED, "closed")):
        ledger, _ = make(breaker_failures=1)
        ledger.ask(question(1))
        answered(ledger, taken(ledger), answer)
        assert ledger.breaker == state


def test_numbers_of_numpy_are_kept_as_pythons_own_in_books_and_checkpoint() -> None:
    ledger, _ = make()
    ledger.ask(question(1))
    answer = Answer(Status.OK, np.float32(0.5), tokens=np.int64(7), scores=(np.float32(0.25), None))
    (verdict,) = answered(ledger, taken(ledger), answer)
    assert ledger.recall(question(2), answer, "judge") is not None
    assert (verdict.tokens, verdict.scores, ledger.ledger().tokens_saved) == (7, (0.25, None), 7)
    again, _ = make()
    again.load_state_dict(json.loads(json.dumps(ledger.state_dict())))
    assert again.verdicts == ledger.verdicts and again.ledger().tokens == 7


def test_scores_that_are_none_at_all_are_a_fault_of_the_judge() -> None:
    ledger, _ = make(max_attempts=1)
    ledger.ask(question(1))
    (verdict,) = answered(ledger, taken(ledger), Answer(Status.OK, 1.0, scores=None))  # type: ignore[arg-type]
    assert (verdict.status, verdict.value) == (Status.JUDGE_FAULT, None)


def test_a_closed_ledger_takes_no_question_and_stays_balanced() -> None:
    ledger, _ = make()
    for k in (1, 2):
        ledger.ask(question(k))
    assert ledger.close() == 2
    assert ledger.ask(question(3)) == "closed" and ledger.recall(question(4), YES, "judge") is None
    assert ledger.next_batch() is None and "3" not in ledger
    assert ledger.ledger().balanced and ledger.ledger().asked == 2


def test_a_full_queue_sheds_the_oldest_and_takes_it_back_when_idle() -> None:
    ledger, _ = make(queue_capacity=2, batch_size=2)
    assert [ledger.ask(question(k)) for k in range(3)] == ["queued"] * 3
    assert (ledger.ledger().shed, ledger.pending, ledger.room) == (1, 2, 0)
    assert {v.subject for v in answered(ledger, taken(ledger))} == {"1", "2"}
    assert [v.subject for v in answered(ledger, taken(ledger))] == ["0"]
    assert (ledger.ledger().shed, ledger.ledger().asked, ledger.ledger().ok) == (0, 3, 3)


def test_a_full_first_in_first_out_queue_sheds_the_new_one_which_may_be_asked_again() -> None:
    ledger, _ = make(order="oldest", queue_capacity=1, backfill=False)
    assert [ledger.ask(question(k)) for k in (1, 2)] == ["queued", "shed"]
    answered(ledger, taken(ledger))
    assert ledger.next_batch() is None
    assert ledger.ask(question(2)) == "queued"
    assert len(answered(ledger, taken(ledger))) == 1
    assert (ledger.ledger().asked, ledger.ledger().shed) == (2, 0)


def test_what_the_judges_own_queue_shed_is_no_verdict() -> None:
    ledger, _ = make(backfill=False)
    ledger.ask(question(1))
    assert answered(ledger, taken(ledger), Answer(Status.SHED, cause="overloaded")) == []
    assert ledger.ledger().shed == 1 and ledger.ledger().balanced
    assert ledger.ask(question(1)) == "queued"


def test_what_was_in_flight_is_pending_after_a_restart() -> None:
    ledger, clock = make(batch_size=1, max_in_flight=1)
    clock.now = 100.0
    ledger.ask(question(1))
    ledger.ask(question(2))
    lost = taken(ledger)
    clock.now = 103.0
    state = json.loads(json.dumps(ledger.state_dict()))
    again, other_clock = make(batch_size=2)
    other_clock.now = 5.0
    again.load_state_dict(state)
    assert (again.pending, again.in_flight) == (2, 0) and again.ledger().balanced
    assert answered(again, lost) == []
    verdicts = answered(again, taken(again))
    assert [(v.subject, v.attempt) for v in verdicts] == [("1", 1), ("2", 1)]
    assert again.ledger().lag_max_s == 3.0


def test_a_restart_continues_with_the_same_jitter() -> None:
    ledger, _ = make()
    again, _ = make(seed=1)
    again.load_state_dict(json.loads(json.dumps(ledger.state_dict())))
    assert again._random.random() == ledger._random.random()


def test_the_state_of_another_component_or_reward_version_is_refused() -> None:
    ledger, clock = make()
    for component, version in (("rank", "v1"), ("helpful", "v2")):
        other = AnnotationLedger(Config(), component, version, clock)
        with pytest.raises(ValueError, match=rf"expected .*'{component}', '{version}'"):
            other.load_state_dict(ledger.state_dict())


def test_ever_new_causes_do_not_fill_the_memory() -> None:
    ledger, clock = make(breaker_failures=10**6, backoff_s=0.0, max_attempts=10**6)
    ledger.ask(question(1))
    for k in range(200):
        ledger.fail(taken(ledger).id, Status.JUDGE_FAULT, f"request {k} failed")
        clock.now += 1.0
    causes = ledger.ledger().causes
    assert len(causes) == 65 and sum(causes.values()) == 200


OPERATIONS = ("ask", "send", "answer", "garble", "unparsed", "overload", "fail", "wait", "expire", "restart")


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    operations=st.lists(st.sampled_from(OPERATIONS), max_size=120),
    seed=st.integers(0, 2**32),
    order=st.sampled_from(["newest", "oldest"]),
    backfill=st.booleans(),
)
def test_the_books_balance_and_no_verdict_comes_twice(
    operations: list[str], seed: int, order: str, backfill: bool
) -> None:
    config = {"queue_capacity": 4, "batch_size": 2, "max_in_flight": 2, "deadline_s": 5.0, "breaker_failures": 3}
    config |= {"order": order, "backfill": backfill, "breaker_cooldown_s": 3.0, "backfill_capacity": 2}
    ledger, clock = make(**config)
    rng = random.Random(seed)
    sent: list[Batch] = []
    seen: Counter[str] = Counter()
    for operation in operations:
        batch = rng.choice(sent) if sent else Batch(10**6, ())
        verdicts: list[Verdict] = []
        if operation == "ask":
            ledger.ask(question(rng.randrange(12)), policy_version=1)
        elif operation == "send" and (new := ledger.next_batch()):
            sent.append(new)
        elif operation == "answer":
            verdicts = answered(ledger, batch)
        elif operation == "garble":
            verdicts = ledger.complete(batch.id, [YES] * 3, "judge")
        elif operation == "unparsed":
            verdicts = answered(ledger, batch, UNPARSED)
        elif operation == "overload":
            verdicts = answered(ledger, batch, Answer(Status.SHED))
        elif operation == "fail":
            verdicts = ledger.fail(batch.id, Status.JUDGE_FAULT, "gone")
        elif operation == "expire":
            verdicts = ledger.expire()
        elif operation == "wait":
            clock.now += rng.choice([0.1, 1.0, 4.0])
        elif operation == "restart":
            state = json.loads(json.dumps(ledger.state_dict()))
            ledger = AnnotationLedger(Config(**config), "helpful", "v1", clock)
            ledger.load_state_dict(state)
        seen.update(v.subject for v in verdicts)
        books = ledger.ledger()
        assert books.balanced, books
        assert all(n == 1 for n in seen.values())
        assert set(seen) == set(ledger.verdicts)
        assert books.ok + sum(books.failures.values()) == len(seen)
        assert books.in_flight <= 4


def test_everything_asked_is_judged_in_the_end_by_a_judge_that_fails_half_of_the_time() -> None:
    ledger, clock = make(max_attempts=50, batch_size=8, queue_capacity=50)
    rng = random.Random(0)
    for k in range(200):
        ledger.ask(question(k))
    for _ in range(2000):
        if (batch := ledger.next_batch()) is not None:
            if rng.random() < 0.5:
                ledger.fail(batch.id, Status.JUDGE_FAULT, "gone")
            else:
                answered(ledger, batch)
        clock.now += 1.0
    assert (ledger.ledger().ok, ledger.ledger().balanced) == (200, True)


def test_what_was_answered_after_the_checkpoint_is_not_asked_again() -> None:
    ledger, _ = make(batch_size=1, queue_capacity=2)
    for k in (1, 2, 3):  # 1 is shed, 3 is with the judge, 2 waits
        ledger.ask(question(k))
    batch = taken(ledger)
    state = json.loads(json.dumps(ledger.state_dict()))
    (verdict,) = ledger.complete(batch.id, [Answer(Status.OK, 1.0, tokens=10)], "judge")
    again, _ = make(queue_capacity=2)
    again.load_state_dict(state)
    (recalled,) = again.recall_pending({"3": verdict, "4": verdict})
    assert (recalled.subject, recalled.value, recalled.judge_fingerprint) == ("3", 1.0, "judge")
    assert [q.subject for q in taken(again).questions] == ["2"]
    books = again.ledger()
    assert (books.ok, books.tokens, books.tokens_saved, books.balanced) == (1, 0, 10, True)
