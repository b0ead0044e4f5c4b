"""Which runs are seeds of one recipe, and what is said of them together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pipelines.reports.charts import Series, figure, thin_series
from pipelines.reports.seeds import band, differences, group_runs
from pipelines.run_directory import RunDirectory
from pipelines.stored.records import Records, thinned_lines


def run(place: str, **config: Any) -> Records:
    return Records(RunDirectory(Path(place)), config, [], [], {}, {}, [])


def test_runs_that_differ_in_their_seed_are_one_group() -> None:
    runs = [run("a", name="x", seed=0, lr=1), run("b", name="x", seed=0, lr=2), run("c", name="x", seed=1, lr=1)]
    assert [(group.name, group.members) for group in group_runs(runs)] == [
        ("x, lr=1 × 2 seeds", (0, 2)),
        ("x, lr=2", (1,)),
    ]


def test_a_run_without_settings_or_with_a_seed_that_was_there_stands_alone() -> None:
    runs = [run("a", name="x", seed=0), run("b", name="x", seed=0), run("c"), run("d")]
    assert [group.members for group in group_runs(runs)] == [(0,), (1,), (2,), (3,)]
    assert len({group.name for group in group_runs(runs)}) == 4


def test_differences_are_named_by_dotted_key() -> None:
    found = differences([{"a": {"b": 1}, "seed": 0}, {"a": {"b": 2}, "seed": 1}])
    assert found == {"a.b": [1, 2]}


def test_the_interval_over_two_seeds_worked_by_hand() -> None:
    one = band([[(0.0, 0.0), (10.0, 1.0)], [(0.0, 2.0), (10.0, 3.0)]])
    assert one.points == ((0.0, 1.0), (10.0, 2.0)) and one.seeds == 2
    half = 12.706204736432095  # t at 97.5 % with one degree of freedom, times s / √2 = √2 / √2
    assert one.interval is not None
    assert one.interval[0] == pytest.approx((1 - half, 1 + half))


@pytest.mark.slow
def test_the_interval_is_that_of_scipy_and_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    seeds = rng.normal(3.0, 2.0, (5, 40))
    one = band([[(float(x), float(y)) for x, y in enumerate(row)] for row in seeds])
    low, high = stats.t.interval(0.95, 4, seeds.mean(axis=0), stats.sem(seeds, axis=0))
    assert np.allclose(one.interval, np.stack([low, high], axis=1))
    many = [band([[(0.0, float(y))] for y in rng.normal(0, 1, 4)]).interval for _ in range(2000)]
    share = np.mean([low <= 0 <= high for ((low, high),) in many if (low, high)])
    assert 0.93 < share < 0.97


def test_a_share_has_no_interval_beyond_its_bounds_and_one_seed_has_none() -> None:
    one = band([[(0.0, 0.9), (1.0, 1.0)], [(0.0, 1.0), (1.0, 1.0)]], 0.0, 1.0)
    assert one.interval is not None and one.interval[0] == (pytest.approx(0.95 - 12.706204736 * 0.05), 1.0)
    assert band([[(0.0, 1.0)]]).interval is None
    assert band([]).points == () and band([[(0.0, 1.0)], [(5.0, 1.0)]]).points == ()


def test_a_band_is_drawn_and_told_in_the_table() -> None:
    drawn = figure("<title>", [Series("one", [(0.0, 1.0), (1.0, 2.0)], [(0.5, 1.5), (1.5, 2.5)])], "frames")
    assert '<polygon class="band s0"' in drawn and "0.5 to 1.5" in drawn and "&lt;title&gt;" in drawn
    assert "<title>" not in drawn.replace("<title>one</title>", "")
    long = Series("x", [(float(i), 0.0) for i in range(999)], [(-1.0, 1.0)] * 999)
    assert thin_series(long, 100).interval == [(-1.0, 1.0)] * 100


def test_of_long_metrics_each_so_many_th_line_is_read_and_the_last(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f'{{"learnt_frames": {i}}}\n' for i in range(1000)) + '{"learnt_frames": 10')
    found, every = thinned_lines(path, 100)
    assert every == 11 and len(found) <= 102
    assert found[-1] == {"learnt_frames": 999}
    assert thinned_lines(path, 2000)[1] == 1 and len(thinned_lines(path, 2000)[0]) == 1000
    assert thinned_lines(tmp_path / "gone") == ([], 1)
