from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.rates import Config, RateLimit


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_is_full_at_first_and_fills_at_its_rate() -> None:
    clock = Clock()
    limit = RateLimit(Config(requests_per_minute=120, burst_s=2.0), clock=clock)  # two a second, four at once
    assert [limit.take(1, 0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.5]
    clock.now += 0.5
    assert limit.take(1, 0) == 0.0 and limit.take(1, 0) == 0.5
    clock.now += 100
    assert [limit.take(1, 0) for _ in range(4)] == [0.0] * 4, "no more than it holds"
    assert limit.take(1, 0) > 0


def test_tokens_and_requests_are_both_taken_or_none() -> None:
    clock = Clock()
    limit = RateLimit(Config(requests_per_minute=60, tokens_per_minute=600, burst_s=10.0), clock=clock)
    assert limit.take(1, 100) == 0.0
    assert limit.take(1, 50) == 5.0, "ten tokens a second"
    assert limit.take(9, 0) == 0.0, "the refused call took no request"


def test_what_was_not_used_is_given_back_and_what_was_used_beyond_is_taken() -> None:
    clock = Clock()
    limit = RateLimit(Config(tokens_per_minute=600, burst_s=10.0), clock=clock)
    limit.take(1, 100)
    limit.correct(60)
    assert limit.take(1, 60) == 0.0
    limit.correct(-50)
    assert limit.take(1, 10) == 6.0


def test_a_call_larger_than_the_bucket_goes_when_it_is_full_and_leaves_a_debt() -> None:
    clock = Clock()
    limit = RateLimit(Config(requests_per_minute=60, burst_s=1.0), clock=clock)
    assert limit.take(32, 0) == 0.0
    assert limit.take(1, 0) == 32.0


def test_a_clock_that_is_put_back_gives_nothing_twice() -> None:
    clock = Clock()
    limit = RateLimit(Config(requests_per_minute=60), clock=clock)
    limit.take(1, 0)
    clock.now -= 500
    assert limit.take(1, 0) == 1.0
    clock.now += 500
    assert limit.take(1, 0) == 1.0


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 5)), min_size=1, max_size=60))
def test_in_any_span_no_more_is_taken_than_rate_burst_and_one_call(calls: list[tuple[float, int]]) -> None:
    clock = Clock()
    limit = RateLimit(Config(requests_per_minute=120, burst_s=2.0), clock=clock)
    taken: list[tuple[float, int]] = []
    for pause, n in calls:
        clock.now += pause
        if limit.take(n, 0) == 0.0:
            taken.append((clock.now, n))
    for i, (begin, _) in enumerate(taken):
        for j in range(i, len(taken)):
            span, total = taken[j][0] - begin, sum(n for _, n in taken[i : j + 1])
            assert total <= 2 * span + 4 + 5 + 1e-6
    limit.close()


TAKER = """
import sys, time
from rewards.rates import Config, RateLimit
limit, count = RateLimit(Config(requests_per_minute=60 * 200, burst_s=0.05, file=sys.argv[1])), 0
began = time.time()
while time.time() - began < 0.5:
    wait_s = limit.take(1, 0)
    count += wait_s == 0.0
    time.sleep(min(wait_s, 0.01))
print(count, began, time.time())
"""


@pytest.mark.slow
def test_processes_share_one_rate(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKER, str(tmp_path / "rates.db")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    counts, begun, ended = zip(*(map(float, p.communicate(timeout=250)[0].split()) for p in processes), strict=True)
    assert 1 <= sum(counts) <= 200 * (max(ended) - min(begun)) + 10 + 1
