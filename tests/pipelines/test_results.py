from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import results
from pipelines.results import Figure, commit, figure, read_result, versions, write_result

CLAIM = "Judging costs less than a tenth of the frames per second."


def write(folder, **changes):
    parts = {
        "path": folder / "annotation-retention.json",
        "name": "annotation-retention",
        "claim": CLAIM,
        "holds": False,
        "command": "make train",
        "figures": {"retention": figure([0.9, 0.8], "ratio")},
        "rows": [{"seed": 0, "ratio": 0.9, "note": None}, {"seed": 1, "ratio": 0.8, "note": "slow disk"}],
    }
    return write_result(**{**parts, **changes})


def test_what_is_written_is_what_is_read(tmp_path):
    written = write(tmp_path / "new" / "results")
    read = read_result(tmp_path / "new" / "results" / "annotation-retention.json")
    assert read == written
    assert read.holds is False and read.rows[1]["note"] == "slow disk" and read.rows[0]["note"] is None
    assert [path.name for path in (tmp_path / "new" / "results").iterdir()] == ["annotation-retention.json"]


def test_a_result_in_a_file_of_another_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected a file named annotation-retention\.json"):
        write(tmp_path, path=tmp_path / "retention.json")
    write(tmp_path)
    (tmp_path / "annotation-retention.json").rename(tmp_path / "other.json")
    with pytest.raises(ValueError, match=r"expected a file named annotation-retention\.json"):
        read_result(tmp_path / "other.json")


def test_the_command_says_what_to_repeat_and_not_where_files_went(tmp_path):
    command = "python -m benchmarks.speed work=/scratch/a seeds=3 results=/scratch/b"
    assert write(tmp_path, command=command).command == "python -m benchmarks.speed seeds=3"


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"claim": ""}, {"figures": {}}, {"command": ""}, {"rows": [{"x": float("nan")}]}])
def test_an_incomplete_result_is_refused_and_nothing_is_written(tmp_path, changes):
    with pytest.raises(ValueError):
        write(tmp_path, **changes)
    assert list(tmp_path.iterdir()) == []


def test_the_mean_of_one_run_has_no_interval():
    assert figure([3.0], "s") == Figure(value=3.0, unit="s", low=None, high=None, n=1)


def test_the_interval_of_equal_runs_has_no_width():
    assert figure([2.5, 2.5, 2.5], "s") == Figure(value=2.5, unit="s", low=2.5, high=2.5, n=3)


def test_the_interval_of_two_runs_reaches_from_one_to_the_other():
    # A resample of (0, 1) is (0, 0) or (1, 1) with probability 1/4 each, far above 2.5 %.
    assert figure([0.0, 1.0], "return") == Figure(value=0.5, unit="return", low=0.0, high=1.0, n=2)


@pytest.mark.slow
def test_the_interval_of_many_runs_is_that_of_the_normal_law():
    sample = np.random.default_rng(1).normal(size=400)
    found = figure(list(sample), "return")
    half = 1.96 * sample.std() / np.sqrt(400)
    assert found.low == pytest.approx(found.value - half, abs=0.01)
    assert found.high == pytest.approx(found.value + half, abs=0.01)


@pytest.mark.slow
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=8))
def test_the_interval_lies_within_the_runs_and_does_not_change_when_asked_again(values):
    found = figure(values, "x", resamples=200)
    tolerance = 1e-9 * max(1.0, *map(abs, values))
    assert min(values) - tolerance <= found.low <= found.high <= max(values) + tolerance
    assert found == figure(values, "x", resamples=200)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_a_run_that_could_not_be_measured_is_not_averaged(values):
    with pytest.raises(ValueError, match="expected one finite number per run"):
        figure(values, "s")


def test_the_commit_says_whether_the_checkout_was_changed(tmp_path):
    assert commit(tmp_path) == "unknown"

    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    assert commit(tmp_path) == "unknown"
    (tmp_path / "code.py").write_text("x = 1\n")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    assert len(commit(tmp_path)) == 40
    (tmp_path / "docs" / "results").mkdir(parents=True)
    (tmp_path / "docs" / "results" / "new.json").touch()
    assert len(commit(tmp_path)) == 40
    (tmp_path / "code.py").write_text("x = 2\n")
    assert commit(tmp_path).endswith("-modified")


def test_a_benchmark_says_with_which_commit_it_began(tmp_path, monkeypatch):
    def begin(module):
        monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(__spec__=SimpleNamespace(name=module)))
        return results._of_a_benchmark()

    monkeypatch.setattr(results, "commit", lambda: "a" * 40)
    assert begin("benchmarks.capacity") == "a" * 40 and begin("pipelines.cli") is None
    monkeypatch.setattr(results, "_at_start", "b" * 40)  # and then somebody has committed something
    assert write(tmp_path).commit == "b" * 40


def test_a_library_that_is_not_installed_has_no_version():
    assert set(versions(["torch", "no-such-library"])) == {"python", "torch"}
