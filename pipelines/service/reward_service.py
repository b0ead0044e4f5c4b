"""`RewardService`: what happens between the bytes of a request and the bytes of its reply, without any socket.

    bytes ─read→ items ─Reward.answer, under a deadline→ answers ─→ verdicts, each with a value or a typed NULL

Every item gets a verdict, in its order. What could not be had is null with a status and a cause, never 0: the deadline
(timeout), a full house (shed, HTTP 503), a back end that raises, or gives the wrong number of answers, or what is none
with a finite number (judge_fault). A request that makes no sense is refused as a whole (422) before anybody is asked.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from cluster.batching import Batcher
from pipelines.judging.served_judge import tokens_of
from rewards.annotation.contract import checked
from rewards.columns import LARGEST
from rewards.functions import RewardFunction
from rewards.judges.judge import Answer, Judge, Question, QuestionKind, question
from rewards.verdicts import Status

JSON = "application/json"
BATCH_TOKENS = 8192
MOST_DIGITS = 400
TEXTS: dict[QuestionKind, int] = {"caption": 1, "pair": 2, "response": 1}
"""Of an item, by kind; the other kinds take any number."""


class ItemsDoNotFit(ValueError):
    """The caller's items do not make one question to the reward."""


class Config(BaseModel):
    """How much is taken at once, and how long it may take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_items: int = Field(1024, ge=1)
    """Items in one request."""
    max_in_flight: int = Field(64, ge=1)
    """Requests at once; what comes beyond is shed."""
    deadline_s: float = Field(60.0, gt=0)
    """Longest that a request may take; callers may ask for less."""


class VerdictOut(BaseModel):
    """A verdict on one item."""

    value: float | None = Field(description="null unless status is ok; never 0 for a failure")
    status: Status
    cause: str = Field(description="why there is no value; empty when ok")
    judge_fingerprint: str
    reward_version: str
    latency_s: float = Field(description="seconds inside the reward")
    scores: list[float | None] = Field(default_factory=list, description="of the members of a group")


class ScoreOut(BaseModel):
    """Verdicts in the order of the items."""

    verdicts: list[VerdictOut]
    latency_s: float = Field(description="seconds from request to reply")


class Refusal(BaseModel):
    """Why a request was refused as a whole."""

    detail: str


class JudgeItem(BaseModel):
    """Something to be judged."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(default=None, description="what is judged: a caption or a response")
    texts: list[str] | None = Field(default=None, min_length=1, description="the two of a pair, or a group's members")
    kind: QuestionKind | None = Field(default=None, description="by default what this judge is for")
    context: dict[str, str] = Field(default_factory=dict, description="named texts, such as prompt and reference")

    @model_validator(mode="after")
    def _one_of_both(self) -> JudgeItem:
        if (self.text is None) == (self.texts is None):
            raise ValueError("got both or neither of text and texts; expected exactly one of them")
        return self


OnCall = Callable[[Sequence[BaseModel], ScoreOut], None]


class Reward(Protocol):
    """What is served."""

    @property
    def version(self) -> str:
        """The reward version that verdicts carry."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of the judge."""
        ...

    @property
    def item(self) -> type[BaseModel]:
        """The form of an item."""
        ...

    async def answer(self, items: Sequence[BaseModel]) -> Sequence[Answer]:
        """One answer an item.

        Raises:
            ItemsDoNotFit: they do not fit together.
        """
        ...


class JudgeReward:
    """A judge; requests that come together are judged together."""

    item = JudgeItem

    def __init__(self, judge: Judge, kind: QuestionKind, version: str) -> None:
        """Serve `judge`, whose items are of `kind` unless they say otherwise."""
        self.version, self._judge, self._kind = version, judge, kind
        self._batcher: Batcher[Question, Answer] = Batcher(judge.judge, tokens_of, BATCH_TOKENS)

    @property
    def fingerprint(self) -> str:
        """The judge's."""
        return self._judge.fingerprint

    async def answer(self, items: Sequence[Any]) -> list[Answer]:
        """Ask the judge.

        Raises:
            ItemsDoNotFit: an item has more or fewer texts than its kind.
        """
        return await self._batcher([self._question(place, item) for place, item in enumerate(items)])

    def _question(self, place: int, item: JudgeItem) -> Question:
        texts = item.texts if item.texts is not None else [item.text or ""]
        kind = item.kind or self._kind
        expected = TEXTS.get(kind, len(texts))
        if len(texts) != expected:  # told here: inside a batch it would cost other callers their answers
            got = f"items.{place}: got {len(texts)} texts of kind {kind!r}"
            raise ItemsDoNotFit(f"{got}; expected {expected}: mend them, or name another kind")
        context = {name: text for name, text in sorted(item.context.items())}
        return question(kind, texts, **context)


class FunctionReward:
    """A `@reward` function; items hold its arguments, other columns are left alone.

    Functions may block, so each request runs in a thread of its own. Python cannot end a thread: one that hangs is left
    behind at the deadline and counted, and when `max_busy` of them are busy, further requests are shed.
    """

    def __init__(self, function: RewardFunction, max_busy: int = 64) -> None:
        """Serve `function`."""
        self._function, self._max_busy, self.busy = function, max_busy, 0
        self.version, self.fingerprint = function.version, f"{function.name}-{function.version}"
        open_: dict[str, Any] = {
            name: (Any, Field(default=... if name in function.needed else None))
            for name in function.arguments
            if name not in function.settings
        }
        self.item: type[BaseModel] = create_model("Item", __config__=ConfigDict(extra="ignore"), **open_)

    async def answer(self, items: Sequence[BaseModel]) -> list[Answer]:
        """Call the function.

        Raises:
            ItemsDoNotFit: an optional argument stands in some items and not in others.
        """
        columns = {}
        for name in type(items[0]).model_fields:
            there = [name in item.model_fields_set for item in items]
            if any(there) != all(there):
                raise ItemsDoNotFit(
                    f"items.{there.index(False)}.{name}: missing here, present in others; give it to all"
                )
            if all(there):
                columns[name] = [getattr(item, name) for item in items]
        if self.busy >= self._max_busy:
            cause = f"{self.busy} calls of {self._function.name} have not come back"
            return [Answer(Status.SHED, cause=cause)] * len(items)
        if not columns:  # the function asks for nothing: the number of items must still be known
            columns = {"": [None] * len(items)}
        return await self._in_thread(lambda: asyncio.run(self._function.answer(columns)))

    async def _in_thread(self, work: Callable[[], list[Answer]]) -> list[Answer]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[Answer]] = loop.create_future()

        def tell(answers: list[Answer] | None, error: BaseException | None) -> None:
            self.busy -= 1
            if done.done():  # nobody waits any more
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(answers or [])

        def run() -> None:
            answers, error = None, None
            try:
                answers = work()
            except BaseException as raised:  # SystemExit too: a reward must not end the service
                error = RuntimeError(f"{type(raised).__name__}: {raised}")
            if not loop.is_closed():
                loop.call_soon_threadsafe(tell, answers, error)

        self.busy += 1
        threading.Thread(target=run, name="reward", daemon=True).start()
        return await done


class Reply(NamedTuple):
    """What goes back: an HTTP status, JSON-able data, and further headers."""

    code: int
    body: dict[str, Any]
    headers: Mapping[str, str] = {}


class RewardService:
    """Answers requests for one reward. One event loop owns it."""

    def __init__(
        self,
        reward: Reward,
        config: Config | None = None,
        on_call: Sequence[OnCall] = (),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Serve `reward`.

        Args:
            reward: what is asked.
            config: limits.
            on_call: told of every request that was answered: metrics, traces. What they raise is their own loss.
            clock: in seconds.
        """
        self.reward, self.config, self.in_flight = reward, config or Config(), 0
        self.on_call, self.on_call_failures = list(on_call), 0
        self._clock = clock
        self.request: type[BaseModel] = create_model(
            "ScoreIn",
            __config__=ConfigDict(extra="forbid"),
            items=(list[reward.item], Field(min_length=1)),  # type: ignore[name-defined]  # known only now
            deadline_s=(float | None, Field(default=None, gt=0, description="seconds; never more than the service's")),
        )

    async def score(self, body: bytes) -> Reply:
        """Answer one request."""
        start = self._clock()
        try:
            read = read_json(body)
            found = read.get("items") if isinstance(read, dict) else None
            if isinstance(found, list) and len(found) > self.config.max_items:  # before each of them costs time
                return Reply(413, {"detail": f"got {len(found)} items; expected at most {self.config.max_items}"})
            asked: Any = self.request.model_validate(read)
        except ValidationError as error:
            return Reply(422, {"detail": _explained(error)})
        except ValueError as error:
            return Reply(422, {"detail": str(error)})
        items: list[BaseModel] = asked.items
        code, headers = 200, {}
        if self.in_flight >= self.config.max_in_flight:
            cause = f"{self.in_flight} requests are being answered"
            answers: Sequence[Answer] = [Answer(Status.SHED, cause=cause)] * len(items)
            code, headers = 503, {"Retry-After": "1"}
        else:
            self.in_flight += 1
            try:
                answers = await self._answers(items, min(asked.deadline_s or math.inf, self.config.deadline_s))
            except ItemsDoNotFit as error:
                return Reply(422, {"detail": str(error)})
            finally:
                self.in_flight -= 1
        out = ScoreOut(verdicts=[self._verdict(answer) for answer in answers], latency_s=self._clock() - start)
        for tell in self.on_call:
            try:
                tell(items, out)
            except Exception:  # a metric or a trace must not cost a reward
                self.on_call_failures += 1
        return Reply(code, out.model_dump(mode="json"), headers)

    async def _answers(self, items: Sequence[BaseModel], deadline_s: float) -> Sequence[Answer]:
        try:
            answers = list(await asyncio.wait_for(self.reward.answer(items), deadline_s))
        except asyncio.TimeoutError:
            cause = f"no answer within {deadline_s:g} s"
            return [Answer(Status.TIMEOUT, cause=cause, latency_s=deadline_s)] * len(items)
        except ItemsDoNotFit:
            raise
        except Exception as error:  # whatever the back end raises is its fault, with the cause
            return [Answer(Status.JUDGE_FAULT, cause=f"{type(error).__name__}: {error}"[:300])] * len(items)
        if len(answers) != len(items):
            cause = f"the reward gave {len(answers)} answers to {len(items)} items"
            return [Answer(Status.JUDGE_FAULT, cause=cause)] * len(items)
        return answers

    def _verdict(self, answer: Answer) -> VerdictOut:
        answer = checked(answer, -LARGEST, LARGEST)
        value, status, cause = answer.value, answer.status, answer.cause
        if status is not Status.OK and value is not None:
            status, cause = Status.JUDGE_FAULT, f"the reward gave status {status.value} with value {value}"
        ok = status is Status.OK
        return VerdictOut(
            value=value if ok else None,
            status=status,
            cause="" if ok else cause or status.value,
            judge_fingerprint=self.reward.fingerprint,
            reward_version=self.reward.version,
            latency_s=answer.latency_s,
            scores=list(answer.scores) if ok else [],
        )


def read_json(body: bytes) -> Any:
    """JSON as the standard has it: no NaN, no infinity, no half characters, not too deep.

    Raises:
        ValueError: it is not.
    """
    try:
        found = json.loads(body.decode(), parse_constant=_no_number, parse_float=_finite, parse_int=_short)
        json.dumps(found, ensure_ascii=False).encode()  # lone surrogates would break tokenizers and logs later
    except RecursionError:
        raise ValueError("got JSON that is nested too deep") from None
    except UnicodeError:
        raise ValueError("got text that is no valid Unicode; expected UTF-8 without lone surrogates") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"got a body that is not JSON: {error.msg} at character {error.pos}") from None
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"got the number {text}; expected finite ones")


def _short(text: str) -> int:
    if len(text) > MOST_DIGITS:  # reading digits takes time that grows with their square
        raise ValueError(f"got a number of {len(text)} digits; expected at most {MOST_DIGITS}")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _explained(error: ValidationError) -> str:
    """The first mistakes in one line, without the texts themselves."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    lines = [f"{'.'.join(map(str, one['loc'])) or 'request'}: {one['msg']}" for one in problems[:5]]
    more = [f"and {len(problems) - 5} more"] if len(problems) > 5 else []
    return "; ".join([*lines, *more])
