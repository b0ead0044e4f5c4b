"""What may be served where; and a live server, asked by the examples."""

from __future__ import annotations

import asyncio
import datetime
import importlib.util
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipelines.errors import UserError
from pipelines.service.serve_rewards import (
    Config,
    check_exposure,
    find_token,
    is_loopback,
    listen,
    make_server,
    serve,
    service_of,
)
from pipelines.service.targets import Target, find_target
from rewards.judges.judge import Answer
from rewards.verdicts import Status

HOUSE = Path(__file__).resolve().parents[3]
TOKEN = "0123456789abcdef0123"
PATIENCE_S = 250.0  # with what comes in a moment where nobody else is busy

REWARDS = """
import os
import time
from rewards.functions import reward

@reward(subject="episode", version="1")
def exact_match(completion: str, answer: str) -> float | None:
    if completion == "wait":
        while not os.path.exists(os.environ["ANSWER_ONCE_THERE"]):
            time.sleep(0.02)
    return None if not answer else float(completion.strip() == answer)
"""
START = (
    "import sys; from pipelines.service.serve_rewards import serve; "
    "serve(sys.argv[1], {'port': 0, 'deadline_s': 300.0})"
)


def example(name):
    spec = importlib.util.spec_from_file_location(name, HOUSE / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A process that serves a function; gives its URL, itself, and what it says."""
    lab = tmp_path_factory.mktemp("lab")
    (lab / "my_lab_rewards.py").write_text(REWARDS)
    says = lab / "stderr"
    environment = {**os.environ, "PYTHONPATH": f"{HOUSE}{os.pathsep}{lab}", "GUERDON_REWARD_TOKEN": TOKEN}
    environment["ANSWER_ONCE_THERE"] = str(lab / "go")
    with says.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", START, "my_lab_rewards:exact_match"], env=environment, stderr=file
        )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while "http://" not in says.read_text():
            assert process.poll() is None and time.monotonic() < deadline, says.read_text()
            time.sleep(0.05)
        url = "http://" + says.read_text().split("http://")[1].split()[0]
        while True:
            try:
                if httpx.get(f"{url}/healthz").status_code == 200:
                    break
            except httpx.HTTPError:
                assert time.monotonic() < deadline, says.read_text()
                time.sleep(0.05)
        yield url, process, says
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def asked(server, monkeypatch):
    monkeypatch.setenv("GUERDON_REWARD_URL", server[0])
    monkeypatch.setenv("GUERDON_REWARD_TOKEN", TOKEN)


@pytest.mark.slow
def test_the_trl_example_gives_rewards_and_none_where_there_is_none(asked):
    reward = example("trl_reward").guerdon_reward
    chat = [{"role": "assistant", "content": "4"}]
    values = reward(
        completions=["4", "5", "4", chat], answer=["4", "4", "", "4"], prompts=["?"] * 4, trainer_state=None
    )
    assert values == [1.0, 0.0, None, 1.0]


@pytest.mark.slow
def test_the_verl_example_gives_a_number_or_raises_the_cause(asked):
    score = example("verl_reward").compute_score
    assert (score("gsm8k", "4", "4"), score("gsm8k", "5", "4", {"index": 3})) == (1.0, 0.0)
    with pytest.raises(RuntimeError, match=r"no reward \(unparseable: the reward function abstained\)"):
        score("gsm8k", "4", "")


def test_the_examples_raise_where_the_token_is_wrong(asked, monkeypatch):
    monkeypatch.setenv("GUERDON_REWARD_TOKEN", "wrong")
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        example("trl_reward").guerdon_reward(completions=["4"], answer=["4"])
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        example("verl_reward").compute_score("gsm8k", "4", "4")


def test_garbage_on_the_socket_ends_nothing(server):
    url, process, _ = server
    host, port = url.removeprefix("http://").split(":")
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET " + b"x" * 200_000, b"POST /v1/score HTTP/1.1\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
            connection.sendall(garbage)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "Content-Length": "-5"}
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"POST /v1/score HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    assert process.poll() is None and httpx.get(f"{url}/healthz", timeout=PATIENCE_S).status_code == 200


@pytest.mark.slow
def test_a_signal_lets_requests_that_have_begun_come_to_their_end(server):
    """The last test of the module: the server ends."""
    url, process, says = server
    body = json.dumps({"items": [{"completion": "wait", "answer": "wait"}]}).encode()
    host, port = url.removeprefix("http://").split(":")
    head = (
        f"POST /v1/score HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        connection.sendall(head.encode() + body)
        while (
            b"guerdon_reward_in_flight 1.0"
            not in httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=PATIENCE_S).content
        ):
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        (says.parent / "go").touch()
        reply = b""
        while part := connection.recv(65536):
            reply += part
            if b'"latency_s"' in reply and reply.endswith(b"}"):
                break
    assert reply.startswith(b"HTTP/1.1 200") and b'"value": 1.0' in reply
    assert process.wait(PATIENCE_S) == 0 and "came to its end" in says.read_text()
    assert TOKEN not in says.read_text()


# What may be served where -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False),
     ("192.0.2.7", False), ("no-such-host.invalid", False)],
)  # fmt: skip
def test_only_this_machine_can_reach_loopback(host, loopback):
    assert is_loopback(host) is loopback


def test_another_address_wants_a_token_of_yours_and_tls_or_a_plain_word():
    check_exposure(Config(), made_up=True)
    with pytest.raises(UserError, match="can be reached from elsewhere; expected a token"):
        check_exposure(Config(host="0.0.0.0", plaintext=True), made_up=True)
    with pytest.raises(UserError, match="the token would travel in clear"):
        check_exposure(Config(host="0.0.0.0"), made_up=False)
    check_exposure(Config(host="0.0.0.0", plaintext=True), made_up=False)


def test_tls_files_come_in_pairs_and_must_fit(tmp_path):
    with pytest.raises(UserError, match="expected both, or none"):
        check_exposure(Config(tls_cert="c.pem"), made_up=False)
    (tmp_path / "c.pem").write_text("no certificate")
    for cert in (tmp_path / "c.pem", tmp_path / "missing.pem"):
        with pytest.raises(UserError, match="expected PEM files that fit"):
            check_exposure(Config(tls_cert=str(cert), tls_key=str(cert)), made_up=False)


def self_signed(folder):
    """A certificate for localhost and its key, in PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(private)
    return str(folder / "cert.pem"), str(folder / "key.pem")


def test_with_tls_the_reward_is_served_and_plain_http_is_not(tmp_path):
    cert, key = self_signed(tmp_path)
    config = Config(port=0, tls_cert=cert, tls_key=key)
    check_exposure(config.model_copy(update={"host": "0.0.0.0"}), made_up=False)
    with listen(config) as listener:
        server = make_server(service_of(find_target("rules", config), config), TOKEN, config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            port = listener.getsockname()[1]
            headers = {"Authorization": f"Bearer {TOKEN}"}
            trusting = ssl.create_default_context(cafile=cert)
            with httpx.Client(verify=trusting, headers=headers, timeout=PATIENCE_S) as client:
                body = {"items": [{"text": "You descend to dungeon level #."}, {"text": ":"}]}
                verdicts = client.post(f"https://localhost:{port}/v1/score", json=body).json()["verdicts"]
            assert [(v["value"], v["status"]) for v in verdicts] == [(1.0, "ok"), (None, "policy_fault")]
            with pytest.raises(httpx.HTTPError):
                httpx.get(f"http://localhost:{port}/healthz")
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_token_is_made_up_where_there_is_none():
    one, other = find_token(Config(), {}), find_token(Config(), {})
    assert one[1] and len(one[0]) >= 40 and one != other
    assert find_token(Config(), {"GUERDON_REWARD_TOKEN": TOKEN}) == (TOKEN, False)


@pytest.mark.parametrize("token", ["short", "has a space in the middle", "ünïcödé-ünïcödé-ünïcödé"])
def test_a_token_that_is_easily_guessed_or_cannot_travel_is_refused(token):
    with pytest.raises(UserError, match="expected at least 16 ASCII characters"):
        find_token(Config(), {"GUERDON_REWARD_TOKEN": token})


def test_a_token_file_that_others_may_read_is_refused(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        find_token(Config(token_file=str(file)), {})
    file.chmod(0o600)
    assert find_token(Config(token_file=str(file)), {}) == (TOKEN, False)
    with pytest.raises(UserError, match="cannot read"):
        find_token(Config(token_file=str(tmp_path / "none")), {})


@pytest.mark.slow
def test_a_busy_port_and_an_unknown_key_are_one_line():
    with listen(Config(port=0)) as taken, pytest.raises(UserError, match=r"cannot listen on 127\.0\.0\.1"):
        listen(Config(port=taken.getsockname()[1]))
    with pytest.raises(UserError, match="prot"):
        serve("rules", {"prot": 1})
    with pytest.raises(UserError, match="expected builtin, rules, a URL"):
        serve("nothing", {"port": 0})


@pytest.mark.slow
def test_a_served_judge_that_fails_its_canaries_gives_no_value_any_more(tmp_path):
    (tmp_path / "canaries.yaml").write_text('- {accept: true, text: "You die."}\n- {accept: false, text: "It is."}\n')
    with pytest.raises(UserError, match="cannot be read"):
        service_of(find_target("rules", Config()), Config(canaries=str(tmp_path / "none.yaml")))
    config = Config(canaries=str(tmp_path / "canaries.yaml"))
    service = service_of(find_target("rules", config), config)
    body = json.dumps({"items": [{"text": f"You descend to dungeon level {k}."} for k in range(1000)]}).encode()
    before, after = (asyncio.run(service.score(body)).body["verdicts"] for _ in range(2))  # 2 % of 1,000, twice
    assert before[0]["value"] is None or after[0]["value"] is None
    assert after[0]["status"] == "judge_fault" and "rejects what it should accept" in after[0]["cause"]


@pytest.mark.slow
def test_canaries_ask_the_judge_and_not_its_guard(tmp_path):
    """A judge that has turned accepts "Solution:"; the guard, which refuses it, says nothing about the judge."""

    class Yes:
        fingerprint = "yes"

        async def judge(self, questions):
            return [Answer(Status.OK, 1.0) for _ in questions]

        async def check(self):
            pass

    (tmp_path / "canaries.yaml").write_text(
        '- {accept: true, text: "You descend."}\n- {accept: false, text: "Solution:"}\n'
    )
    service = service_of(Target("yes", Yes(), "caption", "v1"), Config(canaries=str(tmp_path / "canaries.yaml")))
    body = json.dumps({"items": [{"text": f"You descend to dungeon level {k}."} for k in range(1000)]}).encode()
    for _ in range(2):  # 2 % of 1,000, twice
        verdict = asyncio.run(service.score(body)).body["verdicts"][0]
    assert verdict["status"] == "judge_fault" and "accepts what it should reject" in verdict["cause"]
