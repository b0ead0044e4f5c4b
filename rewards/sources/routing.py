"""Many kinds of task in one batch: each row is judged by the verifier of its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rewards.functions import RewardFunction
from rewards.judges.judge import Answer
from rewards.verdicts import Status
from rewards.verifiers.choice import choice_match
from rewards.verifiers.quantities import number_match
from rewards.verifiers.sets import interval_iou

STANDARD: Mapping[str, RewardFunction] = {"choice": choice_match, "number": number_match, "box": interval_iou}
"""Verifiers by kind of task; open text needs embeddings (`rewards.sources.metrics.bidirectional_similarity`)."""


async def routed(
    kinds: Sequence[str],
    columns: Mapping[str, Sequence[Any]],
    routes: Mapping[str, RewardFunction] = STANDARD,
    formatted: Sequence[bool] | None = None,
    format_weight: float = 1.0,
) -> list[Answer]:
    """Answers of N rows, each by the verifier of its kind, plus `format_weight` where the format is there.

    What a verifier could not score stays NULL with its cause, whatever the format.

    Source: "Mixed-R1: Unified Reward Perspective For Reasoning Capability in Multimodal Large Language Models": all
    verifiers pay in one unit, 0 to 1, so that no kind of task outweighs another.

    Args:
        kinds: of each row.
        columns: by name, N values each, for all verifiers: each takes what it asks for.
        routes: verifiers by kind.
        formatted: whether each row has its format; without it no format is paid for.
        format_weight: what it is worth.

    Raises:
        ValueError: a kind that has no route, or columns of other lengths.
    """
    if unknown := sorted(set(kinds) - set(routes)):
        raise ValueError(f"got tasks of kinds {unknown}; expected some of {sorted(routes)}: give a route for each")
    lengths = {name: len(column) for name, column in columns.items()}
    if formatted is not None:
        lengths["formatted"] = len(formatted)
    if any(length != len(kinds) for length in lengths.values()):
        raise ValueError(f"got {len(kinds)} kinds and columns of lengths {lengths}; expected one length")
    answers: dict[int, Answer] = {}
    for kind in dict.fromkeys(kinds):
        rows = [row for row, own in enumerate(kinds) if own == kind]
        taken = {name: [column[row] for row in rows] for name, column in columns.items()}
        answers.update(zip(rows, await routes[kind].answer(taken), strict=True))
    found = [answers[row] for row in range(len(kinds))]
    if formatted is None:
        return found
    return [_plus(answer, format_weight * bool(well)) for answer, well in zip(found, formatted, strict=True)]


def _plus(answer: Answer, more: float) -> Answer:
    return answer if answer.status is not Status.OK else replace(answer, value=(answer.value or 0.0) + more)
