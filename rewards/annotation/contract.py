"""What a judge's answer must be: it is checked, never trusted."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from rewards.judges.judge import Answer
from rewards.verdicts import Status, details_json

MOST_TOKENS = 10**9
"""Of one answer; more is no count, and sums of it would not fit where tokens and money are kept."""


def checked(answer: Any, low: float = 0.0, high: float = 1.0) -> Answer:
    """The answer itself if it keeps the judge's contract, else a judge fault that says how it does not.

    Args:
        answer: whatever came.
        low: smallest value allowed.
        high: largest value allowed.
    """
    if not isinstance(answer, Answer):
        return Answer(Status.JUDGE_FAULT, cause=f"got {type(answer).__name__}; expected an Answer")
    try:
        counted(answer.tokens)
    except ValueError as error:
        return Answer(Status.JUDGE_FAULT, cause=str(error), latency_s=answer.latency_s)
    if error_name := _unkeepable(answer):
        cause = f"got a cause or details that cannot be kept ({error_name}); expected JSON in valid Unicode"
    elif answer.status is Status.OK:
        values: list[Any] = [answer.value, *(score for score in answer.scores if score is not None)]
        for value in values:
            if not _between(value, low, high):
                cause = f"got value {_shown(value)}; expected a number from {low:g} to {high:g}"
                break
        else:
            return answer
    elif answer.status is Status.PENDING:
        cause = "got status 'pending' as an answer; expected a final one"
    else:
        return answer
    return Answer(Status.JUDGE_FAULT, cause=cause, tokens=answer.tokens, latency_s=answer.latency_s)


def counted(tokens: Any) -> int:
    """Tokens of an answer, as a number that can be summed and kept.

    Raises:
        ValueError: they are none.
    """
    number = int(tokens) if isinstance(tokens, Integral) else -1
    if not 0 <= number <= MOST_TOKENS:
        raise ValueError(f"got {_shown(tokens)} tokens; expected a whole number from 0 to {MOST_TOKENS:,}")
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
