"""The reward service over HTTP: who may call, how large a request may be, which path does what.

FastAPI on uvicorn, in one process: it runs for one person without any cluster, and dies and restarts as one thing. What
needs many machines is the judge behind it (a server of its own, by URL), not these few lines in front.

| path | what |
|---|---|
| `POST /v1/score` | verdicts for items |
| `GET /v1/reward` | which reward this is, and its limits |
| `GET /openapi.json` | the schema |
| `GET /metrics` | Prometheus |
| `GET /healthz` | 200 while it takes requests; the only path that needs no token |
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from pipelines.service.reward_service import JSON, Refusal, Reply, RewardService, ScoreOut

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTH = "/healthz"
SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Config(BaseModel):
    """What the gate lets in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_body_bytes: int = Field(8 * 2**20, ge=1)
    body_timeout_s: float = Field(20.0, gt=0)
    """A body must have come whole after this long."""


class Metrics:
    """Counters for Prometheus, in a registry of their own."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        self.registry = CollectorRegistry()
        self.requests = Counter("guerdon_reward_requests", "Requests by HTTP status.", ["code"], registry=self.registry)
        self.verdicts = Counter(
            "guerdon_reward_verdicts", "Verdicts by status; all but ok are NULL.", ["status"], registry=self.registry
        )
        self.seconds = Histogram(
            "guerdon_reward_seconds", "Seconds from request to reply.", registry=self.registry, buckets=SECONDS
        )
        self.in_flight = Gauge("guerdon_reward_in_flight", "Requests being answered.", registry=self.registry)

    def count(self, out: ScoreOut) -> None:
        """Take in one answered request."""
        self.seconds.observe(out.latency_s)
        for verdict in out.verdicts:
            self.verdicts.labels(verdict.status.value).inc()


class Gate:
    """ASGI in front of the app: token, size, and time for the body, before anything is read or parsed."""

    def __init__(self, app: App, token: str | None, config: Config, on_code: Callable[[int], None]) -> None:
        """Guard `app`.

        Args:
            app: behind the gate.
            token: callers must bear; None: nobody is asked, for loopback only.
            config: limits.
            on_code: told the HTTP status of every reply.
        """
        self._app, self._config, self._on_code = app, config, on_code
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection event."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._on_code(message["status"])
            await send(message)

        headers: dict[bytes, bytes] = dict(scope["headers"])
        if scope["path"] != HEALTH and not self._knows(headers.get(b"authorization", b"")):
            reply = Reply(401, {"detail": "expected the header Authorization: Bearer TOKEN"})
            return await _send(counted, Reply(*reply[:2], {"WWW-Authenticate": "Bearer"}))
        limit = self._config.max_body_bytes
        too_large = Reply(413, {"detail": f"got a body of more than {limit} bytes; send fewer items in a request"})
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            return await _send(counted, Reply(400, {"detail": "got a Content-Length that is no number"}))
        if int(length) > limit:
            return await _send(counted, too_large)
        try:
            body = await asyncio.wait_for(_body(receive, limit), self._config.body_timeout_s)
        except asyncio.TimeoutError:
            waited = f"the body did not come within {self._config.body_timeout_s:g} s"
            return await _send(counted, Reply(408, {"detail": waited}))
        if body is None:
            return await _send(counted, too_large)
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, replay, counted)

    def _knows(self, header: bytes) -> bool:
        if self._token is None:
            return True
        scheme, _, token = header.partition(b" ")
        # Compared in constant time: how long it takes must not tell how much of a guess was right.
        return hmac.compare_digest(token.strip(), self._token) and scheme.lower() == b"bearer"


def make_app(service: RewardService, token: str | None, config: Config | None = None) -> App:
    """The app of a service.

    Args:
        service: answers.
        token: see `Gate`.
        config: see `Gate`.
    """
    metrics = Metrics()
    service.on_call.append(lambda items, out: metrics.count(out))
    metrics.in_flight.set_function(lambda: service.in_flight)
    app = FastAPI(title="Guerdon rewards", version="1", docs_url=None, redoc_url=None)
    replies: dict[int | str, dict[str, Any]] = {code: {"model": Refusal} for code in (401, 408, 413, 415, 422)}
    replies[503] = {"model": ScoreOut, "description": "Shed: every verdict is null; ask again later"}
    schema = service.request.model_json_schema(ref_template="#/components/schemas/{model}")
    models = schema.pop("$defs", {})

    @app.post(
        "/v1/score",
        response_model=ScoreOut,
        responses=replies,
        openapi_extra={"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}},
    )
    async def score(request: Request) -> Response:
        """Verdicts for items, in their order; null where there is no value."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != JSON:  # a browser's form cannot send this without asking first
            return _response(Reply(415, {"detail": f"got Content-Type {kind!r}; expected {JSON}"}))
        return _response(await service.score(await request.body()))

    @app.get("/v1/reward")
    async def reward() -> dict[str, Any]:
        """Which reward this is, and its limits."""
        return {
            "reward_version": service.reward.version,
            "judge_fingerprint": service.reward.fingerprint,
            "limits": {**service.config.model_dump(), **(config or Config()).model_dump()},
        }

    @app.get("/metrics", include_in_schema=False)
    async def prometheus() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get(HEALTH)
    async def health() -> dict[str, str]:
        """Whether requests are taken."""
        return {"status": "ok"}

    openapi = app.openapi

    def with_items() -> dict[str, Any]:
        found = openapi()
        found["components"]["schemas"].update(models)
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
        return found

    app.openapi = with_items  # type: ignore[method-assign]  # FastAPI's own way to extend a schema
    return Gate(app, token, config or Config(), lambda code: metrics.requests.labels(str(code)).inc())


async def _body(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None where it is larger than the limit, whatever its header said."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def _response(reply: Reply) -> Response:
    return Response(json.dumps(reply.body), reply.code, dict(reply.headers), media_type=JSON)


async def _send(send: Send, reply: Reply) -> None:
    body = json.dumps(reply.body).encode()
    headers = {"Content-Type": JSON, "Content-Length": str(len(body)), **reply.headers}
    # The rest of the request was not read: the connection cannot be used for another one.
    headers["Connection"] = "close"
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.code, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
