"""`guerdon serve-rewards TARGET`: any reward over HTTP, for trainers elsewhere. See docs/serve-rewards.md.

Closed unless opened: it listens on 127.0.0.1 and asks for a token; another address wants a token of yours, and TLS
unless you say plainly that there is none. SIGTERM and Ctrl-C let requests that have begun come to their end.
"""

from __future__ import annotations

import atexit
import ipaddress
import os
import secrets
import signal
import socket
import ssl
import stat
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import Field, ValidationError

from pipelines.errors import UserError
from pipelines.overrides import explain
from pipelines.service.reward_http import App, make_app
from pipelines.service.reward_http import Config as GateConfig
from pipelines.service.reward_service import Config as ServiceConfig
from pipelines.service.reward_service import FunctionReward, JudgeReward, OnCall, Reward, RewardService
from pipelines.service.targets import Settings, Target, find_target
from pipelines.trust.attack import asked, with_defences
from rewards.canaries import CanaryWatch
from rewards.canary_file import read_canaries
from rewards.judges.canaried import CanariedJudge

TOKEN_VARIABLE = "GUERDON_REWARD_TOKEN"
SHORTEST_TOKEN = 16


class Config(Settings):
    """Where and how a reward is served; the keys of `pipelines.service.targets.Settings` beside these."""

    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(8200, ge=0, le=65535)
    """0: any free one; it is printed."""
    token_file: str = ""
    """Holds the token; by default it is in the environment variable GUERDON_REWARD_TOKEN, or made up and printed."""
    tls_cert: str = ""
    """PEM file of the certificate chain."""
    tls_key: str = ""
    """PEM file of its private key."""
    plaintext: bool = False
    """Whether another address than loopback may be served without TLS, behind a proxy that has it."""
    guard: bool = True
    """Whether judges and reward models stand behind the guard of rewards/judges/guarded.py."""
    canaries: str = ""
    """File of rows with known verdicts that go along unmarked: a judge that gets them wrong answers NULL afterwards."""
    trace: bool = False
    """Whether every call is traced in MLflow, texts and all."""
    drain_s: int = Field(20, ge=0)
    """How long requests that have begun may take at the end."""
    max_connections: int = Field(256, ge=1)
    max_body_bytes: int = Field(8 * 2**20, ge=1)
    max_items: int = Field(1024, ge=1)
    max_in_flight: int = Field(64, ge=1)
    deadline_s: float = Field(60.0, gt=0)


def serve(text: str, values: Mapping[str, Any]) -> None:
    """Serve a reward until a signal comes.

    Args:
        text: names the reward, see `pipelines.service.targets`.
        values: of `Config`.

    Raises:
        UserError: the reward cannot be had, or it may not be served like this.
    """
    try:
        config = Config.model_validate(dict(values))
    except ValidationError as error:
        raise UserError(explain(error)) from None
    token, made_up = find_token(config, os.environ)
    check_exposure(config, made_up)
    with listen(config) as listener:
        target = find_target(text, config)
        server = make_server(service_of(target, config), token, config)
        host, port = listener.getsockname()[:2]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        scheme = "https" if config.tls_cert else "http"
        print(f"serving {text} (version {target.version}) on {scheme}://{address}", file=sys.stderr)
        if made_up:
            print(f"export {TOKEN_VARIABLE}={token}", file=sys.stderr, flush=True)
        # uvicorn drains, then raises the signal again; there is nothing left for it to end.
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        server.run(sockets=[listener])
    print("served: every request that had begun came to its end", file=sys.stderr)


def service_of(target: Target, config: Config) -> RewardService:
    """The service of a target, behind its guard unless it is a function."""
    reward: Reward
    if target.function is not None:
        reward = FunctionReward(target.function, config.max_in_flight)
    else:
        judge = asked(target)
        if config.canaries:  # inside the guard, which would answer for the judge
            judge = CanariedJudge(judge, _watch(config.canaries))
        if config.guard:
            judge = with_defences(replace(target, judge=judge))
        reward = JudgeReward(judge, target.kind, judge.fingerprint)
    limits = ServiceConfig(max_items=config.max_items, max_in_flight=config.max_in_flight, deadline_s=config.deadline_s)
    return RewardService(reward, limits, [_tracer(config, target.name)] if config.trace else [])


def _watch(file: str) -> CanaryWatch:
    try:
        return CanaryWatch(read_canaries(Path(file).expanduser()))
    except ValueError as error:
        raise UserError(str(error)) from None


def make_server(service: RewardService, token: str, config: Config) -> uvicorn.Server:
    """An HTTP server that is not yet running."""
    app: App = make_app(service, token, GateConfig(max_body_bytes=config.max_body_bytes))
    settings = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=config.max_connections,
        timeout_graceful_shutdown=config.drain_s,
        ssl_certfile=config.tls_cert or None,
        ssl_keyfile=config.tls_key or None,
    )
    return uvicorn.Server(settings)


def find_token(config: Config, environment: Mapping[str, str]) -> tuple[str, bool]:
    """The token that callers must bear, and whether it was made up now.

    Raises:
        UserError: the file cannot be read, others may read it, or the token is too short to be safe.
    """
    if config.token_file:
        path = Path(config.token_file).expanduser()
        try:
            others = stat.S_IMODE(path.stat().st_mode) & 0o077
            token = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"token_file: cannot read {path}: {error}") from None
        if others:
            raise UserError(f"token_file: others may read {path}; expected mode 600: chmod 600 {path}")
        where = str(path)
    else:
        token, where = environment.get(TOKEN_VARIABLE, "").strip(), TOKEN_VARIABLE
        if not token:
            return secrets.token_urlsafe(32), True
    if len(token) < SHORTEST_TOKEN or not token.isascii() or any(map(str.isspace, token)):
        raise UserError(
            f"got a token of {len(token)} characters in {where}; expected at least {SHORTEST_TOKEN} ASCII characters "
            "without spaces, such as `openssl rand -hex 32` gives"
        )
    return token, False


def check_exposure(config: Config, made_up: bool) -> None:
    """Refuse to listen where others can come, unless they need a token and cannot listen in.

    Raises:
        UserError: says what is missing.
    """
    if bool(config.tls_cert) != bool(config.tls_key):
        raise UserError("got one of tls_cert and tls_key; expected both, or none")
    if config.tls_cert:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(config.tls_cert, config.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise UserError(f"tls_cert, tls_key: cannot be used: {error}; expected PEM files that fit") from None
    if is_loopback(config.host):
        return
    if made_up:
        raise UserError(
            f"host={config.host} can be reached from elsewhere; expected a token: set {TOKEN_VARIABLE} or token_file="
        )
    if not config.tls_cert and not config.plaintext:
        raise UserError(
            f"host={config.host} can be reached from elsewhere, and the token would travel in clear; give tls_cert= "
            "and tls_key=, or plaintext=true where a proxy has TLS"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; a name counts by all the addresses that it has."""
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)


def listen(config: Config) -> socket.socket:
    """A socket that listens; taken before the model is loaded, so that a busy port is known at once.

    Raises:
        UserError: the address cannot be had.
    """
    try:
        family = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((config.host, config.port), family=family, backlog=128)
    except OSError as error:
        raise UserError(f"cannot listen on {config.host} port {config.port}: {error}; set host= or port=") from None


def _tracer(config: Config, name: str) -> OnCall:
    from pipelines.tracking import CallTracer
    from pipelines.tracking import Config as TrackingConfig

    tracer = CallTracer(TrackingConfig(), config.runs, f"reward {name}")
    atexit.register(tracer.finish)  # what waits still goes out
    return lambda items, out: tracer.trace(
        {"items": [item.model_dump(mode="json") for item in items]}, out.model_dump(mode="json"), out.latency_s
    )
