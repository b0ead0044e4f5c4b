"""`OpenAIJudge`: any server that speaks OpenAI's chat completions (vLLM, llama.cpp, a cloud).

One short request a question, many in flight. Where the server returns log-probabilities, the answer is read off the
candidates for the first token; elsewhere the single word must be one of the allowed answers, or there is no value.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, Field

from rewards.judges import prompts
from rewards.judges.judge import Answer, Question, QuestionKind
from rewards.verdicts import Status


class Config(BaseModel):
    """Which server and model, and how it is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^https?://")
    """Base URL, ending in /v1."""
    model: str = Field(min_length=1)
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key, if the server wants one."""
    goal: str = Field("explore and descend", min_length=1)
    soft: bool = False
    """Whether values are probabilities; needs a server that returns log-probabilities, else they are 0, 0.5 or 1."""
    timeout_s: float = Field(30.0, gt=0)
    """For one question, waiting for its turn not included."""
    max_in_flight: int = Field(16, ge=1)
    max_tokens: int = Field(4, ge=1)
    logprobs: bool = True
    """Whether to ask for log-probabilities; some clouds refuse requests that do."""


class OpenAIJudge:
    """A `Judge` that asks a server. The API key is read when asking and kept nowhere."""

    def __init__(self, config: Config) -> None:
        """Judge by a server; nothing is sent yet."""
        self.config = config
        self._url = config.url.rstrip("/") + "/chat/completions"
        shown = {"url", "model", "goal", "soft", "max_tokens", "logprobs"}
        parts = [config.model_dump_json(include=shown), prompts.fingerprint(config.goal)]
        self._fingerprint = "openai-" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """Hash of server, model, prompts and sampling; not of the key."""
        return self._fingerprint

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order, `max_in_flight` at a time."""
        # A client belongs to one event loop, so each call opens its own; its connections serve the whole batch.
        turns = asyncio.Semaphore(self.config.max_in_flight)
        limits = httpx.Limits(max_connections=self.config.max_in_flight)
        async with httpx.AsyncClient(limits=limits, timeout=self.config.timeout_s, headers=self._headers()) as client:

            async def ask(question: Question) -> Answer:
                async with turns:
                    start = time.perf_counter()
                    status, value, cause, tokens = await self._ask(client, question)
                    return Answer(status, value, cause, tokens, time.perf_counter() - start)

            return list(await asyncio.gather(*map(ask, questions)))

    async def check(self) -> None:
        """Ask one question whose answer does not matter.

        Raises:
            ConnectionError: the server cannot be reached, or refuses the request.
        """
        (answer,) = await self.judge([Question("check", "caption", ("You see here a key.",))])
        if answer.status in {Status.JUDGE_FAULT, Status.TIMEOUT}:
            raise ConnectionError(
                f"no judge at {self.config.url}: {answer.cause}; start the server, or mend the judge's url, model "
                f"({self.config.model!r}) or the key in the environment variable {self.config.api_key_env}"
            )

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self.config.api_key_env, "").strip()
        return {"Authorization": f"Bearer {key}"} if key else {}

    async def _ask(self, client: httpx.AsyncClient, question: Question) -> tuple[Status, float | None, str, int]:
        body: dict[str, Any] = {
            "model": self.config.model,
            "messages": [dict(message) for message in prompts.messages_for(self.config.goal, question)],
            "max_tokens": self.config.max_tokens,
            "temperature": 0,
        }
        if self.config.logprobs:
            body |= {"logprobs": True, "top_logprobs": 20}
        try:
            # httpx bounds each read, a server that drips bytes would still hold us; this bounds the whole.
            response = await asyncio.wait_for(client.post(self._url, json=body), self.config.timeout_s)
        except (httpx.TimeoutException, asyncio.TimeoutError):
            return Status.TIMEOUT, None, f"no answer within {self.config.timeout_s:g} s", 0
        except httpx.HTTPError as error:
            return Status.JUDGE_FAULT, None, f"{type(error).__name__}: {error}", 0
        if response.status_code != 200:
            return Status.JUDGE_FAULT, None, f"HTTP {response.status_code}: {response.text[:200]!r}", 0
        try:
            reply = response.json()
            choice = reply["choices"][0]
            text = choice["message"]["content"]
            tokens = int((reply.get("usage") or {}).get("total_tokens") or 0)
            candidates = _first_token_candidates(choice)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            return Status.JUDGE_FAULT, None, f"not a chat completion ({error!r}): {response.text[:200]!r}", 0
        return (*self._read(question.kind, text, candidates), tokens)

    def _read(self, kind: QuestionKind, text: Any, candidates: Mapping[str, float]) -> tuple[Status, float | None, str]:
        choices = prompts.CHOICES[kind]
        word = text.strip().strip(".!\"'*").lower() if isinstance(text, str) else None
        if self.config.soft and candidates:
            mass = _mass(choices, candidates)
            if (total := sum(mass)) > 0:
                return Status.OK, _value([m / total for m in mass]), ""
        if word in choices:
            return Status.OK, _value([float(word == choice) for choice in choices]), ""
        return Status.UNPARSEABLE, None, f"got the answer {text!r}; expected one of {list(choices)}"


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


def _mass(choices: Sequence[str], candidates: Mapping[str, float]) -> list[float]:
    """Probability of each choice; a token counts for the one choice that it begins (" Yes", "fir")."""
    mass = [0.0] * len(choices)
    for token, probability in candidates.items():
        begun = [i for i, choice in enumerate(choices) if token and choice.startswith(token)]
        if len(begun) == 1:
            mass[begun[0]] += probability
    return mass


def _value(probabilities: Sequence[float]) -> float:
    """Captions: probability of yes. Pairs: that the first is better, ties counting half."""
    return probabilities[0] + (0.5 * probabilities[2] if len(probabilities) == 3 else 0.0)
