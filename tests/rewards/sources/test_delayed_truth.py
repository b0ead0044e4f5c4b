from __future__ import annotations

import json

import pyarrow as pa
import pytest

from envs.storage.store import Config
from rewards.sources.delayed_truth import DelayedTruth, Promise
from rewards.verdict_store import PENDING, VerdictStore
from rewards.verdicts import Status, to_arrow


def waiting(*answers, patience=float("inf")):
    found = DelayedTruth("forecast", "v1", lambda answer, truth: float(answer.said == truth), patience)
    for answer in answers:
        found.promise(answer)
    return found


A = Promise("row-a", "q1", "yes", asked=1, happens=3)
B = Promise("row-b", "q2", "yes", asked=1, happens=2, newest=0.5, policy_version=7)


def test_rewards_wait_until_they_are_due_and_come_in_the_order_of_the_truth():
    truth = waiting(A, B)
    assert truth.due(1) == [] and truth.settle(1, {"q1": "yes", "q2": "yes"}) == []  # nobody is told early
    (first,) = truth.settle(2, {"q1": "yes", "q2": "no"})
    assert (first.subject, first.subject_kind, first.value, first.policy_version) == ("row-b", "row", 0.0, 7)
    (second,) = truth.settle(3, {"q1": "yes"})
    assert (second.subject, second.value) == ("row-a", 1.0) and len(truth) == 0


def test_a_truth_that_does_not_come_is_null_and_never_zero():
    truth = waiting(A, patience=2)
    assert truth.settle(5, {}) == [] and len(truth) == 1
    (verdict,) = truth.settle(5.5, {})
    assert verdict.value is None and verdict.status is Status.TIMEOUT and "q1" in verdict.cause


def test_an_answer_that_cannot_be_scored_is_null_and_waits_no_longer():
    truth = DelayedTruth("forecast", "v1", lambda answer, truth: float("nan"))
    truth.promise(A)
    (verdict,) = truth.settle(3, {"q1": "yes"})
    assert verdict.value is None and verdict.status is Status.POLICY_FAULT and "'yes'" in verdict.cause
    assert len(truth) == 0


def test_what_is_no_forecast_is_refused():
    for late in (Promise("r", "q", 1, asked=3, happens=3), Promise("r", "q", 1, asked=1, happens=3, newest=2)):
        with pytest.raises(ValueError, match="before the event"):
            waiting(late)
    with pytest.raises(ValueError, match="one answer a row"):
        waiting(A, A)
    with pytest.raises(ValueError, match="at least 0"):
        waiting(patience=-1)


def test_what_waits_outlives_its_process():
    again = waiting()
    again.load(json.loads(json.dumps(waiting(A, B).state())))
    assert again.due(3) == [A, B]


def test_back_filled_rewards_land_on_their_rows(tmp_path):
    truth, rows = waiting(A, B), pa.array(["row-b", "row-a"])
    with VerdictStore(tmp_path / "v", config=Config(fsync="none")) as store:
        assert (store.join(rows, "forecast").statuses == PENDING).all()
        for now in (2, 3):
            store.put(to_arrow(truth.settle(now, {"q1": "yes", "q2": "no"})))
        assert store.join(rows, "forecast").values.tolist() == [0, 1]
