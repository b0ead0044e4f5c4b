"""`OpenAIJudge`: captions and pairs, judged by any server that speaks OpenAI's chat completions.

One short request a question, many in flight. Where the server returns log-probabilities, the answer is read off the
candidates for the first token, if it is likely to be an answer at all; elsewhere the single word must be one of the
allowed answers, or there is no value.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rewards.judges import openai_model, prompts
from rewards.judges.chat_model import NoReply
from rewards.judges.judge import Answer, Question, unanswerable
from rewards.judges.openai_model import Server, mass_of, word_of
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
        same = {"url", "model", "api_key_env", "timeout_s", "max_in_flight", "logprobs"}
        self._server = openai_model.Config(**config.model_dump(include=same))
        shown = {"url", "model", "goal", "soft", "max_tokens", "logprobs"}
        parts = [config.model_dump_json(include=shown), prompts.fingerprint(config.goal)]
        if config.soft:
            parts.append(f"least mass {self._server.least_mass}")
        self._fingerprint = "openai-" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """Hash of server, model, prompts and sampling; not of the key."""
        return self._fingerprint

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order, `max_in_flight` at a time."""
        async with Server(self._server).connect() as server:
            return list(await asyncio.gather(*(self._ask(server, question) for question in questions)))

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

    async def _ask(self, server: Server, question: Question) -> Answer:
        if question.kind not in prompts.CHOICES:
            return unanswerable(question, prompts.CHOICES)
        more: dict[str, Any] = {"logprobs": True, "top_logprobs": 20} if self.config.logprobs else {}
        chat, start = prompts.messages_for(self.config.goal, question), time.perf_counter()
        try:
            said = await server.complete(chat, self.config.max_tokens, **more)
        except NoReply as error:
            return Answer(error.status, cause=error.cause, latency_s=time.perf_counter() - start)
        latency_s = time.perf_counter() - start
        choices = prompts.CHOICES[question.kind]
        total = sum(mass := mass_of(choices, said.candidates))
        if self.config.soft and total > self._server.least_mass:  # else the model did not mean to answer
            return Answer(Status.OK, _value([m / total for m in mass]), "", said.tokens, latency_s)
        word = word_of(said.text)
        if word in choices:
            return Answer(Status.OK, _value([float(word == choice) for choice in choices]), "", said.tokens, latency_s)
        cause = f"got the answer {said.text!r}; expected one of {list(choices)}"
        return Answer(Status.UNPARSEABLE, None, cause, said.tokens, latency_s)


def _value(probabilities: Sequence[float]) -> float:
    """Captions: probability of yes. Pairs: that the first is better, ties counting half."""
    return probabilities[0] + (0.5 * probabilities[2] if len(probabilities) == 3 else 0.0)
