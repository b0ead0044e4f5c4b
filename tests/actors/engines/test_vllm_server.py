"""vLLM's own OpenAI-compatible server, asked by the judge that asks any such server."""

import asyncio
import importlib.util
import os
import socket
import subprocess
import sys
import time

import httpx
import pytest

from rewards.judges.judge import question
from rewards.judges.openai_model import Config, OpenAIModel
from rewards.judges.rubric import Parts, rubric_class
from rewards.verdicts import Status

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None,
        reason="vLLM is not installed here: `make vllm` runs this in an environment of its own",
    ),
]
START_S = 180


@pytest.fixture(scope="module")
def url(chat_model, tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(chat_model), "--host", "127.0.0.1",
        "--port", str(port), "--served-model-name", "tiny", "--max-model-len", "2048", "--enforce-eager", "--dtype",
        "float32", "--kv-cache-memory-bytes", str(64 * 2**20),
        # Without this a model of random weights writes nothing but blanks between the braces.
        "--structured-outputs-config", '{"backend": "guidance", "disable_any_whitespace": true}',
    ]  # fmt: skip
    quiet = {**os.environ, "VLLM_NO_USAGE_STATS": "1"}
    with log.open("wb") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, env=quiet, start_new_session=True)
    try:
        deadline = time.monotonic() + START_S
        while True:
            assert server.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, f"no server within {START_S} s: {log.read_text()[-3000:]}"
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)


def ask(url, kind, *questions, rubric=None, **config):
    made = rubric_class(kind).model_validate({"id": "t", "version": 1, "kind": kind, **(rubric or {})})
    judge = made.build(Parts(OpenAIModel(Config(url=url, model="tiny", timeout_s=60, **config))))
    asyncio.run(judge.check())
    return asyncio.run(judge.judge(questions))


def test_choices_forms_and_soft_scores_come_from_a_real_server(url):
    responses = [question("response", [f"It is {n}."]) for n in range(4)]
    # A model of random weights means nothing: where it is not bound, its answer may be none of the allowed ones.
    free = ask(url, "graded", *responses, least_mass=0)
    assert all(answer.status in (Status.OK, Status.UNPARSEABLE) for answer in free)
    for structured in ("structured_outputs", "response_format"):
        bound = ask(url, "graded", *responses, structured=structured, logprobs=False)
        assert [answer.status for answer in bound] == [Status.OK] * 4
        (listed,) = ask(url, "listwise", question("group", ["x", "y", "z"]), structured=structured)
        assert listed.status is Status.OK and len(listed.scores) == 3
