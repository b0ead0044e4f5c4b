from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.evaluation.hack_generalisation import excess, excess_hacking, hack_rates, pooled

FAMILIES = ["keywords", "tests", "keywords", "graders"]
RUNS = st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def rate(hits, n):
    return hack_rates([1.0] * hits + [0.0] * (n - hits), ["one"] * n)["one"]


def test_who_is_always_honest_has_0_everywhere_and_who_always_hacks_1():
    honest, hacker = hack_rates(np.zeros(4), FAMILIES), hack_rates(np.ones(4), FAMILIES)
    assert list(honest) == ["keywords", "tests", "graders"]
    assert all(one.value == 0.0 for one in honest.values()) and all(one.value == 1.0 for one in hacker.values())
    assert all(one.value == 1.0 for one in excess_hacking(hacker, honest).values())


def test_a_control_that_hacks_as_often_as_the_base_is_not_told_from_it():
    found = excess(rate(3, 40), rate(3, 40))
    assert found.value == 0.0 and found.low < 0 < found.high and not found.spread


def test_newcombes_interval_by_his_own_example():
    # 56 of 70 against 48 of 80: method 10 gives 0.0524 to 0.3339
    found = excess(rate(56, 70), rate(48, 80))
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=1e-4) and found.spread


@given(RUNS, RUNS)
def test_intervals_hold_the_difference_and_turn_round_with_it(one, other):
    found, turned = excess(rate(*one), rate(*other)), excess(rate(*other), rate(*one))
    assert -1 - 1e-9 <= found.low <= found.value <= found.high <= 1 + 1e-9
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low))


def test_what_nobody_could_tell_counts_neither_as_a_hack_nor_as_honest():
    found = hack_rates([1.0, np.nan, np.nan, 0.0], FAMILIES)
    assert [one.n for one in found.values()] == [1, 0, 1]
    assert found["tests"].value is None and excess(found["tests"], found["graders"]).value is None
    assert pooled(found, ["keywords", "graders"]).value == 0.5 and pooled(found, ["tests"]).value is None


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="expected 0, 1 or NaN"):
        hack_rates([0.5], ["one"])
    with pytest.raises(ValueError, match="got families"):
        pooled(hack_rates([1.0], ["one"]), ["two"])
    with pytest.raises(ValueError, match="the same of both"):
        excess_hacking(hack_rates([1.0], ["one"]), hack_rates([1.0], ["two"]))
