"""`OpenAIModel`: any server that speaks OpenAI's chat completions (vLLM, ray.serve.llm, llama.cpp, a cloud).

One short request a question, many in flight. Allowed answers are read off the log-probabilities of the first token
where the server gives them; elsewhere, and for longer replies, the server is asked to keep to a choice or a JSON
schema.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field

from rewards.judges.chat_model import Chat, ChatSession, NoReply, Reply, Schema
from rewards.verdicts import Status


class Config(BaseModel):
    """Which server and model, and how it is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://")
    """Base URL, ending in /v1."""
    model: str = Field(min_length=1)
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key, if the server wants one."""
    timeout_s: float = Field(30.0, gt=0)
    """For one request, waiting for its turn not included."""
    max_in_flight: int = Field(16, ge=1)
    logprobs: bool = True
    """Whether to ask for log-probabilities; some clouds refuse requests that do."""
    least_mass: float = Field(0.05, ge=0, le=1)
    """Where the allowed answers have less probability than this together, the model did not mean to answer."""
    structured: Literal["response_format", "structured_outputs", "none"] = "response_format"
    """How the server is asked to keep to a schema: OpenAI's way, vLLM's way (choices too), or only by words."""
    choice_tokens: int = Field(4, ge=1)
    """Room for one of the allowed answers."""


@dataclass(frozen=True)
class Completion:
    """One reply of a server.

    Attributes:
        text: what was written; None where there is none. candidates: probabilities of candidates for the first token,
        in lower case; empty where the server does not say. tokens: as the server counts them. response: the beginning
        of what it sent, for people.
    """

    text: str | None
    candidates: Mapping[str, float]
    tokens: int
    response: str


class OpenAIModel:
    """A `ChatModel` behind a server. The API key is read when asking and kept nowhere."""

    def __init__(self, config: Config) -> None:
        """Ask a server; nothing is sent yet."""
        self.config = config
        shown = {"url", "model", "logprobs", "least_mass", "structured", "choice_tokens"}
        self._fingerprint = "openai-" + hashlib.sha256(config.model_dump_json(include=shown).encode()).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """Hash of server, model and sampling; not of the key."""
        return self._fingerprint

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Unknown: only the common shapes are broken up in untrusted text."""
        return ()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[ChatSession]:
        """Keep connections open until the session ends."""
        async with Server(self.config).connect() as server:
            yield _Session(self.config, server)


class Server:
    """Sends requests, a bounded number at a time."""

    def __init__(self, config: Config) -> None:
        """Nothing is sent yet."""
        self.config = config
        self._url = config.url.rstrip("/") + "/chat/completions"

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Server]:
        """Open connections. They belong to one event loop, so each batch of questions opens its own."""
        limits = httpx.Limits(max_connections=self.config.max_in_flight)
        timeout_s = self.config.timeout_s
        async with httpx.AsyncClient(limits=limits, timeout=timeout_s, headers=self._headers()) as client:
            self._client, self._turns = client, asyncio.Semaphore(self.config.max_in_flight)
            yield self

    async def complete(self, chat: Chat, max_tokens: int, **more: Any) -> Completion:
        """One greedy reply.

        Args:
            chat: messages.
            max_tokens: of the reply.
            **more: further fields of the request.

        Raises:
            NoReply: there was no completion, with the status that says why.
        """
        body = {
            "model": self.config.model,
            "messages": [dict(message) for message in chat],
            "max_tokens": max_tokens,
            "temperature": 0,
            **more,
        }
        async with self._turns:
            try:
                # httpx bounds each read, a server that drips bytes would still hold us; this bounds the whole.
                response = await asyncio.wait_for(self._client.post(self._url, json=body), self.config.timeout_s)
            except (httpx.TimeoutException, asyncio.TimeoutError) as error:
                raise NoReply(Status.TIMEOUT, f"no answer within {self.config.timeout_s:g} s") from error
            except httpx.HTTPError as error:
                raise NoReply(Status.JUDGE_FAULT, f"{type(error).__name__}: {error}") from error
        if response.status_code != 200:
            raise NoReply(Status.JUDGE_FAULT, f"HTTP {response.status_code}: {response.text[:200]!r}")
        try:
            reply = response.json()
            choice = reply["choices"][0]
            text = choice["message"]["content"]
            tokens = int((reply.get("usage") or {}).get("total_tokens") or 0)
            return Completion(text, _first_token_candidates(choice), tokens, response.text[:200])
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            cause = f"not a chat completion ({error!r}): {response.text[:200]!r}"
            raise NoReply(Status.JUDGE_FAULT, cause) from error

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self.config.api_key_env, "").strip()
        return {"Authorization": f"Bearer {key}"} if key else {}


class _Session:
    """A `ChatSession` with a server."""

    def __init__(self, config: Config, server: Server) -> None:
        self._config, self._server = config, server

    async def choose(self, chat: Chat, choices: Sequence[str]) -> Reply:
        more: dict[str, Any] = {}
        room = self._config.choice_tokens
        by_schema = not self._config.logprobs and self._config.structured == "response_format"
        if self._config.logprobs:
            more |= {"logprobs": True, "top_logprobs": 20}
        if self._config.structured == "structured_outputs":
            more["structured_outputs"] = {"choice": list(choices)}
        if by_schema:
            schema = {"type": "object", "properties": {"answer": {"enum": list(choices)}}, "required": ["answer"]}
            more["response_format"] = _response_format({**schema, "additionalProperties": False})
            room += 16
        said = await self._server.complete(chat, room, **more)
        text = _answer_in(said.text) if by_schema else said.text
        mass = mass_of(choices, said.candidates)
        if (total := math.fsum(mass)) > self._config.least_mass:
            return Reply(probabilities=tuple(m / total for m in mass), tokens=said.tokens)
        word = word_of(text)
        if word is None or word not in [choice.lower() for choice in choices]:
            cause = f"got the answer {said.text!r}; expected one of {list(choices)}"
            raise NoReply(Status.UNPARSEABLE, cause, said.tokens)
        return Reply(probabilities=tuple(float(word == choice.lower()) for choice in choices), tokens=said.tokens)

    async def write(self, chat: Chat, max_tokens: int, schema: Schema | None = None) -> Reply:
        more: dict[str, Any] = {}
        if schema is not None and self._config.structured == "response_format":
            more["response_format"] = _response_format(schema)
        elif schema is not None and self._config.structured == "structured_outputs":
            more["structured_outputs"] = {"json": dict(schema)}
        said = await self._server.complete(chat, max_tokens, **more)
        if not isinstance(said.text, str):
            raise NoReply(Status.UNPARSEABLE, f"got the reply {said.text!r}; expected text", said.tokens)
        return Reply(text=said.text, tokens=said.tokens)


def word_of(text: Any) -> str | None:
    """The single word of a reply, in lower case and without what often surrounds it; None of what is no text."""
    return text.strip().strip(".!\"'*").lower() if isinstance(text, str) else None


def mass_of(choices: Sequence[str], candidates: Mapping[str, float]) -> list[float]:
    """Probability of each choice; a token counts for the one choice that it begins (" Yes", "fir")."""
    mass = [0.0] * len(choices)
    for token, probability in candidates.items():
        begun = [i for i, choice in enumerate(choices) if token and choice.lower().startswith(token)]
        if len(begun) == 1:
            mass[begun[0]] += probability
    return mass


def _response_format(schema: Schema) -> dict[str, Any]:
    named = {"name": str(schema.get("title", "answer")), "schema": dict(schema), "strict": True}
    return {"type": "json_schema", "json_schema": named}


def _answer_in(text: Any) -> Any:
    try:
        return json.loads(text)["answer"]
    except (ValueError, LookupError, TypeError):
        return text


def _first_token_candidates(choice: Mapping[str, Any]) -> dict[str, float]:
    """Probability of each candidate for the first token; empty where the server does not say."""
    content = (choice.get("logprobs") or {}).get("content") or []
    found: dict[str, float] = {}
    for candidate in (content[0].get("top_logprobs") or []) if content else []:
        logprob = float(candidate["logprob"])
        if math.isfinite(logprob):
            token = str(candidate["token"]).strip().lower()
            found[token] = found.get(token, 0.0) + math.exp(logprob)
    return found
