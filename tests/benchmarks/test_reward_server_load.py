"""The load experiment: who asks what, and what the table claims."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.apparatus.asking import Questions, load
from benchmarks.reward_server_load import LARGER, overheads, plan, report
from pipelines.results import read_result


def test_a_share_of_questions_comes_again():
    for repeated, low, high in ((0.0, 1000, 1000), (0.5, 430, 570), (0.95, 25, 80)):
        asked = Questions(repeated, seed=0)(1000)
        assert low <= len({question.subject for question in asked}) <= high


@pytest.mark.slow
def test_askers_wait_for_their_answer_before_they_ask_again():
    running = most = 0

    async def ask(questions):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    found = asyncio.run(load(ask, Questions(0.0, 0), askers=5, seconds=1.0, warm_up_s=0.05, each=2))
    assert most == 5 and found.p50_s >= 0.01 and found.answered <= 5 * 2 * 1.0 / 0.01
    assert found.per_s == pytest.approx(found.answered / 1.0)


def test_a_window_without_an_answer_is_an_error():
    with pytest.raises(ValueError, match="no answer within"):
        asyncio.run(load(lambda questions: asyncio.sleep(0.2), Questions(0.0, 0), 1, 0.05, 0.0))


def rows_of(ours: float):
    rows = []
    for seed in range(2):
        for model in ("builtin", *LARGER):
            for way, askers, repeated in plan(model, (1, 64), (0.0, 0.5), 64):
                per_s = {"in process": 100.0 * askers**0.6, "http": 90.0}.get(way, ours)
                extra = {"cost_per_1000": 0.06 * (1 - repeated) if way == "ours" else None}
                found = {"annotations_per_s": per_s + seed, "p50_s": 0.1, "p99_s": 0.2, **extra}
                row = {"model": model, "way": way, "askers": askers, "repeated": repeated, "round": seed}
                rows.append(row | found)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize(("ours", "holds"), [(1150.0, True), (990.0, False)])
def test_the_claim_holds_near_the_ceiling_and_far_above_serial(tmp_path, ours, holds):
    # In process: 100 a second at one, 100 · 64^0.6 = 1,213 at 64.
    result = report(rows_of(ours), 64, "repeat me", tmp_path)
    assert result.holds is holds and read_result(tmp_path / "reward-server-load.json") == result
    assert result.figures["of the ceiling, larger, 64 askers, 0% repeated"].value == pytest.approx(
        ours / 1213, abs=0.01
    )
    assert result.figures["cost of 1,000 annotations, 50% repeated"].value == pytest.approx(0.03)


def test_what_stands_around_a_judge_says_how_slow_one_must_be_for_nine_tenths():
    # 100 and 140 µs around the builtin one: 9 times as much. With 300 µs of its own, 3/4 and 300/440 are expected.
    took = {"builtin": [(100.0, 200.0), (60.0, 200.0)], "larger": [(300.0, 380.0), (300.0, 400.0)]}
    took["largest"] = took["larger"]
    found = overheads(took, 64)
    assert found["judge's time a question, builtin, 64 askers"].value == pytest.approx(80)
    assert found["overhead a question, builtin, 64 askers"].value == pytest.approx(120)
    assert found["overhead a question, larger, 64 askers"].value == pytest.approx(90)
    needed = found["judge's time a question from which on 90% is expected, 64 askers"]
    assert (needed.value, needed.low, needed.high) == pytest.approx((1080, 900, 1260))
    expected = found["of the ceiling, larger, 64 askers, expected from builtin"]
    assert expected.value == pytest.approx((0.75 + 300 / 440) / 2)
