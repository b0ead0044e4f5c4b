"""Rewards that nobody can know yet: answers wait for the truth, and their verdicts are filled in when it comes.

    answer ──promise──→ waits ──settle──→ verdict: ok with a score, or NULL where the truth did not come in time

An answer that waits has no verdict, so to the verdict store its reward is pending and to a reward view it is NULL,
never 0. Verdicts are of the row that the answer was given in, and come as any other late verdict does: put into the
store (`put`, or `put_shared` from another process), and joined by row, in whatever order they arrive.

Source: FutureX (Zeng et al. 2025), where answers are collected now and outcomes later; as a source of rewards, and that
a truth is given up after some time, chosen here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rewards.evaluation.forecast import foretold
from rewards.verdicts import Status, Verdict


@dataclass(frozen=True)
class Promise:
    """An answer that waits for the truth.

    Attributes:
        row: that it was given in; the subject of its verdict.
        question: what was asked, a name under which the truth will be found.
        said: the answer, as JSON has it.
        asked: when.
        happens: when the truth is due, in the same unit of time.
        newest: date of the newest thing that was read for it; None: nothing was read.
        policy_version: that answered.
    """

    row: str
    question: str
    said: Any
    asked: float
    happens: float
    newest: float | None = None
    policy_version: int = 0


Score = Callable[[Promise, Any], float]
"""From an answer and the truth, what it is worth; NaN where it is none that could be scored."""


class DelayedTruth:
    """Answers that wait, in the order in which they were given. Not thread-safe."""

    def __init__(self, component: str, version: str, score: Score, patience: float = float("inf")) -> None:
        """Wait for truths.

        Args:
            component: name of the reward.
            version: of the reward: of how it is scored.
            score: what an answer is worth.
            patience: how long after an event its truth is still waited for.

        Raises:
            ValueError: a patience below 0.
        """
        if not patience >= 0:
            raise ValueError(f"got patience={patience}; expected at least 0")
        self._component, self._version, self._score, self._patience = component, version, score, patience
        self._waiting: dict[str, Promise] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def promise(self, answer: Promise) -> None:
        """Let an answer wait.

        Raises:
            ValueError: it is no forecast, since it came after the event or from something newer than the question; or
                its row waits already.
        """
        newest = float("nan") if answer.newest is None else answer.newest
        if not foretold(answer.asked, answer.happens, newest):
            raise ValueError(
                f"row {answer.row}: got an answer at {answer.asked:g}, sources up to {answer.newest}, and an event at "
                f"{answer.happens:g}; expected an answer before the event and from nothing newer than itself"
            )
        if answer.row in self._waiting:
            raise ValueError(f"row {answer.row} waits for the truth already; expected one answer a row")
        self._waiting[answer.row] = answer

    def due(self, now: float) -> list[Promise]:
        """Answers whose event has happened by now: their truths are to be looked up."""
        return [answer for answer in self._waiting.values() if answer.happens <= now]

    def settle(self, now: float, truths: Mapping[str, Any]) -> list[Verdict]:
        """Verdicts on what is due: a score where the truth is known, NULL where it is overdue; the rest waits on.

        An answer that cannot be scored is NULL, too, and its policy's fault.

        Args:
            now: the time.
            truths: of questions, as far as they are known; those of events to come are not looked at.
        """
        found = []
        for answer in self.due(now):
            if answer.question in truths:
                value = self._score(answer, truths[answer.question])
                if math.isnan(value):
                    cause = f"{answer.said!r} could not be scored"
                    found.append(self._verdict(answer, None, Status.POLICY_FAULT, cause))
                else:
                    found.append(self._verdict(answer, value, Status.OK, ""))
            elif now > answer.happens + self._patience:
                cause = f"no truth of {answer.question!r} within {self._patience:g} after it was due"
                found.append(self._verdict(answer, None, Status.TIMEOUT, cause))
        for verdict in found:
            del self._waiting[verdict.subject]
        return found

    def _verdict(self, answer: Promise, value: float | None, status: Status, cause: str) -> Verdict:
        name, version, policy = self._component, self._version, answer.policy_version
        return Verdict(answer.row, "row", name, version, value, status, version, cause, policy_version=policy)

    def state(self) -> list[dict[str, Any]]:
        """What waits, as JSON-able data."""
        return [asdict(answer) for answer in self._waiting.values()]

    def load(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Wait for what `state` gave, and for nothing else."""
        self._waiting = {answer.row: answer for answer in (Promise(**saved) for saved in state)}
