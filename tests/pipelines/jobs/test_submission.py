from __future__ import annotations

import json
import shlex

import pytest

from pipelines.errors import UserError
from pipelines.jobs import submission
from pipelines.jobs.submission import Order, code_of, keep, order_of, remembered, runtime_environment

OWN = {"run": "mine", "runs": "/shared/runs", "environment": "cluster", "max_mb": 50.0}


def test_the_line_that_runs_on_the_cluster_names_the_run_and_its_place_and_quotes_every_word():
    order = Order(("catch", "judge.goal=cross; rm -rf ~ $(id)"), run="mine", runs="/shared/my runs")
    words = shlex.split(order.command())
    assert words[:5] == ["python", "-m", "pipelines.cli", "train", "catch"]
    assert words[5:] == ["judge.goal=cross; rm -rf ~ $(id)", "run=mine", "runs=/shared/my runs", "ray.address=auto"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run": "../x"}, "got run='../x'"),
        ({"run": ".hidden"}, "got run='.hidden'"),
        ({"runs": "runs"}, "outlives the job"),
        ({"words": ("catch", "storage=mirror")}, "got storage=mirror"),
        ({"words": ("catch", "storage=s3://me:word@bucket/runs")}, "storage holds a secret"),
        ({"environment": "conda"}, "expected one of pip, uv, cluster"),
        ({"words": ("catch", "judge.api_key=sk-1")}, "judge.api_key holds a secret"),
        ({"words": ("catch", "tracking.uri=postgresql://me:word@host/db")}, "tracking.uri holds a secret"),
    ],
)
def test_an_order_that_cannot_or_must_not_go_is_refused(change, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")) as caught:
        Order(**{"words": ("catch",), "run": "mine", "runs": "/shared/runs", **change})
    assert "sk-1" not in str(caught.value) and "word@" not in str(caught.value)


def test_the_name_of_a_variable_that_holds_a_key_is_no_secret():
    Order(("main", "judge.api_key_env=MY_KEY", "sampling.max_tokens=64"), run="mine", runs="~/runs")


@pytest.mark.parametrize(
    "words", [["cach"], ["catch", "frame=3"], ["catch", "resume=last"], ["catch", "ray.address=auto"]]
)
def test_what_is_wrong_is_said_before_anything_is_sent(words):
    with pytest.raises(UserError):
        order_of(words, OWN)


def test_a_run_without_a_name_gets_its_experiments_and_the_time():
    assert order_of(["catch"], OWN) == Order(("catch",), "mine", "/shared/runs", "cluster", 50.0)
    assert order_of([], {**OWN, "run": ""}).run.startswith("main-")


def test_libraries_are_pinned_as_they_are_tested_and_ray_is_the_clusters():
    found = runtime_environment("pip")["pip"]["packages"]
    assert any(one.startswith("torch==") for one in found) and any(one.startswith("pyarrow==") for one in found)
    assert not any(one.split("==")[0].split("[")[0] in ("ray", "guerdon") for one in found)
    assert runtime_environment("uv")["uv"]["packages"] == found
    assert runtime_environment("cluster") == {}


@pytest.mark.parametrize(
    ("status", "driver", "code"),
    [
        ("SUCCEEDED", 0, 0),
        ("FAILED", 2, 2),
        ("FAILED", -9, 137),
        ("FAILED", None, 1),
        ("STOPPED", None, 143),
        ("STOPPED", 0, 143),
    ],
)
def test_the_exit_code_is_the_jobs_own(status, driver, code):
    assert code_of(status, driver) == code


def test_an_order_is_remembered_here_when_the_cluster_has_forgotten_it(tmp_path):
    order = Order(("catch", "frames=3"), run="mine", runs="/shared/runs")
    keep("mine-1", order, tmp_path)
    assert remembered("mine-1", None, tmp_path) == order
    assert [path.name for path in tmp_path.iterdir()] == ["mine-1.json"]


class Taking:
    """A jobs server that takes everything."""

    address, in_clear = "http://127.0.0.1:8265", False

    def __init__(self):
        self.taken = []

    def submit(self, entrypoint, ident, *rest):
        self.taken.append(ident)


def test_a_job_that_was_sent_is_told_where_its_record_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "code.py").write_text("x = 1")
    monkeypatch.setattr(submission, "CHECKOUT", tmp_path / "checkout")
    (tmp_path / "file").touch()
    jobs, said = Taking(), []
    order = Order(("catch",), run="mine", runs="/shared/runs", environment="cluster")
    ident = submission.submit(order, jobs, tmp_path / "file" / "jobs", said.append)
    assert jobs.taken == [ident] and f"job {ident}: 1 files" in said[0]
    assert "will not remember the job" in said[1] and "run=mine runs=/shared/runs" in said[1]


@pytest.mark.parametrize("ident", ["../mine", "a/b", "", ".x"])
def test_a_job_cannot_be_named_by_a_path(ident, tmp_path):
    with pytest.raises(UserError, match="expected an id"):
        remembered(ident, None, tmp_path)


def test_a_record_that_is_no_order_is_refused(tmp_path):
    (tmp_path / "mine-1.json").write_text(json.dumps({"words": ["catch"], "run": "mine", "runs": "/r", "more": 1}))
    with pytest.raises(UserError, match="was not submitted by"):
        remembered("mine-1", None, tmp_path)
