"""Tracking: what MLflow is told, and that it never holds up or ends a run."""

from __future__ import annotations

import pytest
from mlflow.tracking import MlflowClient

from pipelines.errors import UserError
from pipelines.tracking import CONTINUES, CallTracer, Config, NoTracker, is_secret, start_tracker


def test_tracking_can_be_switched_off(tmp_path):
    tracker = start_tracker(Config(enabled=False), tmp_path, "a", {}, None)
    assert isinstance(tracker, NoTracker)
    tracker.metrics({"x": 1.0}, 1)
    tracker.tags({"a": "b"})
    tracker.artifact(tmp_path)
    tracker.finish("FINISHED")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["judge.api_key_env", "ray.auth_token", "x.PASSWORD", "client_secret"])
def test_names_that_smell_of_secrets_are_known(name):
    assert is_secret(name, "value")


def test_a_number_of_tokens_is_no_secret_and_a_password_in_an_address_is_one():
    assert not is_secret("sampling.max_tokens", 64) and not is_secret("rates.tokens_per_minute", None)
    assert not is_secret("tracking.uri", "http://mlflow:5000") and is_secret("tracking.uri", "http://me:word@mlflow")


@pytest.mark.slow
def test_a_run_is_tracked_goes_on_and_outlives_a_store_that_fails(tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient

    parameters = {"seed": 3, "judge.api_key_env": "HIDE", "long": "x" * 900, **{f"p{n}": n for n in range(250)}}
    first = start_tracker(Config(), tmp_path, "mine", parameters, None)
    first.metrics({"loss": 1.5, "nan": float("nan"), "inf": float("inf")}, 10)
    first.tags({"reward_version": "abc"})
    (tmp_path / "report.html").write_text("hello")
    first.artifact(tmp_path / "report.html")
    first.finish("KILLED")
    assert first.failures == 0

    def never():
        raise AssertionError("the store knows this run")

    second = start_tracker(Config(), tmp_path, "mine", parameters, first.run_id, never)
    second.metrics({"loss": 0.5}, 20)
    second.finish("FINISHED")
    assert second.run_id == first.run_id

    # The store of another machine knows nothing of the run, which tells it what it has told, and goes on.
    history = [(1000.0 + n, 10 * n, {"loss": 1.0 / n, "nan": float("nan"), "said": "x"}) for n in range(1, 1500)]
    elsewhere = start_tracker(Config(), tmp_path / "elsewhere", "mine", parameters, first.run_id, lambda: iter(history))
    elsewhere.metrics({"loss": 0.0}, 15_000)
    elsewhere.finish("FINISHED")
    assert elsewhere.run_id and elsewhere.run_id != first.run_id and elsewhere.failures == 0
    there = MlflowClient(tracking_uri=elsewhere.uri)
    *old, new = there.get_metric_history(elsewhere.run_id, "loss")
    assert [(m.timestamp, m.step, m.value) for m in old] == [(int(1000 * at), n, v["loss"]) for at, n, v in history]
    assert (new.step, new.value) == (15_000, 0.0)
    found = there.get_run(elsewhere.run_id).data
    assert found.params["seed"] == "3" and found.tags[CONTINUES] == first.run_id and set(found.metrics) == {"loss"}

    client = MlflowClient(tracking_uri=first.uri)
    run = client.get_run(first.run_id)
    assert run.info.status == "FINISHED" and run.info.run_name == "mine"
    assert run.data.params["seed"] == "3" and len(run.data.params) == 252 and len(run.data.params["long"]) == 500
    assert "judge.api_key_env" not in run.data.params
    assert set(run.data.metrics) == {"loss"} and run.data.tags["reward_version"] == "abc"
    assert [(m.step, m.value) for m in client.get_metric_history(first.run_id, "loss")] == [(10, 1.5), (20, 0.5)]
    assert [a.path for a in client.list_artifacts(first.run_id)] == ["report.html"]

    third = start_tracker(Config(), tmp_path, "mine", {}, None)

    def down(*_, **__):
        raise ConnectionError("gone")

    monkeypatch.setattr(third._client, "log_batch", down)
    for step in range(400):
        third.metrics({"loss": 1.0}, step)
    third.finish("FINISHED")
    assert third.failures == 400


@pytest.mark.slow
def test_a_store_that_does_not_answer_at_start_is_one_line(tmp_path):
    (tmp_path / "file").write_text("not a database")
    with pytest.raises(
        UserError, match=r"does not answer: .*; mend tracking\.uri or set tracking\.enabled=false"
    ) as caught:
        start_tracker(Config(uri=f"sqlite:///{tmp_path / 'file'}"), tmp_path, "mine", {}, None)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="does not answer"):
        start_tracker(Config(uri="http://127.0.0.1:9"), tmp_path, "mine", {}, None)


@pytest.mark.slow
def test_calls_of_a_reward_become_traces_with_inputs_and_outputs(tmp_path):
    tracer = CallTracer(Config(experiment="calls"), tmp_path / "runs", "reward rules")
    tracer.trace({"items": [{"text": "You die."}]}, {"verdicts": [{"value": 0.0}]}, latency_s=0.25)
    tracer.finish()
    assert tracer.failures == 0
    client = MlflowClient(tracking_uri=tracer.uri)
    experiment = client.get_experiment_by_name("calls")
    (trace,) = client.search_traces(locations=[experiment.experiment_id])
    (span,) = trace.data.spans
    assert span.name == "reward rules" and span.inputs == {"items": [{"text": "You die."}]}
    assert span.outputs == {"verdicts": [{"value": 0.0}]}
    assert (span.end_time_ns - span.start_time_ns) / 1e9 == 0.25
