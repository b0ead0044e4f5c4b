"""`LanguageModelJudge`: one forward pass of a causal language model a question, no sampling.

The answer is read off the probabilities of the allowed answers' first tokens, so nothing needs to be parsed. The
engine is handed in (transformers or another, see actors/engines); this file knows only its protocol.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from rewards.judges import prompts
from rewards.judges.chat_model import Chat, ChoiceScores
from rewards.judges.judge import Answer, Question, QuestionKind, unanswerable
from rewards.verdicts import Status


class NextTokenScorer(Protocol):
    """A language model that says how likely each of some answers is to begin its reply."""

    @property
    def fingerprint(self) -> str:
        """Hash of weights, tokenizer, chat template and numerics."""
        ...

    def score_choices(self, prompts: Sequence[Chat], choices: Sequence[str]) -> ChoiceScores:
        """Score `choices` as the first token of the reply to each of `prompts` (chats of role and content)."""
        ...


class Config(BaseModel):
    """How probabilities become values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    goal: str = Field("explore and descend", min_length=1)
    soft: bool = False
    """Whether values are probabilities; hard values are 0 or 1 for captions and 0, 0.5 or 1 for pairs."""
    threshold: float = Field(0.5, ge=0, le=1)
    """A hard value is 1 where the probability of "yes" is above this."""


class LanguageModelJudge:
    """A `Judge` that asks a language model."""

    def __init__(self, engine: NextTokenScorer, config: Config | None = None) -> None:
        """Judge with an engine that is loaded already.

        Args:
            engine: the model; it may be called from several threads.
            config: goal, and soft or hard values.
        """
        self._engine = engine
        self.config = config or Config()
        parts = [engine.fingerprint, prompts.fingerprint(self.config.goal), self.config.model_dump_json()]
        self._fingerprint = "lm-" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """Hash of engine, prompts, goal and decision rule."""
        return self._fingerprint

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order; the model runs in a thread, the event loop stays free."""
        answers: dict[int, Answer] = {}
        for kind in prompts.CHOICES:
            places = [i for i, question in enumerate(questions) if question.kind == kind]
            if places:
                found = await self._ask(kind, [questions[i] for i in places])
                answers.update(zip(places, found, strict=True))
        return [answers.get(i) or unanswerable(question, prompts.CHOICES) for i, question in enumerate(questions)]

    async def check(self) -> None:
        """Ask one question whose answer does not matter.

        Raises:
            ConnectionError: the model does not answer it with numbers.
        """
        (answer,) = await self.judge([Question("check", "caption", ("You see here a key.",))])
        if answer.status is not Status.OK:
            raise ConnectionError(f"the judge's model does not answer: {answer.cause}; use another model")

    async def _ask(self, kind: QuestionKind, questions: Sequence[Question]) -> list[Answer]:
        chats = [prompts.messages_for(self.config.goal, question) for question in questions]
        start = time.perf_counter()
        scores = await asyncio.to_thread(self._engine.score_choices, chats, prompts.CHOICES[kind])
        latency_s = time.perf_counter() - start
        values, finite = self._values(kind, np.exp(scores.log_probs)), np.isfinite(scores.log_probs).all(axis=1)
        if finite.all() and not scores.too_long.any():
            told = zip(values.tolist(), scores.tokens.tolist(), strict=True)
            return [Answer(Status.OK, value, tokens=tokens, latency_s=latency_s) for value, tokens in told]
        return [
            self._answer(float(values[i]), scores.log_probs[i], int(scores.tokens[i]), bool(too_long), latency_s)
            for i, too_long in enumerate(scores.too_long)
        ]

    def _answer(self, value: float, log_probs: NDArray[Any], tokens: int, too_long: bool, latency_s: float) -> Answer:
        if too_long:
            cause = f"the prompt has {tokens} tokens, more than the model takes"
            return Answer(Status.JUDGE_FAULT, cause=cause, tokens=0, latency_s=latency_s)
        if not np.isfinite(log_probs).all():
            cause = f"the model gave log-probabilities {log_probs.tolist()}; expected finite numbers"
            return Answer(Status.JUDGE_FAULT, cause=cause, tokens=tokens, latency_s=latency_s)
        return Answer(Status.OK, value, tokens=tokens, latency_s=latency_s)

    def _values(self, kind: QuestionKind, probs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values `[N]` of the probabilities of each choice `[N, C]`."""
        if kind == "pair":
            worth = np.array([1.0, 0.0, 0.5])  # of "first", "second" and "same"
            soft = np.minimum(probs @ worth, 1.0)  # rounding may go beyond
            return np.asarray(soft if self.config.soft else worth[np.argmax(probs, axis=1)])
        return probs[:, 0] if self.config.soft else (probs[:, 0] > self.config.threshold).astype(np.float64)
