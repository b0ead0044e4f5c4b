from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pyarrow as pa
import pytest
from huggingface_hub import constants

from pipelines.errors import UserError
from pipelines.judging.foreseen import expect_judge, expect_model, models_of
from pipelines.judging.rubric_judges import RewardModelJudge, RubricJudge, ServedModel, TransformersModel
from pipelines.judging.settings import CustomJudge, OpenAIJudge, RecordedJudge, TransformersJudge
from pipelines.train import train
from rewards.verdicts import Status, Verdict, to_arrow


class Hub(BaseHTTPRequestHandler):
    """Knows one model."""

    def do_GET(self):
        known = self.path.startswith("/api/models/lab/known")
        self.send_response(200 if known else 404)
        if not known:
            self.send_header("X-Error-Code", "RepoNotFound")
        body = json.dumps({"id": "lab/known"} if known else {}).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def online(monkeypatch, tmp_path):
    """Lets the network be asked, at an address where nobody listens until another is given."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for proxy in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)

    def at(address):
        monkeypatch.setattr(constants, "ENDPOINT", address)

    at("http://127.0.0.1:9")
    return at


@pytest.mark.parametrize("model", ["models/of/mine", "/no/such/folder", "./here", "~/models/judge", "two words"])
def test_what_can_be_no_id_and_is_no_directory_is_refused_without_asking_anybody(online, model):
    with pytest.raises(UserError, match="no such directory, and it can be no id"):
        expect_model(model)


def test_a_directory_needs_a_description_of_a_model(tmp_path):
    with pytest.raises(UserError, match=r"has no config\.json"):
        expect_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    expect_model(str(tmp_path))


def test_a_model_that_was_fetched_before_is_there_without_a_network(online, tmp_path):
    kept = tmp_path / "cache" / "models--lab--kept"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("abc")
    (kept / "snapshots" / "abc").mkdir(parents=True)
    (kept / "snapshots" / "abc" / "config.json").write_text("{}")
    expect_model("lab/kept")


def test_the_hub_is_asked_and_what_it_does_not_know_or_does_not_say_is_refused(online, monkeypatch):
    with pytest.raises(UserError, match="the hub cannot be asked"):
        expect_model("lab/known")
    with hub() as address:
        online(address)
        expect_model("lab/known")
        with pytest.raises(UserError, match="the hub knows no such model"):
            expect_model("lab/unknown")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE forbids"):
        expect_model("lab/known")


def test_all_models_that_a_judge_loads_itself_are_found():
    served = ServedModel(url="http://127.0.0.1:9/v1", model="far")
    rubric = RubricJudge(
        path="r.yaml",
        model=TransformersModel(model="a"),
        models={"b": TransformersModel(model="b"), "c": served},
        judges={"d": RewardModelJudge(model="d")},
    )
    assert models_of(rubric) == ["a", "b", "d"]
    assert models_of(TransformersJudge(model="e")) == ["e"]
    assert models_of(OpenAIJudge(url="http://127.0.0.1:9/v1", model="far")) == []


def test_where_the_models_of_a_cluster_are_is_not_looked_for_here():
    config = TransformersJudge(model="/only/there")
    expect_judge(config, "goal", "caption", models_are_here=False)
    with pytest.raises(UserError, match="cannot be loaded"):
        expect_judge(config, "goal", "caption", models_are_here=True)


def test_recorded_verdicts_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "v.arrow"
    batch = to_arrow([Verdict("a", "caption", "helpful", "v1", 1.0, Status.OK, "judge")])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    expect_judge(RecordedJudge(path=str(path)), "goal", "caption", True)
    with pytest.raises(UserError, match="on captions; the reward asks about pairs"):
        expect_judge(RecordedJudge(path=str(path)), "goal", "pair", True)


def test_a_rubric_whose_server_does_not_answer_is_refused_and_so_is_one_that_cannot_be_read(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("id: g\nversion: 1\nkind: graded\n")
    served = RubricJudge(path=str(path), model=ServedModel(url="http://127.0.0.1:9/v1", model="m", timeout_s=5))
    with pytest.raises(UserError, match="the judge's model does not answer"):
        expect_judge(served, "", None, True)
    path.write_text("id: g\nversion: 1\nkind: graded\nlevles: 3\n")
    with pytest.raises(UserError, match="levles: no such setting"):
        expect_judge(served, "", None, True)


def test_a_run_whose_judge_has_no_model_leaves_no_directory(small, tmp_path):
    judge = {"judge.kind": "transformers", "judge.model": "/no/such/model"}
    with pytest.raises(UserError, match="cannot be loaded"):
        train(small({"reward": "retrieval", **judge}), tmp_path / "runs", None)
    assert not (tmp_path / "runs").exists()


def test_a_class_that_is_not_there_and_a_server_that_does_not_answer_are_refused():
    with pytest.raises(UserError, match=r"judge\.path=my_lab\.nowhere:Judge cannot be loaded"):
        expect_judge(CustomJudge(path="my_lab.nowhere:Judge"), "goal", "caption", True)
    with pytest.raises(UserError, match=r"127\.0\.0\.1:9"):
        expect_judge(OpenAIJudge(url="http://127.0.0.1:9/v1", model="m"), "goal", "caption", True)
