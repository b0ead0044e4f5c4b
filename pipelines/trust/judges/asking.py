"""A judge asked about many questions: its answers, and their values with NaN for NULL."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import UserError
from pipelines.trust.judges.measures import Measure, of_repeats
from rewards.evaluation.consistency import repeats
from rewards.judges.judge import Answer, Judge, Question

BATCH = 64


@dataclass(frozen=True)
class Asked:
    """Answers to questions, in their order."""

    answers: Sequence[Answer]

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """`[N]`; NaN where there is none."""
        return np.array([np.nan if one.value is None else one.value for one in self.answers])

    def told(self) -> Asked:
        """These, of which one at least has a value.

        Raises:
            UserError: none has; says why.
        """
        if not np.isnan(self.values).all():
            return self
        causes = {one.cause for one in self.answers if one.cause}
        why = f": {min(causes)[:200]}" if causes else ""
        raise UserError(f"the judge gave no value for any question{why}; look at its settings with `guerdon doctor`")

    def missing(self) -> Measure:
        """How many have no value."""
        nulls = int(np.isnan(self.values).sum())
        return Measure("no value", f"{nulls} of {len(self.answers)}", {"value": nulls, "n": len(self.answers)})


def ask(judge: Judge, questions: Sequence[Question]) -> Asked:
    """Ask, some at a time.

    Raises:
        UserError: the judge went away, or asks for what the questions do not have.
    """

    async def answers() -> list[Answer]:
        found: list[Answer] = []
        for start in range(0, len(questions), BATCH):
            found += await judge.judge(questions[start : start + BATCH])
        return found

    try:
        return Asked(asyncio.run(answers()))
    except ConnectionError as error:
        raise UserError(f"the judge went away: {error}") from None
    except ValueError as error:
        raise UserError(
            f"{error}; what is asked has a prompt, an answer to judge and, where known, the right one"
        ) from None


def repeated(judge: Judge, questions: Sequence[Question], times: int) -> list[Measure]:
    """Variance over repetitions of the same questions; nothing where they are asked once."""
    if times < 2:
        return []
    asked = np.stack([ask(judge, questions[:BATCH]).values for _ in range(times)], 1)
    return of_repeats(repeats(asked.tolist()))
