"""Returns after equally many frames: what the claim needs, and that what is over is not run again."""

from __future__ import annotations

import pytest

from benchmarks import env_returns
from benchmarks.env_returns import kept, main, report
from benchmarks.env_speed import Found, named_interpreters, row
from pipelines.errors import UserError


def rows_of(**returns):
    return [
        row(system.replace("_", "-"), "cartpole", seed, Found(None, value))
        for system, values in returns.items()
        for seed, value in enumerate(values)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("returns", "holds"),
    [
        ({"guerdon": [100.0, 120.0, 110.0], "sample_factory": [105.0, 125.0, 115.0]}, True),
        ({"guerdon": [200.0, 220.0, 210.0], "sample_factory": [105.0, 125.0, 115.0]}, True),
        ({"guerdon": [50.0, 60.0, 55.0], "sample_factory": [105.0, 125.0, 115.0]}, False),
        ({"guerdon": [200.0, 220.0, 210.0], "sample_factory": []}, False),
        ({"guerdon": [200.0], "sample_factory": [100.0]}, False),
    ],
    ids=["overlapping", "above", "below", "no peer", "one seed has no interval"],
)
def test_the_claim_needs_every_peer_and_intervals_that_are_not_below(returns, holds, tmp_path):
    systems = ("guerdon", "sample-factory")
    assert report(rows_of(**returns), {"cartpole": 10}, systems, "x", tmp_path).holds is holds


def test_a_run_that_is_over_is_kept_and_one_that_failed_is_made_again(tmp_path, monkeypatch):
    answers = [Found(problem="no room"), Found(None, 7.0, 10)]

    def measure(system, world, frames, seed, interpreters, minutes, place):
        place.mkdir(exist_ok=True)
        return answers.pop(0)

    monkeypatch.setattr(env_returns, "measure", measure)
    told = [kept("guerdon", "cartpole", 10, 0, {}, 1.0, tmp_path / "a") for _ in range(3)]
    assert [one["problem"] for one in told] == ["no room", "", ""]
    assert told[1] == told[2] and told[2]["episode_return"] == 7.0


def test_unknown_keys_and_systems_are_refused():
    with pytest.raises(UserError, match=r"got \['raw'\]"):
        main(["systems=[raw]"])


def test_a_peer_that_is_not_named_has_no_interpreter_unless_it_is_installed_here():
    values = {"sb3": "other/python", "seeds": 1}
    found = named_interpreters(values)
    assert found["sb3"] == "other/python" and not found["sample_factory"] and found["rllib"] == found[""] != ""
    assert values == {"seeds": 1}
