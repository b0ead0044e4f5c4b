"""What a judge's answer must be: it is checked, never trusted."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

from rewards.judges.judge import Answer
from rewards.verdicts import Status, details_json

MOST_TOKENS = 10**9
"""Of one answer; more is no count, and sums of it would not fit where tokens and money are kept."""


def checked(answer: Any, low: float = 0.0, high: float = 1.0) -> Answer:
    """The answer, in numbers of Python's own, if it keeps the judge's contract; else a fault that says how not.

    Args:
        answer: whatever came.
        low: smallest value allowed.
        high: largest value allowed.
    """
    if _plainly_good(answer, low, high):
        return answer  # type: ignore[no-any-return]
    if not isinstance(answer, Answer):
        return Answer(Status.JUDGE_FAULT, cause=f"got {type(answer).__name__}; expected an Answer")
    try:
        scores = tuple(map(_own, answer.scores))
        told = replace(answer, tokens=counted(answer.tokens), value=_own(answer.value), scores=scores)
    except (TypeError, ValueError) as error:
        return Answer(Status.JUDGE_FAULT, cause=str(error), latency_s=answer.latency_s)
    if error_name := _unkeepable(told):
        cause = f"got a cause or details that cannot be kept ({error_name}); expected JSON in valid Unicode"
    elif told.status is Status.OK:
        values: list[Any] = [told.value, *(score for score in told.scores if score is not None)]
        for value in values:
            if not _between(value, low, high):
                cause = f"got value {_shown(value)}; expected a number from {low:g} to {high:g}"
                break
        else:
            return told
    elif told.status is Status.PENDING:
        cause = "got status 'pending' as an answer; expected a final one"
    else:
        return told
    return Answer(Status.JUDGE_FAULT, cause=cause, tokens=told.tokens, latency_s=told.latency_s)


def _plainly_good(answer: Any, low: float, high: float) -> bool:
    """Whether an answer is what most are: a value in range, and nothing said beside it. A tenth of the work."""
    return (
        type(answer) is Answer
        and answer.status is Status.OK
        and type(answer.value) is float
        and low <= answer.value <= high
        and type(answer.tokens) is int
        and 0 <= answer.tokens <= MOST_TOKENS
        and answer.scores == ()
        and answer.details == {}
        and answer.cause == ""
    )


def counted(tokens: Any) -> int:
    """Tokens of an answer, as a number that can be summed and kept.

    Raises:
        ValueError: they are none.
    """
    number = int(tokens) if isinstance(tokens, Integral) else -1
    if not 0 <= number <= MOST_TOKENS:
        raise ValueError(f"got {_shown(tokens)} tokens; expected a whole number from 0 to {MOST_TOKENS:,}")
    return number


def _own(number: Any) -> Any:
    """A number as Python's own, since no checkpoint keeps one of numpy; what is none, or too large, as it is."""
    try:
        return float(number) if isinstance(number, Real) else number
    except OverflowError:
        return number


def _between(value: Any, low: float, high: float) -> bool:
    try:
        return isinstance(value, Real) and low <= float(value) <= high
    except OverflowError:  # a whole number of more digits than a float has room for
        return False


def _unkeepable(answer: Answer) -> str:
    """The error of whoever would write the cause and details down; empty where there is none."""
    try:
        answer.cause.encode()
        details_json(answer.details).encode()
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        return type(error).__name__
    return ""


def _shown(value: Any) -> str:
    try:
        return repr(value)[:60]
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return f"a {type(value).__name__}"
