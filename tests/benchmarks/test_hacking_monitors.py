import pytest

from benchmarks import hacking_monitors


@pytest.mark.slow
def test_a_hacked_run_is_found_and_a_clean_one_is_quiet(tmp_path):
    rows = [hacking_monitors.run(kind, seed, 60) for kind in ("opener", "clean") for seed in (0, 1)]
    result = hacking_monitors.report(rows, tmp_path)
    assert result.holds and result.figures["delay, opener"].value < 20
    assert rows[0]["gold_last"] < 0.5 < rows[0]["proxy_last"] and rows[2]["gold_last"] > 0.5


@pytest.mark.slow
def test_an_alarm_before_there_was_a_hole_finds_nothing(tmp_path):
    rows = [{**hacking_monitors.run("style", seed, 60), "early": True} for seed in (0, 1)]
    rows += [hacking_monitors.run("clean", seed, 60) for seed in (0, 1)]
    assert not hacking_monitors.report(rows, tmp_path).holds
