import pytest

from benchmarks import lm_overlap
from benchmarks.apparatus.pace import under_way
from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory


def told(root, *updates):
    directory = RunDirectory(root)
    for second, number in enumerate(updates):
        directory.append_line(directory.metrics, {"updates": number, "elapsed_s": float(second)})
    return directory


def test_the_speed_of_a_run_is_that_between_its_first_report_that_counts_and_its_last_that_tells_of_an_update(tmp_path):
    first, last = under_way(told(tmp_path, 0, 1, 3, 3, 7, 7, 7), 2)
    assert [(line["updates"], line["elapsed_s"]) for line in (first, last)] == [(3, 2.0), (7, 4.0)]


@pytest.mark.parametrize(("updates", "came_to"), [((), 0), ((0, 1), 1), ((1, 4, 4), 4)])
def test_a_run_that_told_too_little_has_no_speed(tmp_path, updates, came_to):
    with pytest.raises(UserError, match=rf"came to {came_to} updates; the first 2 are left out"):
        under_way(told(tmp_path, *updates), 2)


def test_a_run_of_too_few_updates_is_refused_before_it_begins(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["lm_overlap", "updates=2", f"work={tmp_path}"])
    with pytest.raises(UserError, match=r"updates: got 2; expected at least 4"):
        lm_overlap.main()
