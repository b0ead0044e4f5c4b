"""The cost model, by numbers worked by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.scaling.cost_model import Costs, Layout, Seen, errors, fit, frames_per_s, limits

COSTS = Costs(
    actor=1e-3, learner=2e-4, replay=1e-4, driver=2e-3, ray=4e-3, hop=0.05, judge=0.01, questions=0.01,
    judge_tokens=50.0, weights=4e6, row=500.0,
)  # fmt: skip


def by_part(layout, costs=COSTS):
    return {limit.part.partition(" (")[0]: limit.frames_per_s for limit in limits(costs, layout)}


def test_each_limit_by_hand():
    at = Layout(
        actors=8, frames=100, batch=4, learners=1, shards=2, judges=2, nodes=5, cores=4, network=1e8, tokens=1e3
    )
    found = by_part(at)
    assert found["env actors"] == pytest.approx(8 * 100 / (100 * 1e-3 + 0.05))
    assert found["learner"] == pytest.approx(1 / 2e-4)
    assert found["store shards"] == pytest.approx(2 / 1e-4)
    assert found["the driver"] == pytest.approx(100 / 2e-3)
    assert found["Ray on the driver's node"] == pytest.approx(4 * 100 / 4e-3)
    assert found["weight broadcast"] == pytest.approx(1e8 * 400 / (4 * 4e6)), (
        "400 frames a version, to four other nodes"
    )
    assert found["experience on the network"] == pytest.approx(1e8 / 1000)
    assert found["judge"] == pytest.approx(2 / (0.01 * 0.01))
    assert found["judge tokens"] == pytest.approx(1e3 / (0.01 * 50))
    everything = 1e-3 + 2e-4 + 1e-4 + (2e-3 + 4e-3) / 100 + 0.01 * 0.01
    assert found["all cores"] == pytest.approx(20 / everything)


def test_the_slowest_part_comes_first_and_is_the_rate_and_judges_hold_nothing_up():
    at = Layout(actors=1000, frames=100, batch=4, judges=1, nodes=100, cores=64, network=1e9, tokens=1.0)
    found = limits(COSTS, at)
    assert [limit.frames_per_s for limit in found] == sorted(limit.frames_per_s for limit in found)
    assert found[0].part == "judge tokens" and frames_per_s(COSTS, at) == by_part(at)["weight broadcast"]


def test_two_learners_share_the_gradients_and_pay_for_sending_them():
    one, two = (Layout(8, 100, 4, learners=n, network=1e8) for n in (1, 2))
    assert by_part(one)["learner"] == pytest.approx(400 / 0.08)
    assert by_part(two)["learner"] == pytest.approx(400 / (0.04 + 2 * 4e6 / 1e8 + 0.1))


def test_what_always_runs_leaves_the_rest_of_its_core():
    busy = Costs(actor=1e-3, learner=1e-3, driver=1e-3, driver_always=0.25)
    assert by_part(Layout(1, 10, 1, cores=2), busy)["the driver"] == pytest.approx(0.75 * 10 / 1e-3)
    assert by_part(Layout(1, 10, 1, cores=2), busy)["all cores"] == pytest.approx(1.75 / (2e-3 + 1e-4))


def seen(frames, rate, always=0.1, each=2e-3):
    """A run of which the driver's share is made by the very rule that is to be found again."""
    driver = (always + each * rate / frames) / rate
    return Seen(Layout(2, frames, 2), rate, {"actor": 1e-3, "learner": 5e-4, "driver": driver})


def test_a_fit_finds_what_made_the_runs():
    costs = fit([seen(10, 300.0), seen(50, 900.0), seen(200, 1200.0)], hop=0.001)
    assert (costs.driver_always, costs.driver) == (pytest.approx(0.1), pytest.approx(2e-3))
    assert (costs.actor, costs.learner, costs.hop) == (pytest.approx(1e-3), pytest.approx(5e-4), 0.001)


def test_a_rollout_costs_its_actor_the_replay_and_the_learner_something_however_short_it_is():
    each = {"actor": (1e-4, 4e-3), "learner": (5e-5, 2e-3), "replay": (1e-5, 1e-3)}
    runs = [
        Seen(Layout(2, frames, 2), 100.0, {part: frame + rollout / frames for part, (frame, rollout) in each.items()})
        for frames in (128, 512, 512, 2048)
    ]
    costs = fit(runs)
    assert (costs.actor, costs.actor_rollout) == pytest.approx(each["actor"])
    assert (costs.learner, costs.learner_rollout) == pytest.approx(each["learner"])
    assert (costs.replay, costs.replay_rollout) == pytest.approx(each["replay"])
    found = by_part(Layout(2, 100, 4), costs)
    assert found["env actors"] == pytest.approx(2 * 100 / (100 * 1e-4 + 4e-3))
    assert found["learner"] == pytest.approx(400 / (400 * 5e-5 + 4 * 2e-3))
    assert found["store shards"] == pytest.approx(100 / (100 * 1e-5 + 1e-3))
    assert found["all cores"] == pytest.approx(2 / (1.6e-4 + 7e-3 / 100))
    alike = fit(runs[1:3])
    assert alike.actor == pytest.approx(1e-4 + 4e-3 / 512) and alike.actor_rollout == 0.0


def test_from_one_run_all_that_the_driver_does_counts_for_rollouts():
    costs = fit([seen(10, 300.0)])
    assert costs.driver_always == 0 and costs.driver == pytest.approx((0.1 + 2e-3 * 30) / 30)
    with pytest.raises(ValueError, match="no runs"):
        fit([])


def test_a_question_costs_what_was_spent_on_those_that_were_asked():
    layout = Layout(2, 10, 2, judges=1)
    runs = [Seen(layout, 100.0, {"judge": 1e-4}, questions=0.01, judge_tokens=40.0), Seen(layout, 100.0, {})]
    costs = fit(runs)
    assert costs.judge == pytest.approx(0.01) and costs.questions == pytest.approx(0.005) and costs.judge_tokens == 40.0


def test_a_model_of_runs_that_it_made_is_right_about_them():
    costs = Costs(actor=1e-3, learner=5e-4, driver=2e-3)
    runs = []
    for frames in (10, 50, 200):
        layout = Layout(2, frames, 2, cores=2)
        rate = frames_per_s(costs, layout)
        runs.append(Seen(layout, rate, {"actor": 1e-3, "learner": 5e-4, "driver": 2e-3 / frames}))
    assert errors(runs) == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)


def test_costs_are_read_back_and_others_refused():
    assert Costs.of(COSTS.as_dict()) == COSTS
    older = {name: value for name, value in COSTS.as_dict().items() if not name.endswith("_rollout")}
    assert Costs.of(older) == COSTS, "a result from before rollouts were told apart"
    with pytest.raises(ValueError, match="expected"):
        Costs.of({"actor": 1.0})
    with pytest.raises(ValueError, match="learner = nan"):
        Costs.of({**COSTS.as_dict(), "learner": math.nan})


@pytest.mark.slow
@given(st.integers(1, 4096), st.integers(1, 64), st.integers(1, 64))
def test_more_of_anything_is_never_slower_on_cores_of_its_own(actors, shards, learners):
    def rate(**changes):
        values = {"actors": actors, "shards": shards, "learners": learners, "nodes": 200, "cores": 64} | changes
        return frames_per_s(COSTS, Layout(frames=512, batch=2, network=math.inf, **values))

    assert rate(actors=actors + 1) >= rate() and rate(shards=shards + 1) >= rate()
