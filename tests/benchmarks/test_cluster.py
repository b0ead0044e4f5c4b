"""What the cluster benchmarks conclude from what they saw, on results that are made up."""

from __future__ import annotations

import pytest

from benchmarks import cluster_chaos, cluster_scaling
from pipelines.overrides import apply
from pipelines.recipes.catch import catch
from pipelines.results import read_result
from pipelines.scaling.cost_model import Costs, errors, fit
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


def test_the_scaling_result_keeps_the_rates_that_plans_are_made_of(tmp_path):
    costs = Costs(actor=1e-3, learner=5e-4, weights=1e6, row=100.0)
    layout = layout_of(apply(catch(), {"actors.count": 2}), 1, 2, 1e9)
    rates = Rates(costs, {"actor": 90.0}, 2)
    rows = [
        {"part": "hop", "name": "actor call", "calls": 3, "median_s": 1e-3, "p95_s": 2e-3},
        {"part": "run", "actors": 2, "shards": 1, "unroll": 9, "frames_per_s": 900.0, "judged_captions_per_s": 1.0}
        | {"model_frames_per_s": 990.0, "model_error": 0.1},
        *fit_rows("catch", rates),
        *cluster_scaling.paper("catch", costs, layout, 64, 25.0),
    ]
    result = cluster_scaling.collect(rows, [0.1, -0.2], tmp_path, "python -m benchmarks.cluster_scaling")
    assert result.holds and result.figures["largest of these errors"].value == 0.2
    assert stored_rates("catch", tmp_path / "cluster-scaling.json") == rates
    assert not cluster_scaling.collect(rows, [0.1, -0.3], tmp_path, "python -m benchmarks.cluster_scaling").holds


def test_a_fit_of_what_nothing_was_seen_of_is_refused():
    with pytest.raises(ValueError, match="no runs"):
        fit([])
    assert errors([]) == []
