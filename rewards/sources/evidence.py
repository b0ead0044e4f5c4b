"""An answer, the evidence that was picked for it, and how near in time that evidence lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

Span = tuple[float, float]
"""Start and end."""


class Event(NamedTuple):
    """Something that a piece of evidence speaks of.

    Attributes:
        span: when it was.
        likeness: how much it is like what is asked for, at least 0; its weight.
    """

    span: Span
    likeness: float


class Session(NamedTuple):
    """A piece of evidence that can be picked.

    Attributes:
        when: its day.
        events: what it speaks of.
    """

    when: float
    events: tuple[Event, ...] = ()


def evidence_score(picked: Sequence[str], gold: Sequence[str]) -> float:
    """1 where exactly the gold evidence was picked, 0.5 where some of it, −1 where none.

    Source: Memory-T1.
    """
    chosen, wanted = set(picked), set(gold)
    return 1.0 if chosen == wanted else 0.5 if chosen & wanted else -1.0


def proximity(when: float, window: Span) -> float:
    """1 inside of a window of time; outside 1.5 / (1 + e^(0.5 d / L)) − 0.5, limited to −0.5 and 1.

    d is the distance to the nearest end and L the window's length: just outside it is 0.25. A window of one instant has
    L = 1, chosen here.

    Source: Memory-T1 (its released code).

    Raises:
        ValueError: a window that ends before it starts.
    """
    start, end = window
    if not start <= end:
        raise ValueError(f"got a window from {start} to {end}; expected it to end no sooner than it starts")
    if start <= when <= end:
        return 1.0
    far = (start - when if when < start else when - end) / ((end - start) or 1.0)
    return max(-0.5, min(1.0, 1.5 / (1 + math.exp(min(0.5 * far, 50.0))) - 0.5))


def fidelity(events: Sequence[Event], window: Span) -> float:
    """Mean over events, weighted by likeness: 1 inside of the window, 0.5 across its border, −1 outside; 0 without any.

    Source: Memory-T1.
    """
    weight = sum(event.likeness for event in events)
    if weight <= 0:
        return 0.0
    return sum(event.likeness * _inside(event.span, window) for event in events) / weight


def temporal_evidence(
    accuracy: float | None, picked: Sequence[str], gold: Sequence[str], sessions: Sequence[Session], window: Span
) -> float | None:
    """0.6 R_acc + 0.2 R_ev + 0.2 R_time, from −1 to 1.

    R_time is the mean over the picked sessions of (proximity + fidelity) / 2; without any it is −1, chosen here: who
    picks nothing has no evidence. What cannot be parsed earns −1: that is for the caller to say, as a policy fault.

    Source: Memory-T1 (weights of its released code).

    Args:
        accuracy: R_acc between −1 and 1; None where the answer could not be judged.
        picked: names of the sessions that were picked.
        gold: names of those that hold the answer.
        sessions: the picked ones.
        window: the time that is asked about.

    Returns:
        The reward; None where R_acc is.

    Raises:
        ValueError: not one session a name, or an accuracy outside of its range.
    """
    if len(sessions) != len(picked):
        raise ValueError(f"got {len(picked)} names and {len(sessions)} sessions; expected one session a name")
    if accuracy is None:
        return None
    if not -1 <= accuracy <= 1:
        raise ValueError(f"got an accuracy of {accuracy}; expected between -1 and 1")
    each = [(proximity(one.when, window) + fidelity(one.events, window)) / 2 for one in sessions]
    time = sum(each) / len(each) if each else -1.0
    return 0.6 * accuracy + 0.2 * evidence_score(picked, gold) + 0.2 * time


def _inside(span: Span, window: Span) -> float:
    (start, end), (first, last) = span, window
    if first <= start and end <= last:
        return 1.0
    return 0.5 if start <= last and end >= first else -1.0
