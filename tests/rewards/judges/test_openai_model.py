import asyncio
import json
import math

import httpx
import pytest
from pydantic import ValidationError

from rewards.judges import openai_model
from rewards.judges.judge import question
from rewards.judges.openai_model import Config, OpenAIModel
from rewards.judges.rubric import Parts, rubric_class
from rewards.verdicts import Status

RESPONSE = question("response", ["It is 4."])


def completion(text, logprobs=None, tokens=42):
    choice = {"message": {"role": "assistant", "content": text}}
    if logprobs is not None:
        top = [{"token": token, "logprob": math.log(p) if p else -math.inf} for token, p in logprobs.items()]
        choice["logprobs"] = {"content": [{"token": text, "top_logprobs": top}]}
    return {"choices": [choice], "usage": {"total_tokens": tokens}}


@pytest.fixture
def server(monkeypatch):
    """A server whose reply the test sets: `server.reply`, a completion or a function of the request's body."""

    class Server:
        reply, status, requests = completion("yes"), 200, []

    Server.requests = []

    def answer(request):
        body = json.loads(request.content)
        Server.requests.append(body)
        reply = Server.reply(body) if callable(Server.reply) else Server.reply
        return httpx.Response(Server.status, text=json.dumps(reply))

    client = httpx.AsyncClient
    monkeypatch.setattr(
        openai_model.httpx, "AsyncClient", lambda **k: client(**k | {"transport": httpx.MockTransport(answer)})
    )
    return Server


def ask(server, kind="binary", asked=RESPONSE, rubric=None, **config):
    made = rubric_class(kind).model_validate({"id": "t", "version": 1, "kind": kind, **(rubric or {})})
    judge = made.build(Parts(OpenAIModel(Config(url="http://h/v1", model="m", **config))))
    (answer,) = asyncio.run(judge.judge([asked]))
    return answer


def test_a_soft_value_is_read_off_the_candidates_for_the_first_token(server):
    server.reply = completion("yes", {"yes": 0.5, " Yes": 0.1, "no": 0.2, "maybe": 0.2})
    answer = ask(server)
    assert answer.value == pytest.approx(0.6 / 0.8) and answer.tokens == 42
    assert server.requests[0]["top_logprobs"] == 20 and server.requests[0]["temperature"] == 0


def test_a_grade_is_the_expectation_over_the_grades(server):
    server.reply = completion("4", {"4": 0.6, "5": 0.4})
    assert ask(server, "graded").value == pytest.approx((0.6 * 3 + 0.4 * 4) / 4)


def test_labels_in_capitals_are_found_whatever_the_case_of_the_token(server):
    server.reply = lambda body: completion("A", {"A": 0.9, "B": 0.1})
    answer = ask(server, "pairwise", question("pair", ["x", "y"]))
    assert answer.value == 0.5 and answer.details["position_bias"] == pytest.approx(0.4)


def test_candidates_that_are_no_allowed_answers_are_not_blown_up_to_one(server):
    server.reply = completion("Sure", {"Sure": 0.99, "yes": 0.01})
    answer = ask(server)
    assert (answer.status, answer.value, answer.tokens) == (Status.UNPARSEABLE, None, 42)


def test_without_log_probabilities_a_schema_binds_the_word(server):
    server.reply = completion('{"answer": "no"}')
    assert ask(server, logprobs=False).value == 0.0
    body = server.requests[0]
    assert body["response_format"]["json_schema"]["schema"]["properties"]["answer"]["enum"] == ["yes", "no"]
    assert "logprobs" not in body


def test_vllm_is_asked_for_choices_and_schemas_in_its_own_way(server):
    server.reply = lambda body: completion("yes" if "choice" in body["structured_outputs"] else '{"A": 5, "B": 1}')
    ask(server, structured="structured_outputs")
    assert server.requests[-1]["structured_outputs"] == {"choice": ["yes", "no"]}
    answer = ask(server, "listwise", question("group", ["x", "y"]), structured="structured_outputs")
    assert sorted(answer.scores) == [0.0, 1.0]
    assert set(server.requests[-1]["structured_outputs"]["json"]["properties"]) == {"A", "B"}


def test_replies_of_a_form_are_bound_by_response_format(server):
    server.reply = completion('{"A": 5, "B": 1}')
    ask(server, "listwise", question("group", ["x", "y"]))
    sent = server.requests[0]["response_format"]
    assert sent["type"] == "json_schema" and sent["json_schema"]["strict"] is True
    ask(server, "listwise", question("group", ["x", "y"]), structured="none")
    assert "response_format" not in server.requests[-1]


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (completion("perhaps"), Status.UNPARSEABLE),
        (completion(None), Status.UNPARSEABLE),
        (completion("yes", {"yes": 0.0}), Status.OK),
        (completion("yes", tokens=math.inf), Status.JUDGE_FAULT),
        ({"choices": []}, Status.JUDGE_FAULT),
        ([], Status.JUDGE_FAULT),
        ({"choices": [{"message": {}}]}, Status.JUDGE_FAULT),
    ],
)
def test_what_cannot_be_read_is_no_value(server, reply, status):
    server.reply = reply
    answer = ask(server)
    assert answer.status is status and (answer.value is None) == (status is not Status.OK)


def test_a_form_that_is_not_filled_is_unparseable(server):
    for text in (None, "", '{"A": 9, "B": 1}', '{"A": 5}', "A: 5, B: 1"):
        server.reply = completion(text)
        answer = ask(server, "listwise", question("group", ["x", "y"]))
        assert (answer.status, answer.value) == (Status.UNPARSEABLE, None)


def test_an_http_error_is_a_judge_fault_and_check_names_it(server):
    server.status, server.reply = 503, "overloaded"
    assert "HTTP 503" in ask(server).cause
    made = rubric_class("binary").model_validate({"id": "t", "version": 1, "kind": "binary"})
    judge = made.build(Parts(OpenAIModel(Config(url="http://h/v1", model="m"))))
    with pytest.raises(ConnectionError, match="HTTP 503"):
        asyncio.run(judge.check())


def test_the_fingerprint_is_of_the_model_and_not_of_patience_and_the_url_is_one():
    def fingerprint(**config):
        return OpenAIModel(Config(**{"url": "http://h/v1", "model": "m", **config})).fingerprint

    assert len({fingerprint(), fingerprint(model="n"), fingerprint(url="http://i"), fingerprint(logprobs=False)}) == 4
    assert fingerprint() == fingerprint(timeout_s=1.0, max_in_flight=3)
    with pytest.raises(ValidationError):
        Config(url="ftp://h", model="m")
