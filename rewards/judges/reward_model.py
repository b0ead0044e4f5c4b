"""`RewardModelJudge`: a learned scalar reward model (a sequence classifier) as a judge.

One forward pass a text, no prompt: the chat of task and response goes in, a logit comes out. Logits have no zero and
no scale of their own; a value in [0, 1] is σ((logit - centre) / scale), or the probability of one class. Of a pair it
is the Bradley-Terry probability σ((r_1 - r_2) / scale), which needs neither (Ouyang et al. 2022, equation 1).
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from rewards.judges import untrusted
from rewards.judges.chat_model import Chat
from rewards.judges.deliberation import of_members
from rewards.judges.judge import Answer, Question, question
from rewards.verdicts import Status


class Logits(Protocol):
    """What an engine found for N chats."""

    @property
    def logits(self) -> NDArray[Any]:
        """Raw outputs, `[N, outputs]`; NaN where there are none."""
        ...

    @property
    def tokens(self) -> NDArray[Any]:
        """Tokens of each chat, `[N]`."""
        ...

    @property
    def too_long(self) -> NDArray[Any]:
        """Whether a chat did not fit and was not scored, `[N]`."""
        ...


class TextScorer(Protocol):
    """A reward model in this process (see actors/engines), called from one thread at a time."""

    @property
    def fingerprint(self) -> str:
        """Hash of weights, tokenizer, chat template and numerics."""
        ...

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Control tokens of its tokenizer, as texts."""
        ...

    def score_texts(self, chats: Sequence[Chat]) -> Logits:
        """Outputs for finished chats."""
        ...


class Config(BaseModel):
    """How logits become values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: int = Field(0, ge=0)
    """Which output of the model is the reward."""
    softmax: bool = False
    """Whether the outputs are classes: the value is then the probability of class `output`."""
    centre: float = Field(0.0, allow_inf_nan=False)
    """The logit that is worth one half."""
    scale: float = Field(1.0, gt=0, allow_inf_nan=False)
    """By how much logits are divided."""
    raw: bool = False
    """Whether values are the logits themselves: not bounded, for ledgers that are told so (value_low, value_high)."""


class RewardModelJudge:
    """A `Judge` by a reward model."""

    def __init__(self, engine: TextScorer, config: Config | None = None) -> None:
        """Judge by a model that is loaded already."""
        self._engine = engine
        self.config = config or Config()
        parts = [engine.fingerprint, self.config.model_dump_json(), str(untrusted.VERSION)]
        self._fingerprint = "rm-" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """Hash of the model and of how its outputs are read."""
        return self._fingerprint

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order: all their texts in one call of the engine."""
        start = time.perf_counter()
        members = [[question("response", [text], **one.fields) for text in self._texts(one)] for one in questions]
        chats, places, refused = [], [], {}
        for place, asked in enumerate(members):
            for one in asked:
                try:
                    chats.append(self._chat(one))
                    places.append(place)
                except untrusted.UntrustedTooLong as error:
                    refused[place] = Answer(Status.POLICY_FAULT, cause=str(error))
        scored = await asyncio.to_thread(self._engine.score_texts, chats) if chats else None
        found: dict[int, list[Answer]] = {place: [] for place in range(len(questions))}
        if scored is not None:
            rows = zip(places, scored.logits, scored.tokens, scored.too_long, strict=True)
            for place, row, tokens, too_long in rows:
                found[place].append(self._answer(row, int(tokens), bool(too_long)))
        latency_s = time.perf_counter() - start
        return [refused.get(place) or self._whole(one, found[place], latency_s) for place, one in enumerate(questions)]

    async def check(self) -> None:
        """Ask one question whose answer does not matter.

        Raises:
            ConnectionError: the model does not answer it with a number.
        """
        (answer,) = await self.judge([question("response", ["a test"], prompt="a test")])
        if answer.status is not Status.OK:
            raise ConnectionError(f"the reward model does not answer: {answer.cause}; use another model")

    def _texts(self, one: Question) -> Sequence[str]:
        return ["\n".join(one.texts)] if one.kind == "trajectory" else one.texts

    def _chat(self, one: Question) -> Chat:
        said = untrusted.clean(one.texts[0], self._engine.special_tokens).text
        prompt = untrusted.clean(one.fields.get("prompt", ""), self._engine.special_tokens).text
        return [{"role": "user", "content": prompt}, {"role": "assistant", "content": said}]

    def _answer(self, row: NDArray[Any], tokens: int, too_long: bool) -> Answer:
        """One text; its reward is in the details, for pairs."""
        if too_long:
            cause = f"the text has {tokens} tokens, more than the model takes"
            return Answer(Status.JUDGE_FAULT, cause=cause)
        logits = [float(logit) for logit in row]
        if not logits or not all(map(math.isfinite, logits)):
            cause = f"the model gave {logits}; expected finite numbers"
            return Answer(Status.JUDGE_FAULT, cause=cause, tokens=tokens)
        config = self.config
        if config.output >= len(logits):
            cause = f"the model gives {len(logits)} outputs; expected at least {config.output + 1}: mend `output`"
            return Answer(Status.JUDGE_FAULT, cause=cause, tokens=tokens)
        reward = logits[config.output]
        if config.softmax:
            top = max(logits)
            value = math.exp(reward - top) / math.fsum(math.exp(logit - top) for logit in logits)
        else:
            value = reward if config.raw else _sigmoid((reward - config.centre) / config.scale)
        return Answer(Status.OK, value, tokens=tokens, details={"logit": reward})

    def _whole(self, one: Question, members: Sequence[Answer], latency_s: float) -> Answer:
        tokens = sum(member.tokens for member in members)
        if one.kind == "group":
            whole = of_members(members)
            return Answer(whole.status, whole.value, whole.cause, tokens, latency_s, whole.scores, whole.details)
        expected = 2 if one.kind == "pair" else 1
        if len(members) != expected:
            cause = f"got a question of kind {one.kind!r} with {len(members)} texts; expected {expected}"
            return Answer(Status.JUDGE_FAULT, cause=cause, tokens=tokens, latency_s=latency_s)
        failed = next((member for member in members if member.value is None), None)
        if failed is not None:
            return Answer(failed.status, None, failed.cause, tokens, latency_s)
        if one.kind != "pair":
            return Answer(Status.OK, members[0].value, "", tokens, latency_s, (), members[0].details)
        first, second = (member.details["logit"] for member in members)
        value = _sigmoid((first - second) / self.config.scale)
        return Answer(Status.OK, value, "", tokens, latency_s, (), {"logits": [first, second]})


def _sigmoid(x: float) -> float:
    return 0.5 + 0.5 * math.tanh(x / 2)
