"""The service and its gate without any socket: bytes in, verdicts out."""

from __future__ import annotations

import asyncio
import json
import threading

import httpx
import pytest

from pipelines.service.reward_http import Config as GateConfig
from pipelines.service.reward_http import make_app
from pipelines.service.reward_service import Config, FunctionReward, JudgeReward, RewardService, read_json
from rewards.functions import PolicyFault, reward
from rewards.judges.judge import Answer
from rewards.judges.rules import RulesJudge
from rewards.verdicts import Status

TOKEN = "a-token-of-some-length"


@reward(subject="episode", version="1")
def exact_match(completion: str, answer: str, bonus: float = 0.0) -> float | None:
    if completion == "crash":
        raise KeyError("lost")
    if completion == "exit":
        raise SystemExit(3)
    if completion == "unscorable":
        raise PolicyFault("no such move")
    if completion == "nan":
        return float("nan")
    return None if not answer else float(completion == answer) + bonus


class By:
    """A judge that gives what it is told to."""

    fingerprint = "by"

    def __init__(self, answers):
        self.answers = answers

    async def judge(self, questions):
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers(questions)

    async def check(self):
        pass


def score(service, data):
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return asyncio.run(service.score(body))


def items(*completions, answer="4"):
    return {"items": [{"completion": text, "answer": answer} for text in completions]}


def test_every_item_gets_a_verdict_in_its_order_and_no_failure_is_a_zero():
    service = RewardService(FunctionReward(exact_match))
    reply = score(service, items("4", "5", "crash", "unscorable", "nan"))
    verdicts = reply.body["verdicts"]
    assert reply.code == 200
    assert [v["value"] for v in verdicts] == [1.0, 0.0, None, None, None]
    assert [v["status"] for v in verdicts] == ["ok", "ok", "judge_fault", "policy_fault", "judge_fault"]
    assert "KeyError" in verdicts[2]["cause"] and verdicts[0]["cause"] == ""
    for verdict in verdicts:
        assert verdict["reward_version"] == exact_match.version
        assert verdict["judge_fingerprint"] == f"exact_match-{exact_match.version}" and verdict["latency_s"] >= 0
    assert score(service, items("4", answer="")).body["verdicts"][0]["status"] == "unparseable"


def test_other_columns_are_left_alone_and_optional_ones_stand_in_all_items_or_none():
    service = RewardService(FunctionReward(exact_match))
    given = {"completion": "4", "answer": "4", "bonus": 0.5, "data_source": "gsm"}
    assert score(service, {"items": [given]}).body["verdicts"][0]["value"] == 1.5
    mixed = score(service, {"items": [given, {"completion": "4", "answer": "4"}]})
    assert mixed.code == 422 and mixed.body["detail"].startswith("items.1.bonus: missing here, present in others")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[1]", "request"),
        (b"{}", "items: Field required"),
        (b'{"items": []}', "items: List should have at least 1 item"),
        (b'{"items": [{"completion": "4"}]}', "items.0.answer: Field required"),
        (b'{"items": [{"completion": "4", "answer": NaN}]}', "got the number NaN"),
        (b'{"items": [{"completion": "4", "answer": 1e999}]}', "got the number 1e999"),
        (b'{"items": [{"completion": "\\ud800", "answer": ""}]}', "no valid Unicode"),
        (b"\xff\xfe", "no valid Unicode"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"items": [{"completion": "4", "answer": "4"}], "deadline_s": 0}', "deadline_s"),
        (b'{"items": [{"completion": "4", "answer": "4"}], "dedline_s": 1}', "dedline_s"),
        (b'{"n": ' + b"9" * 2_000_000 + b"}", "got a number of 2000000 digits"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_clear_message(body, says):
    reply = score(RewardService(FunctionReward(exact_match)), body)
    assert reply.code == 422 and says in reply.body["detail"]


def test_a_refusal_does_not_repeat_the_texts():
    secret = "my private answer"
    reply = score(RewardService(FunctionReward(exact_match)), {"items": [{"completion": secret}]})
    assert secret not in json.dumps(reply.body)


def test_read_json_takes_what_the_standard_takes():
    assert read_json('{"a": [1, 2.5, "\\ud83d\\ude00 é", null, true]}'.encode()) == {"a": [1, 2.5, "😀 é", None, True]}


def test_too_many_items_are_too_large():
    reply = score(RewardService(FunctionReward(exact_match), Config(max_items=2)), items("1", "2", "3"))
    assert reply.code == 413 and "got 3 items; expected at most 2" in reply.body["detail"]


def test_too_many_items_are_too_large_whatever_they_are():
    reply = score(RewardService(FunctionReward(exact_match), Config(max_items=2)), {"items": [0, 0, 0]})
    assert reply.code == 413, "none of them is looked at"


def test_a_function_that_hangs_times_out_and_is_left_behind():
    hang = threading.Event()

    @reward(subject="episode")
    def slow(completion: str) -> float:
        hang.wait(30)
        return 1.0

    served = FunctionReward(slow, max_busy=1)
    service = RewardService(served, Config(deadline_s=0.05))

    async def twice():
        first = await service.score(b'{"items": [{"completion": "a"}, {"completion": "b"}]}')
        return first, await service.score(b'{"items": [{"completion": "a"}], "deadline_s": 99}')

    first, second = asyncio.run(twice())
    hang.set()
    assert [(v["value"], v["status"]) for v in first.body["verdicts"]] == [(None, "timeout")] * 2
    assert (second.body["verdicts"][0]["status"], served.busy) == ("shed", 1)


def test_a_function_that_tries_to_end_the_service_only_fails_itself():
    verdict = score(RewardService(FunctionReward(exact_match)), items("exit")).body["verdicts"][0]
    assert verdict["status"] == "judge_fault" and "SystemExit" in verdict["cause"]


def test_a_full_house_sheds_with_nulls_and_says_when_to_come_back():
    async def go():
        service = RewardService(JudgeReward(By(lambda q: []), "response", "v"), Config(max_in_flight=1))
        service.in_flight = 1
        return await service.score(b'{"items": [{"text": "a"}]}')

    reply = asyncio.run(go())
    assert reply.code == 503 and reply.headers["Retry-After"] == "1"
    assert reply.body["verdicts"][0]["value"] is None and reply.body["verdicts"][0]["status"] == "shed"


@pytest.mark.parametrize(
    ("answers", "status", "says"),
    [
        (ConnectionError("gone"), "judge_fault", "gone"),
        (lambda q: [], "judge_fault", "0 answers"),
        (lambda q: [Answer(Status.OK, float("inf"))] * len(q), "judge_fault", "inf"),
        (lambda q: [Answer(Status.OK, None)] * len(q), "judge_fault", "None"),
        (lambda q: [Answer(Status.TIMEOUT, 0.0)] * len(q), "judge_fault", "timeout"),
        (lambda q: [Answer(Status.OK, "0.5")] * len(q), "judge_fault", "'0.5'"),
        (lambda q: [Answer(Status.OK, 10**400)] * len(q), "judge_fault", "expected a number"),
        (lambda q: [0.5] * len(q), "judge_fault", "expected an Answer"),
        (lambda q: [Answer(Status.OVER_BUDGET, cause="no money")] * len(q), "over_budget", "no money"),
    ],
)
def test_whatever_a_back_end_does_becomes_a_typed_null(answers, status, says):
    reply = score(RewardService(JudgeReward(By(answers), "response", "v")), {"items": [{"text": "a"}]})
    (verdict,) = reply.body["verdicts"]
    assert (verdict["value"], verdict["status"]) == (None, status) and says in verdict["cause"]


def test_judges_take_texts_kinds_and_context():
    seen = []

    def remember(questions):
        seen.extend(questions)
        return [Answer(Status.OK, 0.5, scores=(0.1, None)) for _ in questions]

    service = RewardService(JudgeReward(By(remember), "response", "v"))
    asked = [{"text": "4", "context": {"prompt": "2+2?"}}, {"texts": ["a", "b"], "kind": "group"}]
    reply = score(service, {"items": asked})
    assert [(q.kind, q.texts, q.fields) for q in seen] == [
        ("response", ("4",), {"prompt": "2+2?"}),
        ("group", ("a", "b"), {}),
    ]
    assert reply.body["verdicts"][1]["scores"] == [0.1, None]
    assert score(service, {"items": [{"text": "a", "texts": ["b"]}]}).code == 422
    assert score(service, {"items": [{"text": "a", "kind": "novel"}]}).code == 422


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ({"text": "You die.", "kind": "pair"}, "items.0: got 1 texts of kind 'pair'; expected 2"),
        ({"texts": ["You die.", "You descend."]}, "items.0: got 2 texts of kind 'caption'; expected 1"),
        ({"texts": ["a", "b"], "kind": "response"}, "items.0: got 2 texts of kind 'response'; expected 1"),
    ],
)
def test_an_item_with_another_number_of_texts_than_its_kind_costs_nobody_else_an_answer(item, says):
    async def together():
        service = RewardService(JudgeReward(RulesJudge(), "caption", "v1"))
        bodies = ({"items": [item]}, {"items": [{"text": "You descend to dungeon level #."}]})
        return await asyncio.gather(*(service.score(json.dumps(body).encode()) for body in bodies))

    bad, good = asyncio.run(together())
    assert bad.code == 422 and says in bad.body["detail"]
    assert (good.code, good.body["verdicts"][0]["value"]) == (200, 1.0)


def test_requests_that_come_together_are_judged_together():
    batches = []

    def remember(questions):
        batches.append(len(questions))
        return [Answer(Status.OK, 1.0) for _ in questions]

    async def go():
        service = RewardService(JudgeReward(By(remember), "response", "v"))
        await asyncio.gather(*(service.score(b'{"items": [{"text": "a"}]}') for _ in range(8)))

    asyncio.run(go())
    assert batches == [8]


def test_a_tracer_that_fails_costs_no_reward():
    def fail(items, out):
        raise OSError("disk full")

    service = RewardService(FunctionReward(exact_match), on_call=[fail])
    assert score(service, items("4")).body["verdicts"][0]["value"] == 1.0 and service.on_call_failures == 1


# Through the gate, by ASGI ------------------------------------------------------------------------------------------


def call(method, path, token=TOKEN, service=None, gate=None, repeat=1, **kwargs):
    """Send requests to the app without a socket; gives the last response."""
    service = service or RewardService(JudgeReward(RulesJudge("explore and descend"), "caption", "v1"))
    app = make_app(service, TOKEN, gate)

    async def go():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            headers |= kwargs.pop("headers", {})
            for _ in range(repeat):
                response = await client.request(method, path, headers=headers, **kwargs)
            return response, await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})

    response, metrics = asyncio.run(go())
    return response, metrics.text


CAPTION = {"items": [{"text": "You descend to dungeon level #."}, {"text": "You die."}]}


def test_a_request_with_the_token_is_answered_and_counted():
    response, metrics = call("POST", "/v1/score", json=CAPTION, repeat=3)
    assert response.status_code == 200
    assert [v["value"] for v in response.json()["verdicts"]] == [1.0, 0.0]
    assert 'guerdon_reward_verdicts_total{status="ok"} 6.0' in metrics
    assert 'guerdon_reward_requests_total{code="200"} 3.0' in metrics
    assert "guerdon_reward_seconds_count 3.0" in metrics and "guerdon_reward_in_flight 0.0" in metrics


@pytest.mark.slow
@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN[:-1], TOKEN + "x", "Ω"])
@pytest.mark.parametrize("path", ["/v1/score", "/v1/reward", "/metrics", "/openapi.json", "/docs", "/nothing"])
def test_without_the_token_nothing_is_told(token, path):
    sent = {"Authorization": f"Bearer {token}".encode()} if token is not None else {}
    response, metrics = call("POST" if path == "/v1/score" else "GET", path, token=None, headers=sent)
    assert response.status_code == 401 and response.headers["www-authenticate"] == "Bearer"
    assert 'code="401"} 1.0' in metrics


def test_another_scheme_than_bearer_is_refused_and_health_needs_none():
    assert call("GET", "/v1/reward", token=None, headers={"Authorization": f"Basic {TOKEN}"})[0].status_code == 401
    assert call("GET", "/healthz", token=None)[0].json() == {"status": "ok"}


def test_a_body_beyond_the_limit_is_413_whether_or_not_it_says_so():
    gate = GateConfig(max_body_bytes=100)
    assert call("POST", "/v1/score", gate=gate, json={"items": [{"text": "x" * 100}]})[0].status_code == 413

    async def chunks():
        for _ in range(50):
            yield b"x" * 10

    response, _ = call("POST", "/v1/score", gate=gate, content=chunks(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413 and "more than 100 bytes" in response.json()["detail"]


def test_a_body_that_drips_is_not_waited_for():
    async def drip():
        yield b"{"
        await asyncio.sleep(30)
        yield b"}"

    gate = GateConfig(body_timeout_s=0.05)
    response, _ = call("POST", "/v1/score", gate=gate, content=drip(), headers={"Content-Type": "application/json"})
    assert response.status_code == 408


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_browsers_form_can_send_is_refused(kind):
    response, _ = call("POST", "/v1/score", content=json.dumps(CAPTION), headers={"Content-Type": kind})
    assert response.status_code == 415


def test_unknown_paths_and_methods_are_told_apart():
    assert call("GET", "/v1/scores")[0].status_code == 404
    assert call("GET", "/v1/score")[0].status_code == 405
    assert call("GET", "/docs")[0].status_code == 404  # no page that loads scripts from elsewhere


def test_the_schema_tells_of_items_verdicts_and_the_token():
    response, _ = call("GET", "/openapi.json", service=RewardService(FunctionReward(exact_match)))
    schema = response.json()
    parts = schema["components"]["schemas"]
    assert sorted(parts["Item"]["properties"]) == ["answer", "bonus", "completion"]
    assert sorted(parts["Item"]["required"]) == ["answer", "completion"]
    assert {"value", "status", "cause", "judge_fingerprint", "reward_version", "latency_s"} <= set(
        parts["VerdictOut"]["properties"]
    )
    body = schema["paths"]["/v1/score"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["items"]["items"] == {"$ref": "#/components/schemas/Item"}
    assert schema["security"] == [{"token": []}]


def test_the_reward_says_who_it_is():
    told = call("GET", "/v1/reward")[0].json()
    assert told["reward_version"] == "v1" and told["judge_fingerprint"].startswith("rules-")
    assert told["limits"]["max_items"] == 1024 and told["limits"]["max_body_bytes"] == 8 * 2**20
