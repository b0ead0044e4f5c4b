from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.budget import NANO, Amount, Budget, Config
from rewards.database import DatabaseForeign
from rewards.prices import Prices
from rewards.rates import Config as RateConfig
from rewards.rates import RateLimit


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_what_was_reserved_is_settled_by_what_it_took() -> None:
    prices = Prices(request=0.01, million_tokens=2.0)
    budget = Budget(Config(tokens=1000, money=1.0, tokens_a_question=100), prices)
    reservation = budget.reserve(3)
    assert reservation is not None
    # Three requests at 0.01 and 300 tokens at two millionths: 0.03 + 0.0006.
    assert reservation.amount == Amount(3, 300, 30_600_000)
    assert budget.settle(reservation, 3, 120)
    assert budget.account().spent == Amount(3, 120, 30_240_000) and budget.account().reserved == Amount(0, 0, 0)
    assert not budget.settle(reservation, 3, 120), "once"


@pytest.mark.parametrize(
    ("limits", "fit"),
    [({"requests": 5}, 5), ({"tokens": 799}, 7), ({"money": 0.0009}, 9), ({"requests": 0}, 0), ({}, 50)],
)
def test_no_limit_is_passed_and_none_is_left_unused(limits: dict[str, Any], fit: int) -> None:
    budget = Budget(Config(**limits, tokens_a_question=100), Prices(million_tokens=1.0))
    granted = [budget.reserve(1) for _ in range(50)]
    assert sum(one is not None for one in granted) == fit
    assert budget.account().refused == 50 - fit


def test_what_was_never_sent_is_free_again() -> None:
    budget = Budget(Config(requests=1))
    reservation = budget.reserve(1)
    assert reservation is not None and budget.reserve(1) is None
    assert budget.release(reservation) and not budget.release(reservation)
    assert budget.reserve(1) is not None


def test_what_is_only_reserved_may_come_back() -> None:
    budget = Budget(Config(requests=3))
    reservation = budget.reserve(2)
    assert reservation is not None and budget.reserve(2) is None
    assert budget.only_reserved(2) and budget.only_reserved(3) and not budget.only_reserved(4)
    budget.settle(reservation, 2, 0)
    assert not budget.only_reserved(2) and budget.only_reserved(1)


def test_a_reservation_whose_owner_died_counts_as_spent() -> None:
    clock = Clock()
    budget = Budget(Config(requests=3, lease_s=60), clock=clock)
    lost = budget.reserve(2)
    clock.now += 60
    account = budget.account()
    assert (account.spent.requests, account.reserved.requests, account.forfeited) == (2, 0, 1)
    assert lost is not None and not budget.settle(lost, 2, 0) and budget.reserve(2) is None


def test_a_judge_that_takes_more_than_it_can_is_counted() -> None:
    budget = Budget(Config(tokens=100, tokens_a_question=50))
    reservation = budget.reserve(1)
    assert reservation is not None
    budget.settle(reservation, 1, 400)
    assert budget.account().overruns == 1 and budget.account().spent.tokens == 400 and budget.reserve(1) is None


def test_money_is_counted_without_rounding_errors() -> None:
    budget = Budget(Config(money=1.0), Prices(million_tokens=0.15))
    for _ in range(1000):
        reservation = budget.reserve(1)
        assert reservation is not None
        budget.settle(reservation, 1, 7)
    assert budget.account().spent.money == 1000 * 7 * 150  # 0.15 a million tokens is 150 billionths a token
    assert budget.account().spent.money / NANO == 0.00105


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["reserve", "settle", "release", "wait"]), st.integers(1, 4)), max_size=60
)


@given(OPERATIONS, st.integers(0, 12))
def test_spent_and_reserved_never_pass_the_limit(operations: list[tuple[str, int]], limit: int) -> None:
    clock = Clock()
    budgets = [Budget(Config(requests=limit, lease_s=5), clock=clock)]
    held = []
    for operation, n in operations:
        if operation == "reserve" and (reservation := budgets[0].reserve(n)):
            held.append(reservation)
        elif operation == "wait":
            clock.now += n
        elif held and operation in ("settle", "release"):
            reservation = held.pop(n % len(held))
            if operation == "settle":
                budgets[0].settle(reservation, reservation.amount.requests, 0)
            else:
                budgets[0].release(reservation)
        account = budgets[0].account()
        assert account.spent.requests + account.reserved.requests <= limit
    budgets[0].close()


SPENDER = """
import sys
from rewards.budget import Budget, Config
budget, granted = Budget(Config(requests=200, file=sys.argv[1])), 0
while (reservation := budget.reserve(1)) is not None:
    budget.settle(reservation, 1, 0)
    granted += 1
print(granted)
"""


@pytest.mark.slow
def test_processes_that_spend_at_once_spend_exactly_the_limit(tmp_path: Path) -> None:
    path = str(tmp_path / "budget.db")
    command = [sys.executable, "-c", SPENDER, path]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    granted = [int(process.communicate(timeout=250)[0]) for process in processes]
    assert sum(granted) == 200 == Budget(Config(file=path)).account().spent.requests


HOLDER = """
import sys, time
from rewards.budget import Budget, Config
budget = Budget(Config(requests=10, lease_s=600.0, file=sys.argv[1]))
budget.reserve(4)
print("reserved", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_a_process_killed_between_asking_and_paying_does_not_make_the_budget_larger(tmp_path: Path) -> None:
    path = str(tmp_path / "budget.db")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"reserved\n"
    holder.kill()
    holder.communicate()
    now = time.time()
    budget = Budget(Config(requests=10, lease_s=1e6, file=path), clock=lambda: now)
    assert budget.reserve(7) is None and budget.reserve(6) is not None
    now += 1200
    assert budget.account().forfeited == 1 and budget.account().spent.requests == 4


def test_a_budget_file_is_not_a_rate_file(tmp_path: Path) -> None:
    path = str(tmp_path / "shared.db")
    Budget(Config(file=path)).close()
    with pytest.raises(DatabaseForeign, match="expected a rate limits file"):
        RateLimit(RateConfig(requests_per_minute=1, file=path))


def test_what_is_left_is_a_share_of_each_limit_and_no_limit_has_none():
    budget = Budget(Config(requests=4, tokens=1000, tokens_a_question=100))
    assert budget.left() == {"requests": 1.0, "tokens": 1.0}
    reservation = budget.reserve(1)
    assert budget.left() == {"requests": 0.75, "tokens": 0.9}
    budget.settle(reservation, requests=1, tokens=50)
    assert budget.left() == {"requests": 0.75, "tokens": 0.95}
    assert Budget(Config(requests=0)).left() == {"requests": 0.0}
