"""`annotate`: the answers of a group are judged by all rewards at once, wherever these run.

Each answer gets one verdict from each of them, under its row. What could not be had is NULL with its cause.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pyarrow as pa

from envs.language.trajectory import records
from pipelines.language.reward_parts import SUBJECT, Columns, Part
from pipelines.language.reward_settings import RewardsConfig
from rewards.judges.judge import Answer
from rewards.verdicts import Status, Verdict, details_json

FAILURES = (Status.JUDGE_FAULT, Status.TIMEOUT)
"""What is worth another try."""

Ask = Callable[[str, Columns], Awaitable[list[Answer]]]
"""Asks a reward by name about N answers, wherever it runs."""


async def annotate(parts: Sequence[Part], ask: Ask, rows: pa.RecordBatch, config: RewardsConfig) -> list[list[Verdict]]:
    """Judge the answers of a group by all rewards at once.

    Args:
        parts: the rewards.
        ask: asks one of them.
        rows: of the group.
        config: how often each is tried.

    Returns:
        For each reward one verdict an answer.
    """
    columns = columns_of(rows)
    return list(await asyncio.gather(*(_annotate(part, ask, rows, columns, config) for part in parts)))


async def _annotate(
    part: Part, ask: Ask, rows: pa.RecordBatch, columns: Columns, config: RewardsConfig
) -> list[Verdict]:
    names, versions = (rows.column(name).to_pylist() for name in ("row_id", "policy_version_max"))
    # Whom the world failed has done nothing wrong, and nothing that could be scored.
    broken = Answer(Status.JUDGE_FAULT, cause="the episode was aborted: its world raised, or did not answer in time")
    given_up = {i for i, finish in enumerate(columns["finish"]) if finish == "aborted"}
    answers: dict[int, tuple[Answer, int]] = {i: (broken, 0) for i in given_up}
    for attempt in range(1, config.attempts + 1):
        asked = [
            i for i in range(len(names)) if i not in answers or (i not in given_up and answers[i][0].status in FAILURES)
        ]
        if not asked:
            break
        some = {name: [column[i] for i in asked] for name, column in columns.items() if name in part.reads}
        try:
            given = await ask(part.name, some)
            if len(given) != len(asked):
                raise ValueError(
                    f"reward {part.name}: got {len(given)} values for {len(asked)} answers; expected one each"
                )
        except (TimeoutError, asyncio.TimeoutError) as error:  # it says so where its process was killed for it
            cause = str(error)[:300] or f"no answer within {config.deadline_s:g} s"
            given = [Answer(Status.TIMEOUT, cause=cause)] * len(asked)
        except Exception as error:  # whatever a reward raises is its fault, with the cause
            given = [Answer(Status.JUDGE_FAULT, cause=f"{type(error).__name__}: {error}"[:300])] * len(asked)
        answers.update({i: (answer, attempt) for i, answer in zip(asked, given, strict=True)})
    return [
        Verdict(
            subject=names[i],
            subject_kind=SUBJECT,
            component=part.name,
            reward_version=part.version,
            value=answer.value,
            status=answer.status,
            judge_fingerprint=part.version,
            cause=answer.cause,
            attempt=attempt,
            latency_s=answer.latency_s,
            tokens=answer.tokens,
            policy_version=max(0, versions[i]),
            text=columns["completion"][i],
            details=details_json(answer.details),
        )
        for i, (answer, attempt) in sorted(answers.items())
    ]


def columns_of(rows: pa.RecordBatch) -> Columns:
    """What rewards may ask for, of N answers: columns of their prompts, and what the episodes became."""
    found = records(rows)
    return {name: [one.get(name) for one in found] for name in dict.fromkeys(key for one in found for key in one)}
