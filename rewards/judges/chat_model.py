"""`ChatModel`: the one way in which kinds of judgement talk to a language model, whichever back end runs it.

Two things can be asked: how likely each of some allowed answers is to begin the reply (nothing to parse, one forward
pass), and a written reply, which a JSON schema may bind. A kind of judgement asks for one question at a time;
`LocalModel` puts together what many of them ask in the same breath, so that an engine sees whole batches.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rewards.verdicts import Status

Message = Mapping[str, str]
Chat = Sequence[Message]
Schema = Mapping[str, Any]


class NoReply(Exception):
    """A model gave nothing that can be used; becomes an answer with this status, never a value."""

    def __init__(self, status: Status, cause: str, tokens: int = 0) -> None:
        """Say why.

        Args:
            status: what the answer's status will be; not ok.
            cause: for people.
            tokens: what it cost all the same.
        """
        super().__init__(cause)
        self.status, self.cause, self.tokens = status, cause, tokens


@dataclass(frozen=True)
class Reply:
    """What a model replied.

    Attributes:
        text: what was written; empty where only choices were scored.
        probabilities: of the choices, in their order, summing to 1; empty where text was asked.
        tokens: tokens read and written.
    """

    text: str = ""
    probabilities: tuple[float, ...] = ()
    tokens: int = 0


class ChatSession(Protocol):
    """A model while one batch of questions is judged."""

    async def choose(self, chat: Chat, choices: Sequence[str]) -> Reply:
        """How likely each of `choices` begins the reply.

        Raises:
            NoReply: there are no such probabilities.
        """
        ...

    async def write(self, chat: Chat, max_tokens: int, schema: Schema | None = None) -> Reply:
        """A written reply, as likely as possible; a JSON text of `schema` if one is given.

        Raises:
            NoReply: nothing was written.
        """
        ...


class ChatModel(Protocol):
    """A language model behind some back end."""

    @property
    def fingerprint(self) -> str:
        """Hash of weights, tokenizer, chat template, numerics and sampling."""
        ...

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Texts that the model's tokenizer would read as control tokens, as far as known."""
        ...

    def session(self) -> AbstractAsyncContextManager[ChatSession]:
        """Open what is needed to ask; close it afterwards."""
        ...


class ChoiceScores(Protocol):
    """What an engine found for N prompts and C choices."""

    @property
    def log_probs(self) -> NDArray[Any]:
        """Log-probabilities normalised over the choices, `[N, C]`; NaN where there are none."""
        ...

    @property
    def tokens(self) -> NDArray[Any]:
        """Tokens of each prompt, `[N]`."""
        ...

    @property
    def too_long(self) -> NDArray[Any]:
        """Whether a prompt did not fit and was not scored, `[N]`."""
        ...


class Texts(Protocol):
    """What an engine wrote after N prompts."""

    @property
    def texts(self) -> Sequence[str]:
        """The replies, `[N]`; empty where a prompt did not fit."""
        ...

    @property
    def tokens(self) -> NDArray[Any]:
        """Tokens of each prompt and its reply, `[N]`."""
        ...

    @property
    def too_long(self) -> NDArray[Any]:
        """Whether a prompt left no room for a reply, `[N]`."""
        ...


class Engine(Protocol):
    """A model in this process (see actors/engines), called from one thread at a time."""

    @property
    def fingerprint(self) -> str:
        """Hash of weights, tokenizer, chat template and numerics."""
        ...

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Control tokens of its tokenizer, as texts."""
        ...

    def score_choices(self, prompts: Sequence[Chat], choices: Sequence[str]) -> ChoiceScores:
        """Score `choices` as the first token of the reply to each of `prompts`."""
        ...

    def write(self, prompts: Sequence[Chat], max_tokens: int, schema: Schema | None = None) -> Texts:
        """Greedy replies of at most `max_tokens`, bound by a JSON schema if one is given."""
        ...


class LocalModel:
    """A `ChatModel` on an engine that is loaded already."""

    def __init__(self, engine: Engine) -> None:
        """Talk to an engine; its calls run in a thread, the event loop stays free."""
        self._engine = engine

    @property
    def fingerprint(self) -> str:
        """The engine's."""
        return self._engine.fingerprint

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """The engine's."""
        return self._engine.special_tokens

    @asynccontextmanager
    async def session(self) -> AsyncIterator[ChatSession]:
        """Batch whatever is asked until the session ends."""
        batches = _Batches(self._engine)
        try:
            yield batches
        finally:
            await batches.close()


class _Ask(NamedTuple):
    """What can share a batch: the same choices, or the same length and schema."""

    choices: tuple[str, ...] = ()
    max_tokens: int = 0
    schema: str = ""


class _Batches:
    """Collects requests until nobody has another one to make, then runs those of one sort together."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: dict[_Ask, list[tuple[Chat, asyncio.Future[Reply]]]] = {}
        self._worker: asyncio.Task[None] | None = None

    async def choose(self, chat: Chat, choices: Sequence[str]) -> Reply:
        return await self._join(_Ask(choices=tuple(choices)), chat)

    async def write(self, chat: Chat, max_tokens: int, schema: Schema | None = None) -> Reply:
        return await self._join(_Ask(max_tokens=max_tokens, schema=json.dumps(schema) if schema else ""), chat)

    async def close(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker
        for _, future in (entry for entries in self._waiting.values() for entry in entries):
            future.cancel()

    async def _join(self, ask: _Ask, chat: Chat) -> Reply:
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(ask, []).append((chat, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._serve())
        reply: Reply = await future
        return reply

    async def _serve(self) -> None:
        while self._waiting:
            waiting = 0
            while waiting != (now := sum(map(len, self._waiting.values()))):  # others are still asking
                waiting = now
                await asyncio.sleep(0)
            ask = next(iter(self._waiting))
            chats, futures = zip(*self._waiting.pop(ask), strict=True)
            try:
                replies = await asyncio.to_thread(self._run, ask, chats)
            except asyncio.CancelledError:
                for future in futures:
                    future.cancel()
                raise
            except Exception as error:  # the engine failed as a whole: everyone who waits hears of it
                replies = [error] * len(chats)
            for future, reply in zip(futures, replies, strict=True):
                if future.done():  # who asked was cancelled
                    continue
                if isinstance(reply, Exception):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)

    def _run(self, ask: _Ask, chats: Sequence[Chat]) -> list[Reply | Exception]:
        found: list[Reply | Exception] = []
        if ask.choices:
            scores = self._engine.score_choices(chats, ask.choices)
            count, tokens, too_long = len(scores.log_probs), scores.tokens, scores.too_long
            replies = [Reply(probabilities=tuple(np.exp(row).tolist())) for row in scores.log_probs]
        else:
            written = self._engine.write(chats, ask.max_tokens, json.loads(ask.schema) if ask.schema else None)
            count, tokens, too_long = len(written.texts), written.tokens, written.too_long
            replies = [Reply(text=text) for text in written.texts]
        if not count == len(tokens) == len(too_long) == len(chats):
            cause = f"the model gave {count} replies to {len(chats)} prompts"
            return [NoReply(Status.JUDGE_FAULT, cause)] * len(chats)
        for reply, used, long in zip(replies, tokens, too_long, strict=True):
            if long:
                cause = f"the prompt has {int(used)} tokens, more than the model takes"
                found.append(NoReply(Status.JUDGE_FAULT, cause))
            else:
                found.append(Reply(reply.text, reply.probabilities, int(used)))
        return found
