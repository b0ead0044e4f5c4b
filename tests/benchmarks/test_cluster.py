"""What the cluster benchmarks conclude from what they saw, on results that are made up."""

from __future__ import annotations

import pytest

from benchmarks import cluster_chaos, cluster_scaling
from benchmarks.apparatus.layouts import Case, cases, layout_rows, typical
from pipelines.overrides import apply
from pipelines.recipes.catch import catch
from pipelines.results import read_result
from pipelines.scaling.cost_model import Costs, Layout, Seen, errors, fit
from pipelines.scaling.fitted import Rates, fit_rows, layout_of, stored_rates


def row(victim, **changes):
    return {
        "victim": victim,
        "kills": 1,
        "named": 1,
        "recovered": 1,
        "seconds_max": 3.0,
        "rows_lost": 0,
        "rows_skipped": 0,
        "rows_learnt_twice": 0,
        "verdicts_doubled": 0,
        "final_return": 0.9,
        "balanced": True,
    } | changes


CALM = {"undisturbed": [row("nothing", final_return=value, kills=0, seconds_max=None) for value in (0.88, 0.92, 0.95)]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hit", "holds"),
    [
        (row("node, killed"), True),
        (row("node, killed", rows_lost=1), False),
        (row("node, killed", rows_skipped=1), False),
        (row("node, killed", rows_learnt_twice=1), False),
        (row("node, killed", verdicts_doubled=1), False),
        (row("node, killed", balanced=False), False),
        (row("node, killed", final_return=0.5), False),
        (row("load, up", final_return=0.5), True),  # another load, of which no return is claimed
        (cluster_chaos.failed("head", "no end"), False),
    ],
)
def test_a_claim_holds_only_where_nothing_was_lost_and_all_came_back(tmp_path, hit, holds):
    result = cluster_chaos.collect({**CALM, "hit": [row("store"), hit]}, tmp_path, "python -m benchmarks.cluster_chaos")
    assert result.holds is holds
    assert read_result(tmp_path / "cluster-chaos.json") == result


def measured(case, rate, error):
    """Three rounds of a layout, and what the model says of it."""
    rounds = [rate, 0.95 * rate, 1.02 * rate]
    same = {"recipe": "catch", **case._asdict()}
    rows = [{"part": "run", **same, "frames_per_s": one, "judged_captions_per_s": 1.0} for one in rounds]
    return [*rows, {"part": "layout", **same, "frames_per_s": rate, "model_error": error, "beyond_rounds": 0.0}]


def test_the_scaling_result_keeps_the_rates_that_plans_are_made_of(tmp_path):
    costs = Costs(actor=1e-3, learner=5e-4, weights=1e6, row=100.0)
    layout = layout_of(apply(catch(), {"actors.count": 2}), 1, 2, 1e9)
    rates = Rates(costs, {"actor": 90.0}, 2)
    rows = [
        {"part": "hop", "name": "actor call", "calls": 3, "median_s": 1e-3, "p95_s": 2e-3},
        *measured(Case(2, 1, 9), 900.0, 0.1),
        *measured(Case(4, 1, 9), 1500.0, -0.2),
        *fit_rows("catch", rates),
        *cluster_scaling.paper("catch", costs, layout, 64, 25.0),
    ]
    result = cluster_scaling.collect(rows, tmp_path, "python -m benchmarks.cluster_scaling")
    assert result.holds and result.figures["largest of these errors"].value == 0.2
    assert result.figures["largest of these differences"].value == pytest.approx(0.05)
    rate = result.figures["2 actors, 1 shards, 9 steps: frames/s"]
    assert (rate.value, rate.low, rate.high, rate.n) == (900.0, pytest.approx(855.0), pytest.approx(918.0), 3)
    assert stored_rates("catch", tmp_path / "cluster-scaling.json") == rates
    rows += measured(Case(8, 1, 9), 100.0, -0.3)
    assert not cluster_scaling.collect(rows, tmp_path, "python -m benchmarks.cluster_scaling").holds


def test_of_several_rounds_the_medians_count_and_what_the_model_misses_them_by_is_told_beside_what_they_differ_by():
    def run(actors, rate, spent):
        return Seen(Layout(actors, 100, 2, cores=2), rate, {"actor": spent})

    # All that there is to a frame is an actor's millisecond: one makes 1,000 a second, three as many as two cores do.
    rounds = {
        Case(1, 1, 100): [run(1, 990.0, 1e-3), run(1, 1300.0, 2e-3), run(1, 1010.0, 1e-3)],
        Case(2, 1, 100): [run(2, rate, 1e-3) for rate in (1990.0, 2000.0, 1900.0)],
        Case(3, 1, 100): [run(3, rate, 1e-3) for rate in (1000.0, 1100.0, 1600.0)],
    }
    assert typical(rounds[Case(1, 1, 100)]) == run(1, 1010.0, 1e-3)
    one, two, three = layout_rows("catch", rounds, 0.0)
    assert (one["frames_per_s"], one["lowest_round"], one["highest_round"]) == (1010.0, 990.0, 1300.0)
    assert one["model_frames_per_s"] == pytest.approx(1000.0) and one["beyond_rounds"] == 0.0
    assert two["model_frames_per_s"] == pytest.approx(2000.0) and two["beyond_rounds"] == pytest.approx(0.0, abs=1e-9)
    assert three["model_error"] == pytest.approx(2000 / 1100 - 1)
    assert three["beyond_rounds"] == pytest.approx(400 / 1100), "its rounds say nothing of the rest"


def test_rollouts_of_other_lengths_are_in_updates_of_the_same_size():
    base = apply(catch(), {"batch_fragments": 4, "actors.unroll_length": 32})
    found = cases([[1, 1], [2, 1]], 32)
    assert found == [Case(1, 1, 32), Case(2, 1, 32), Case(2, 1, 8), Case(2, 1, 16), Case(2, 1, 128)]
    sizes = [values["batch_fragments"] * values["actors.unroll_length"] for values in (c.values(base) for c in found)]
    assert sizes == [128] * 5


def test_a_fit_of_what_nothing_was_seen_of_is_refused():
    with pytest.raises(ValueError, match="no runs"):
        fit([])
    assert errors([]) == []
