"""What a judge says it took, where a stored run is judged anew: it is checked before it is money."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from pipelines.stored.asked import _ask
from pipelines.stored.reannotation import Settings
from rewards.annotation.ledger import AnnotationLedger, Config
from rewards.budget import Budget
from rewards.judges.judge import Answer
from rewards.questions import caption_question
from rewards.verdicts import Status


class Sayer:
    """A judge that says yes, and that it took so many tokens."""

    fingerprint = "sayer"

    def __init__(self, tokens):
        self._tokens = tokens

    async def judge(self, questions):
        return [Answer(Status.OK, 1.0, tokens=self._tokens)] * len(questions)

    async def check(self):
        """Always reachable."""


def judged(tokens, directory):
    """Statuses of two questions, and what the books and the budget say that they took."""
    settings = Settings(budget={"tokens": 10_000, "tokens_a_question": 100, "file": str(directory / "budget.db")})
    ledger = AnnotationLedger(Config(max_attempts=1), "intrinsic", "v", time.monotonic, settings.prices)
    verdicts = []
    questions = iter([caption_question("a key"), caption_question("a door")])
    stopped = asyncio.run(_ask(ledger, Sayer(tokens), questions, settings, verdicts.extend))
    assert not stopped and ledger.ledger().balanced
    budget = Budget(settings.budget)
    spent = budget.account().spent.tokens
    budget.close()
    return [verdict.status for verdict in verdicts], ledger.ledger().tokens, spent


def test_tokens_of_numpy_are_tokens(tmp_path):
    assert judged(np.int64(7), tmp_path) == ([Status.OK] * 2, 14, 14)


@pytest.mark.parametrize("tokens", [-5, 10**30, "7"])
def test_what_is_no_count_is_a_fault_of_the_judge_and_counts_in_full(tokens, tmp_path):
    assert judged(tokens, tmp_path) == ([Status.JUDGE_FAULT] * 2, 0, 200)
