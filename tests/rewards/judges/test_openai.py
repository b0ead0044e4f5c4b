import asyncio
import json
import math
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rewards.judges.judge import Question
from rewards.judges.openai import Config, OpenAIJudge
from rewards.verdicts import Status

CAPTION = Question("c", "caption", ("a key.",))
PAIR = Question("p", "pair", ("a key.", "It's a wall."))


class Server:
    """A real HTTP server whose next replies are set by the test."""

    def __init__(self):
        self.reply = completion("yes")
        self.status = 200
        self.delay_s = 0.0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.requests = []
        self.busy = self.busiest = 0
        lock, server = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    server.requests.append((self.path, dict(self.headers), body))
                    server.busy += 1
                    server.busiest = max(server.busiest, server.busy)
                time.sleep(server.delay_s)
                server.may_answer.wait(250)
                with lock:
                    server.busy -= 1
                data = server.reply if isinstance(server.reply, bytes) else json.dumps(server.reply).encode()
                try:
                    self.send_response(server.status)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the judge did not wait

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def completion(text, logprobs=None):
    choice = {"message": {"role": "assistant", "content": text}}
    if logprobs is not None:
        top = [{"token": token, "logprob": math.log(p)} for token, p in logprobs.items()]
        choice["logprobs"] = {"content": [{"token": text, "top_logprobs": top}]}
    return {"choices": [choice], "usage": {"total_tokens": 42}}


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def ask(server, *questions, **config):
    judge = OpenAIJudge(Config(url=server.url, model="m", **config))
    return asyncio.run(judge.judge(questions))


@pytest.mark.slow
def test_a_single_word_is_the_answer(server):
    for text, value in [("yes", 1.0), ("No.", 0.0), (" YES\n", 1.0)]:
        server.reply = completion(text)
        (answer,) = ask(server, CAPTION)
        assert (answer.status, answer.value, answer.tokens) == (Status.OK, value, 42)


@pytest.mark.slow
def test_pairs_are_first_second_or_same(server):
    for text, value in [("first", 1.0), ("second", 0.0), ("same", 0.5)]:
        server.reply = completion(text)
        assert ask(server, PAIR)[0].value == value


def test_soft_values_come_from_the_candidates_for_the_first_token(server):
    server.reply = completion("yes", {"yes": 0.5, " Yes": 0.1, "no": 0.2, "maybe": 0.2})
    assert ask(server, CAPTION, soft=True)[0].value == pytest.approx(0.6 / 0.8)
    server.reply = completion("first", {"first": 0.5, "sec": 0.3, "same": 0.1, "s": 0.1})
    assert ask(server, PAIR, soft=True)[0].value == pytest.approx((0.5 + 0.1 / 2) / 0.9)


def test_what_the_model_hardly_meant_to_say_is_no_soft_value(server):
    server.reply = completion("As", {"As": 0.97, "I": 0.02, "yes": 1e-4})
    (answer,) = ask(server, CAPTION, soft=True)
    assert answer.status is Status.UNPARSEABLE and answer.value is None


def test_soft_falls_back_to_the_word_where_a_server_gives_no_candidates(server):
    server.reply = completion("no")
    assert ask(server, CAPTION, soft=True)[0].value == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("text", ["perhaps", "", "yes and no", "the answer is yes", None])
def test_an_answer_that_cannot_be_read_is_no_value(server, text):
    server.reply = completion(text)
    (answer,) = ask(server, CAPTION)
    assert (answer.status, answer.value) == (Status.UNPARSEABLE, None)
    assert repr(text) in answer.cause


@pytest.mark.slow
@pytest.mark.parametrize("reply", [b"<html>", b"[]", {"choices": []}, {"error": "x"}, b"\xff\xfe"])
def test_a_reply_that_is_no_completion_is_a_judge_fault(server, reply):
    server.reply = reply
    (answer,) = ask(server, CAPTION)
    assert (answer.status, answer.value) == (Status.JUDGE_FAULT, None)


def test_an_http_error_is_a_judge_fault_with_its_code(server):
    server.status, server.reply = 500, b"overloaded"
    (answer,) = ask(server, CAPTION)
    assert answer.status is Status.JUDGE_FAULT and "500" in answer.cause and "overloaded" in answer.cause


def test_a_server_that_hangs_is_a_timeout(server):
    server.may_answer.clear()
    (answer,) = ask(server, CAPTION, timeout_s=0.1)
    server.may_answer.set()
    assert (answer.status, answer.value) == (Status.TIMEOUT, None)


def test_nobody_listening_is_a_judge_fault_and_check_names_url_and_remedy(server):
    server.close()
    (answer,) = ask(server, CAPTION)
    assert answer.status is Status.JUDGE_FAULT
    with pytest.raises(ConnectionError, match="start the server") as caught:
        asyncio.run(OpenAIJudge(Config(url=server.url, model="m")).check())
    assert server.url in str(caught.value)
    server.http = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.thread = threading.Thread(target=server.http.serve_forever, args=(0.02,), daemon=True)
    server.thread.start()


def test_check_is_content_with_a_server_that_answers(server):
    asyncio.run(OpenAIJudge(Config(url=server.url, model="m")).check())


@pytest.mark.slow
def test_no_more_requests_are_in_flight_than_allowed_and_answers_keep_their_order(server):
    server.delay_s = 0.02
    answers = ask(server, *[CAPTION] * 12, max_in_flight=3)
    assert len(answers) == 12 and server.busiest <= 3


def test_the_request_is_short_and_greedy_and_goes_to_chat_completions(server):
    ask(server, CAPTION, goal="collect gold")
    path, _, body = server.requests[0]
    assert path == "/v1/chat/completions"
    assert (body["temperature"], body["model"]) == (0, "m") and body["max_tokens"] <= 4
    assert "collect gold" in body["messages"][0]["content"]


def test_the_key_is_sent_but_neither_kept_nor_fingerprinted(server, monkeypatch):
    config = Config(url=server.url, model="m", api_key_env="SOME_KEY")
    monkeypatch.delenv("SOME_KEY", raising=False)
    judge = OpenAIJudge(config)
    before = judge.fingerprint
    monkeypatch.setenv("SOME_KEY", "sesame")
    asyncio.run(judge.judge([CAPTION]))
    assert server.requests[0][1]["Authorization"] == "Bearer sesame"
    assert OpenAIJudge(config).fingerprint == before
    assert "sesame" not in repr(vars(judge)) + config.model_dump_json()


def test_the_fingerprint_changes_with_goal_model_and_server_and_not_with_patience():
    def fingerprint(**config):
        return OpenAIJudge(Config(**{"url": "http://h/v1", "model": "m", **config})).fingerprint

    before = fingerprint()
    assert len({before, fingerprint(goal="x"), fingerprint(model="n"), fingerprint(url="http://i/v1")}) == 4
    assert before == fingerprint(timeout_s=1.0, max_in_flight=2)
