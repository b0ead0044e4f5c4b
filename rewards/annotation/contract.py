"""What a judge's answer must be: it is checked, never trusted."""

from __future__ import annotations

from numbers import Real
from typing import Any

from rewards.judges.judge import Answer
from rewards.verdicts import Status


def checked(answer: Any, low: float = 0.0, high: float = 1.0) -> Answer:
    """The answer itself if it keeps the judge's contract, else a judge fault that says how it does not.

    Args:
        answer: whatever came.
        low: smallest value allowed.
        high: largest value allowed.
    """
    if not isinstance(answer, Answer):
        return Answer(Status.JUDGE_FAULT, cause=f"got {type(answer).__name__}; expected an Answer")
    if answer.status is Status.OK:
        values: list[Any] = [answer.value, *(score for score in answer.scores if score is not None)]
        for value in values:
            if not (isinstance(value, Real) and low <= float(value) <= high):
                cause = f"got value {value!r}; expected a number from {low:g} to {high:g}"
                break
        else:
            return answer
    elif answer.status is Status.PENDING:
        cause = "got status 'pending' as an answer; expected a final one"
    else:
        return answer
    return Answer(Status.JUDGE_FAULT, cause=cause, tokens=answer.tokens, latency_s=answer.latency_s)
