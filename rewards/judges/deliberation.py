"""`Deliberation`: a `Judge` whose way of judging is written for one question, as a conversation with a model.

A kind of judgement (rewards/judges/kinds) is a coroutine `decide(question, desk)`. It asks through its `Desk`, which
checks what comes back, counts tokens and builds prompts in the order that lets engines share them: rubric first (the
same for all questions), then what is judged, then one short line that asks. Whatever could not be had ends the
coroutine by `NoReply` and becomes an answer with a status and a cause.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import math
import string
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from rewards.judges import untrusted
from rewards.judges.chat_model import Chat, ChatModel, ChatSession, Message, NoReply
from rewards.judges.judge import Answer, Question, QuestionKind, question
from rewards.verdicts import Status

Form = TypeVar("Form", bound=BaseModel)
Got = TypeVar("Got")
Decide = Callable[[Question, "Desk"], Awaitable[Answer]]

LABELS = string.ascii_uppercase
"""How the texts of a pair or a group are called in prompts; a group has at most 26 members."""

TEXT_NAMES: Mapping[QuestionKind, str] = {
    "caption": "event",
    "response": "response",
    "trajectory": "steps",
    "pair": "responses",
    "group": "responses",
}
"""The placeholder that stands for what is judged."""

# Probabilities are renormalised by whoever made them; what is farther from 1 was not made that way.
_SUM_TOLERANCE = 1e-3


class Desk:
    """Where one question is judged: the rubric's words, the model, and what it has cost so far."""

    def __init__(
        self, guide: str, needs: Sequence[str], template: str | None, model: ChatModel, session: ChatSession
    ) -> None:
        """Lay out the rubric.

        Args:
            guide: the fixed beginning of every prompt: who judges what, by which criteria.
            needs: names of the context that is shown.
            template: how context and texts are laid out; None for the default.
            model: for its special tokens.
            session: where it is asked.
        """
        self.tokens = 0
        self._guide, self._needs, self._template = guide, needs, template
        self._model, self._session = model, session

    def chat(self, question: Question, ask: str, more_guide: str = "") -> list[Message]:
        """A conversation that shows the rubric, then the question's texts, then asks.

        Args:
            question: what is judged.
            ask: the last line: what the reply should be.
            more_guide: further fixed text after the rubric.

        Raises:
            NoReply: the question lacks context that the rubric needs, or a text is too long to be judged.
        """
        fields = question.fields
        if missing := [name for name in self._needs if name not in fields]:
            raise NoReply(
                Status.JUDGE_FAULT,
                f"the question has no context {missing}, which the rubric needs; it has {sorted(fields)}",
            )
        shown = {name: fields[name] for name in self._needs}
        template = self._template or default_template(question.kind, self._needs)
        names = [f"text_{place}" for place in range(len(question.texts))]
        template = untrusted.put(template, TEXT_NAMES[question.kind], _texts_layout(question.kind, names))
        try:
            material = untrusted.render(
                template,
                {**shown, **dict(zip(names, question.texts, strict=True))},
                special_tokens=self._model.special_tokens,
            )
        except untrusted.UntrustedTooLong as error:
            raise NoReply(Status.POLICY_FAULT, str(error)) from error
        guide = "\n\n".join(part for part in (self._guide, more_guide, untrusted.FENCE_RULE) if part)
        return [{"role": "system", "content": guide}, {"role": "user", "content": f"{material}\n\n{ask}"}]

    def shown(self, text: str) -> str:
        """A text as the model sees it: cleaned of what cannot be seen and of control tokens."""
        return untrusted.clean(text, self._model.special_tokens).text

    async def choose(self, chat: Chat, choices: Sequence[str]) -> tuple[float, ...]:
        """Probabilities of the allowed answers.

        Raises:
            NoReply: the back end gave too few, too many, or numbers that are no probabilities.
        """
        reply = await self._session.choose(chat, choices)
        self.tokens += reply.tokens
        found = reply.probabilities
        if len(found) != len(choices):
            raise NoReply(Status.JUDGE_FAULT, f"the model gave {len(found)} probabilities for {len(choices)} choices")
        if not all(math.isfinite(p) and p >= 0 for p in found) or abs(sum(found) - 1) > _SUM_TOLERANCE:
            cause = f"the model gave the probabilities {list(found)}; expected finite ones that sum to 1"
            raise NoReply(Status.JUDGE_FAULT, cause)
        return found

    async def write(self, chat: Chat, max_tokens: int) -> str:
        """A written reply, cleaned so that it can go into the next prompt.

        Raises:
            NoReply: nothing was written.
        """
        reply = await self._session.write(chat, max_tokens)
        self.tokens += reply.tokens
        if not (text := self.shown(reply.text).strip()):
            raise NoReply(Status.UNPARSEABLE, "the model wrote nothing")
        return text

    async def fill(self, chat: Chat, form: type[Form], max_tokens: int) -> Form:
        """A form filled by the model: a JSON text of the form's schema.

        Raises:
            NoReply: what came is no such JSON.
        """
        reply = await self._session.write(chat, max_tokens, form.model_json_schema())
        self.tokens += reply.tokens
        try:
            return form.model_validate_json(reply.text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the reply"
            cause = (
                f"got {reply.text[:200]!r}, where {where}: {first['msg']}; expected JSON of the form {form.__name__}"
            )
            raise NoReply(Status.UNPARSEABLE, cause) from error


class Deliberation:
    """A `Judge` by one conversation a question; the conversations of a call run side by side."""

    def __init__(
        self,
        decide: Decide,
        model: ChatModel,
        *,
        guide: str,
        identity: Sequence[str],
        answers: Sequence[QuestionKind],
        needs: Sequence[str] = (),
        template: str | None = None,
    ) -> None:
        """Judge by `decide`.

        Args:
            decide: the kind of judgement: asks through its desk and returns an answer with a value.
            model: asked.
            guide: the fixed beginning of every prompt.
            identity: whatever else determines the answers, hashed into the fingerprint together with the source code
                of `decide`.
            answers: kinds of question that can be answered. A group is also taken where "response" is among
                them: each of its members is judged by itself.
            needs: names of the context that is shown.
            template: see `Desk`.
        """
        self._decide, self._model, self._guide = decide, model, guide
        self._answers, self._needs, self._template = tuple(answers), tuple(needs), template
        code = _sources(inspect.getmodule(decide)), str(untrusted.VERSION)
        parts = [model.fingerprint, guide, repr((self._answers, self._needs, template)), *identity, *code]
        self._fingerprint = "rubric-" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """Hash of model, rubric, prompts and the code of the kind."""
        return self._fingerprint

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order."""
        async with self._model.session() as session:
            return await together(self._answer(one, session) for one in questions)

    async def check(self) -> None:
        """Ask one question whose answer does not matter.

        Raises:
            ConnectionError: the model does not answer; the message says why.
        """
        texts = ("a key", "a wall")[: 2 if self._answers[0] in ("pair", "group") else 1]
        (answer,) = await self.judge([question(self._answers[0], texts, **dict.fromkeys(self._needs, "a test"))])
        if answer.status in (Status.JUDGE_FAULT, Status.TIMEOUT):
            raise ConnectionError(
                f"the judge's model does not answer: {answer.cause}; use another, or start its server"
            )

    async def _answer(self, one: Question, session: ChatSession) -> Answer:
        if one.kind == "group" and "group" not in self._answers and "response" in self._answers:
            members = [question("response", [text], **one.fields) for text in one.texts]
            return of_members(await together(self._answer(member, session) for member in members))
        start = time.perf_counter()
        desk = Desk(self._guide, self._needs, self._template, self._model, session)
        try:
            check_texts(one, self._answers)
            answer = await self._decide(one, desk)
        except NoReply as error:
            answer = Answer(error.status, cause=error.cause)
            desk.tokens += error.tokens
        return replace(answer, tokens=desk.tokens, latency_s=time.perf_counter() - start)


async def together(asked: Iterable[Awaitable[Got]]) -> list[Got]:
    """All results, in order, of what is asked side by side; everything has ended when this ends.

    Raises:
        NoReply: one of them got nothing. The others were waited for, so that none is left behind and all are counted.
    """
    ended = await asyncio.gather(*asked, return_exceptions=True)
    for result in ended:
        if isinstance(result, BaseException):
            raise result
    return [result for result in ended if not isinstance(result, BaseException)]


def one_of(words: Sequence[str]) -> Any:
    """The type of exactly these words, for forms whose words are known only from the rubric."""
    literal: Any = Literal
    return literal[tuple(words)]


def check_texts(one: Question, answers: Sequence[QuestionKind]) -> None:
    """Whether a question is of a kind that is answered, with as many texts as that kind has.

    Raises:
        NoReply: it is not.
    """
    if one.kind not in answers:
        cause = f"got a question of kind {one.kind!r}; this judge answers {list(answers)}"
        raise NoReply(Status.JUDGE_FAULT, cause)
    if one.kind == "group" and len(one.texts) == 1:  # all others were refused: nobody's fault, and no use asking again
        raise NoReply(Status.UNPARSEABLE, f"got a group of one text, expected 2 to {len(LABELS)}: nothing to compare")
    low, high = {"pair": (2, 2), "trajectory": (1, sys.maxsize), "group": (2, len(LABELS))}.get(one.kind, (1, 1))
    if not low <= len(one.texts) <= high:
        expected = str(low) if low == high else f"{low} to {high}" if high < sys.maxsize else f"at least {low}"
        cause = f"got a question of kind {one.kind!r} with {len(one.texts)} texts; expected {expected}"
        raise NoReply(Status.JUDGE_FAULT, cause)


def of_members(answers: Sequence[Answer]) -> Answer:
    """The answer to a group out of its members' answers; NULL members have no score and are left out of the mean."""
    scores = tuple(answer.value for answer in answers)
    there = [score for score in scores if score is not None]
    tokens, latency_s = sum(a.tokens for a in answers), max((a.latency_s for a in answers), default=0.0)
    details: dict[str, Any] = {"members": [dict(answer.details) for answer in answers]}
    if not there:
        first = answers[0]
        return Answer(first.status, None, f"no member has a score; the first: {first.cause}", tokens, latency_s)
    if len(there) < len(scores):
        details["nulls"] = {str(i): f"{a.status.value}: {a.cause}" for i, a in enumerate(answers) if a.value is None}
    return Answer(Status.OK, math.fsum(there) / len(there), "", tokens, latency_s, scores, details)


def default_template(kind: QuestionKind, needs: Sequence[str]) -> str:
    """Context by name, then what is judged."""
    names = [*needs, TEXT_NAMES[kind]]
    return "\n\n".join(f"{name.replace('_', ' ').capitalize()}:\n{{{name}}}" for name in names)


def _texts_layout(kind: QuestionKind, names: Sequence[str]) -> str:
    """The places of the texts in a template."""
    if kind in ("pair", "group"):
        return "\n\n".join(f"Response {label}:\n{{{name}}}" for label, name in zip(LABELS, names, strict=False))
    if kind == "trajectory":
        return "\n\n".join(f"Step {place}:\n{{{name}}}" for place, name in enumerate(names, start=1))
    return f"{{{names[0]}}}"


def _sources(module: ModuleType | None) -> str:
    """Source code of a kind, of what it imports from the judges, and of this file: the wording of prompts is in it."""
    own = [__name__, *([module.__name__] if module else [])]
    used = {getattr(thing, "__module__", None) or "" for thing in vars(module).values()} if module else set()
    names = sorted({*own, *(name for name in used if name.startswith("rewards.judges."))})
    return "\n".join(inspect.getsource(sys.modules[name]) for name in names)
