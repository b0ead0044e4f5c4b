"""`@reward`: a plain function as a reward, the same on live and on stored experience.

    @reward(subject="episode", version="1")
    def exact_match(completion: str, answer: str) -> float | None:
        return None if not answer else float(completion.strip() == answer)

Arguments are injected by name: first from the reward's settings, then from the record's columns, then from the
function's own defaults. What the function gives, and what becomes of it:

| the function | the answer |
|---|---|
| returns a finite number that float32 can hold, or a truth value | ok, with that value |
| returns None: it abstains | NULL, unparseable |
| raises `PolicyFault` | NULL, policy_fault: the policy made something that cannot be scored |
| raises `TimeoutError` | NULL, timeout |
| raises anything else, returns NaN, infinity, more than that, or no number | NULL, judge_fault, with the cause |
| returns an `Answer` | that answer, for rewards that know their tokens or another status |

Abstaining is "unparseable" because that status blames nobody and is final: a fault of the judge would be asked again
and count against it, a fault of the policy would be penalised.

No failure becomes a 0. The reward version is a hash of the code (the function's, and that of functions, classes and
constants of its own module that it uses, and that those use), of the declared version and of the settings. What it
imports from elsewhere is not hashed: declare another version when that changes.
"""

from __future__ import annotations

import ast
import asyncio
import difflib
import hashlib
import importlib
import inspect
import json
import re
import textwrap
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, update_wrapper
from numbers import Real
from types import CodeType, FunctionType
from typing import Any, Literal, get_args

import numpy as np

from rewards.columns import LARGEST
from rewards.judges.judge import Answer
from rewards.verdicts import Status

Subject = Literal["caption", "pair", "response", "trajectory", "step", "turn", "row", "episode", "group"]

ABSTAINED = "the reward function abstained"
CAUSE_LENGTH = 300
TURN_S = 0.01  # after so long of computing, whatever else is on the event loop has its turn


class PolicyFault(Exception):
    """Raised by a reward function: what the policy made cannot be scored, and that is the policy's own doing."""


class RewardFunction:
    """A function with what it judges, a version, and settings. Calling it calls the function, unchanged."""

    def __init__(
        self,
        function: Callable[..., Any],
        subject: Subject,
        version: str,
        batched: bool = False,
        concurrency: int = 64,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Wrap a function; see `reward`.

        Raises:
            ValueError: the subject is unknown, an argument cannot be injected by name, or a setting is no argument.
            TypeError: it is not a function, or a setting is not plain data.
        """
        if not isinstance(function, FunctionType):
            raise TypeError(f"got a {type(function).__name__} as a reward; expected a function: put @reward on its def")
        if subject not in get_args(Subject):
            raise ValueError(f"got reward subject {subject!r}; expected one of {', '.join(get_args(Subject))}")
        if concurrency < 1:
            raise ValueError(f"got concurrency {concurrency}; expected at least 1")
        self.function, self.subject, self.declared_version = function, subject, version
        self.batched, self.concurrency, self.settings = batched, concurrency, dict(settings or {})
        self.name = function.__name__
        self._defaults = _arguments(function)
        if unknown := sorted(set(self.settings) - set(self._defaults)):
            raise ValueError(
                f"reward {self.name}: got settings {unknown}; expected arguments of the function: "
                f"{', '.join(self._defaults) or 'it has none'}"
            )
        try:
            self._settings_text = json.dumps(self.settings, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise TypeError(f"reward {self.name}: settings must be plain data: {error}") from None
        update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function itself, with the settings filled in."""
        return self.function(*args, **{**self.settings, **kwargs} if not args else kwargs)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of all arguments."""
        return tuple(self._defaults)

    @property
    def needed(self) -> tuple[str, ...]:
        """Arguments that must be columns: they have neither a setting nor a default."""
        return tuple(name for name, optional in self._defaults.items() if not optional and name not in self.settings)

    @cached_property
    def version(self) -> str:
        """The reward version: a hash of code, declared version and settings."""
        parts = [self.subject, self.declared_version, str(self.batched), self._settings_text, *_code(self.function)]
        return hashlib.blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()

    def configured(self, **settings: Any) -> RewardFunction:
        """The same function with other settings, and so another version.

        Raises:
            ValueError: a setting is no argument of the function.
            TypeError: a setting is not plain data.
        """
        merged = {**self.settings, **settings}
        return RewardFunction(
            self.function, self.subject, self.declared_version, self.batched, self.concurrency, merged
        )

    def check(self, columns: Collection[str]) -> None:
        """Compare the arguments with the columns there will be, before any work.

        Raises:
            ValueError: names the arguments that nothing provides, and what there is.
        """
        missing = [name for name in self.needed if name not in columns]
        if not missing:
            return
        near = difflib.get_close_matches(missing[0], list(columns), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "give it as a setting, or a default"
        article = "an" if self.subject == "episode" else "a"
        raise ValueError(
            f"reward {self.name}: nothing provides its argument {', '.join(map(repr, missing))}; "
            f"{article} {self.subject} has {', '.join(sorted(columns)) or 'no columns'}: {hint}"
        )

    async def answer(self, columns: Mapping[str, Sequence[Any]]) -> list[Answer]:
        """Judge N subjects.

        Args:
            columns: by name, N values each; those that the function does not ask for are left alone.

        Returns:
            N answers, in order.

        Raises:
            ValueError: an argument is provided by nothing, or the columns differ in length.
        """
        self.check(columns)
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"reward {self.name}: got columns of lengths {lengths}; expected one length")
        count = next(iter(lengths.values()), 0)
        injected = {name: columns[name] for name in self._defaults if name in columns and name not in self.settings}
        if count == 0:
            return []
        if self.batched:
            return await self._answer_batch(injected, count)
        rows = zip(*injected.values(), strict=True) if injected else [()] * count
        calls = [dict(zip(injected, row, strict=True)) for row in rows]
        if not inspect.iscoroutinefunction(self.function):
            return await self._answer_in_turn(calls)
        turns = asyncio.Semaphore(self.concurrency)
        return list(await asyncio.gather(*(self._answer_async(call, turns) for call in calls)))

    async def _answer_in_turn(self, calls: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Answers of a function that computes; between two calls others have their turn, and deadlines theirs."""
        answers, began = list[Answer](), time.perf_counter()
        for call in calls:
            if time.perf_counter() - began > TURN_S:
                await asyncio.sleep(0)
                began = time.perf_counter()
            answers.append(self._answer_one(call))
        return answers

    def _answer_one(self, call: Mapping[str, Any]) -> Answer:
        start = time.perf_counter()
        try:
            value = self.function(**call, **self.settings)
        except Exception as error:  # whatever a user's function raises is its fault, with the cause
            return fault(error, time.perf_counter() - start)
        return answer_of(value, time.perf_counter() - start)

    async def _answer_async(self, call: Mapping[str, Any], turns: asyncio.Semaphore) -> Answer:
        async with turns:
            start = time.perf_counter()
            try:
                value = await self.function(**call, **self.settings)
            except Exception as error:  # as above
                return fault(error, time.perf_counter() - start)
            return answer_of(value, time.perf_counter() - start)

    async def _answer_batch(self, columns: Mapping[str, Sequence[Any]], count: int) -> list[Answer]:
        start = time.perf_counter()
        try:
            values = self.function(**{name: list(column) for name, column in columns.items()}, **self.settings)
            values = list(await values if inspect.isawaitable(values) else values)
            if len(values) != count:
                raise ValueError(f"got {len(values)} values for {count} subjects; expected one each")
        except Exception as error:  # as above; one failure fails the batch
            return [fault(error, (time.perf_counter() - start) / count)] * count
        each_s = (time.perf_counter() - start) / count
        return [answer_of(value, each_s) for value in values]


def reward(
    *, subject: Subject, version: str = "1", batched: bool = False, concurrency: int = 64, **settings: Any
) -> Callable[[Callable[..., Any]], RewardFunction]:
    """Make a reward of the function below.

    Args:
        subject: what it judges.
        version: declared by you; change it when something changes that the hash of the code cannot see.
        batched: whether arguments are lists with one entry a subject, and the function gives a list of values.
        concurrency: calls of an `async` function at the same time.
        **settings: arguments with a fixed value, as plain data; `configured` replaces them.

    Raises:
        ValueError: the subject is unknown, an argument cannot be injected by name, or a setting is no argument.
    """
    return lambda function: RewardFunction(function, subject, version, batched, concurrency, settings)


def load_reward(path: str) -> RewardFunction:
    """The reward function at `my_lab.rewards:exact_match`.

    Raises:
        ValueError: it is not there, or not a reward function.
    """
    module_name, colon, name = path.partition(":")
    if not colon or not module_name or not name.isidentifier():
        raise ValueError(f"got reward {path!r}; expected package.module:function, such as my_lab.rewards:exact_match")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ValueError(f"cannot import {module_name!r} for reward {path!r}: {error}") from error
    found = getattr(module, name, None)
    if isinstance(found, RewardFunction):
        return found
    there = sorted(key for key, value in vars(module).items() if isinstance(value, RewardFunction))
    what = "nothing of that name" if found is None else f"a {type(found).__name__} without @reward"
    raise ValueError(f"reward {path!r}: got {what}; {module_name} has {', '.join(there) or 'no reward functions'}")


def answer_of(value: Any, latency_s: float = 0.0) -> Answer:
    """What a reward function returned, as an answer."""
    if isinstance(value, Answer):
        finite = value.value is not None and _usable(value.value)
        if (value.status is Status.OK) != finite or (value.status is not Status.OK and value.value is not None):
            cause = f"returned status {value.status.value} with value {value.value}; expected a value exactly when ok"
            return Answer(Status.JUDGE_FAULT, cause=cause, latency_s=latency_s)
        return value
    if value is None:
        return Answer(Status.UNPARSEABLE, cause=ABSTAINED, latency_s=latency_s)
    if isinstance(value, (Real, np.bool_)) and _usable(value):
        return Answer(Status.OK, float(value), latency_s=latency_s)
    try:
        got = f"{value!r}"[:CAUSE_LENGTH]
    except Exception:  # of a whole number with thousands of digits, or by whatever the user's object does
        got = f"a {type(value).__name__}"
    cause = f"returned {got}; expected a finite number, at most {LARGEST:.1e} in size, or None"
    return Answer(Status.JUDGE_FAULT, cause=cause, latency_s=latency_s)


def _usable(value: Any) -> bool:
    """Whether a real number can be a reward."""
    try:
        return abs(float(value)) <= LARGEST  # NaN is not
    except OverflowError:  # a whole number that no float can hold
        return False


def fault(error: Exception, latency_s: float = 0.0) -> Answer:
    """What a reward function raised, as an answer without a value."""
    if isinstance(error, PolicyFault):
        return Answer(Status.POLICY_FAULT, cause=str(error)[:CAUSE_LENGTH] or "unscorable", latency_s=latency_s)
    if isinstance(error, TimeoutError):
        return Answer(Status.TIMEOUT, cause=str(error)[:CAUSE_LENGTH], latency_s=latency_s)
    return Answer(Status.JUDGE_FAULT, cause=f"{type(error).__name__}: {error}"[:CAUSE_LENGTH], latency_s=latency_s)


def _arguments(function: FunctionType) -> dict[str, bool]:
    """Names of the arguments, and whether each may be left out."""
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ValueError(
                f"reward {function.__name__}: got the argument {parameter}; expected arguments with names, "
                "because they are injected by name"
            )
        found[name] = parameter.default is not parameter.empty
    return found


# The hash of the code ------------------------------------------------------------------------------------------------


def _code(function: FunctionType, seen: set[Any] | None = None) -> list[str]:
    """What the function does, as texts: its source, and what it uses of its own module and of its closure."""
    seen = set() if seen is None else seen
    seen.add(function)
    texts = [_source(function), repr(function.__defaults__), repr(function.__kwdefaults__)]
    return texts + _used(function, seen)


def _used(function: FunctionType, seen: set[Any]) -> list[str]:
    """What a function uses of its own module and of its closure, as texts."""
    texts: list[str] = []
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    used = {name: function.__globals__.get(name) for name in sorted(_names(function.__code__))}
    used |= {name: cell.cell_contents for name, cell in cells}
    for name, value in used.items():
        own = getattr(value, "__module__", None) == function.__module__
        if isinstance(value, RewardFunction):
            if own and value.settings:  # it may be called with them filled in
                texts.append(f"{name}={value._settings_text}")
            value = value.function
        elif own and not isinstance(value, (FunctionType, type)):
            value = _plain_function(value) or value  # such as one behind lru_cache
        if isinstance(value, FunctionType) and own and value not in seen:
            texts += _code(value, seen)
        elif isinstance(value, type) and own and value not in seen:
            seen.add(value)
            texts.append(_source(value))
            methods = (_plain_function(method) for method in vars(value).values())
            # What dataclasses and the like have written is in no file, and another text in another Python.
            file = function.__code__.co_filename
            written = [one for one in methods if one is not None and one.__code__.co_filename == file]
            texts += [text for method in written for text in _used(method, seen)]
        elif (text := _constant(value)) is not None:
            texts.append(f"{name}={text}")
    return texts


def _plain_function(value: Any) -> FunctionType | None:
    """The function of a method, a property or a decorator that keeps it; None of anything else."""
    if isinstance(value, (property, cached_property)):
        value = value.fget if isinstance(value, property) else value.func
    elif isinstance(value, (classmethod, staticmethod)):
        value = value.__func__
    try:
        found = inspect.unwrap(value) if callable(value) else None
    except ValueError:  # wrappers in a circle
        return None
    return found if isinstance(found, FunctionType) else None


def _names(code: CodeType) -> set[str]:
    """Names that are looked up outside of the function, those of nested functions and comprehensions included."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _source(thing: FunctionType | type) -> str:
    """Source without decorators and indentation; bytecode where there is no source, as at an interactive prompt."""
    try:
        text = textwrap.dedent(inspect.getsource(thing))
        first = ast.parse(text).body[0].lineno  # of the def: decorators are above
    except (OSError, TypeError, SyntaxError):
        return repr(_bytecode(thing.__code__)) if isinstance(thing, FunctionType) else thing.__qualname__
    return "\n".join(line.rstrip() for line in text.splitlines()[first - 1 :])


def _bytecode(code: CodeType) -> tuple[Any, ...]:
    constants = (_bytecode(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts)
    return code.co_code.hex(), *constants, *code.co_names


def _constant(value: Any) -> str | None:
    """A constant as text, the same in every process; None for what is not plain data."""
    if isinstance(value, re.Pattern):
        whole = repr(value.pattern)  # of the pattern itself, Python writes 200 characters and leaves out the rest
        return repr(value) if len(whole) <= 200 else f"re.compile({whole}, {value.flags})"
    if isinstance(value, (str, bytes, int, float, bool)):
        return repr(value)
    if isinstance(value, (set, frozenset)):
        return repr(sorted(map(repr, value)))
    if isinstance(value, (tuple, list, dict)):
        parts = value.items() if isinstance(value, dict) else value
        texts = [_constant(part) for part in parts]
        return None if None in texts else repr(texts)
    return None
