"""What a ledger saves of a question, as JSON-able data, and back.

Times are saved as ages, because a clock starts anew in another process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from rewards.annotation.queue import Owed
from rewards.judges.judge import Question
from rewards.verdicts import Status, Verdict

_OF_QUESTION = tuple(field.name for field in fields(Question))


def packed(owed: Owed, now: float, lost_try: bool = False) -> dict[str, Any]:
    """A question that is owed; `lost_try` where it was with the judge, whose answer will not come."""
    return {
        **asdict(owed.question),
        "policy_version": owed.policy_version,
        "age_s": now - owed.asked_at,
        "attempt": owed.attempt - lost_try,
        "pause_s": owed.pause_s,
        "uncertainty": owed.uncertainty,
    }


def unpacked(raw: Mapping[str, Any], now: float) -> Owed:
    """What `packed` saved, by this version or an older one."""
    question = Question(**{name: _frozen(raw[name]) for name in _OF_QUESTION if name in raw})
    return Owed(
        question=question,
        policy_version=raw["policy_version"],
        asked_at=now - raw["age_s"],
        attempt=raw["attempt"],
        pause_s=raw.get("pause_s", 0.0),
        uncertainty=raw.get("uncertainty", 0.0),
    )


def _frozen(value: Any) -> Any:
    """A value with its lists, which JSON makes of tuples, as tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def packed_verdict(verdict: Verdict) -> dict[str, Any]:
    """A verdict, with its status by name; there are many, and `asdict` would copy each of its fields deeply."""
    return {**vars(verdict), "status": verdict.status.value, "scores": list(verdict.scores)}


def unpacked_verdict(raw: Mapping[str, Any]) -> Verdict:
    """What `packed_verdict` saved."""
    return Verdict(**{**raw, "status": Status(raw["status"])})


def packed_random(state: tuple[Any, ...]) -> list[Any]:
    """The state of a `random.Random`."""
    version, numbers, spare = state
    return [version, list(numbers), spare]


def unpacked_random(state: Sequence[Any]) -> tuple[Any, ...]:
    """What `packed_random` saved."""
    version, numbers, spare = state
    return version, tuple(numbers), spare
