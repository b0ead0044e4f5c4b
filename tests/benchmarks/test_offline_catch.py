"""The offline experiment: what its table claims, and one small seed of it from gathering to playing."""

from __future__ import annotations

import pytest

from benchmarks.offline_catch import LEARNT, METHODS, OTHER_REWARD, Played, Seed, measure, report
from pipelines.results import read_result


def seed(number, learnt=0.9, missed=0.99, plain=-0.6):
    jitter = 0.01 * number
    good, bad = Played(learnt - jitter, 0.05), Played(plain - jitter, 0.8 + jitter)
    return Seed(
        number,
        -0.6,
        bad,
        {method: good if method in LEARNT else bad for method in METHODS},
        {method: Played(-1.0, missed - jitter) for method in OTHER_REWARD},
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "holds"),
    [({}, True), ({"learnt": -0.6}, False), ({"missed": 0.8}, False), ({"plain": 0.9}, False)],
)
def test_the_claim_holds_where_all_intervals_are_apart(tmp_path, values, holds):
    result = report([seed(number, **values) for number in range(5)], "repeat me", tmp_path)
    assert result.holds is holds and read_result(tmp_path / "offline-catch.json") == result
    assert len(result.rows) == 5 * (1 + len(METHODS) + len(OTHER_REWARD))
    assert result.figures["return, iql"].n == 5


@pytest.mark.slow
def test_a_small_seed_is_measured_from_gathering_to_playing(tmp_path):
    found = measure(0, gathered=720, frames=600, episodes=16, work=tmp_path / "seed")
    assert set(found.learnt) == set(METHODS) and set(found.other) == set(OTHER_REWARD)
    assert -1 <= found.stored_return <= 1
    for played in (found.gathered, *found.learnt.values(), *found.other.values()):
        assert played.mean_return == pytest.approx(1 - 2 * played.missed)
