"""Canaries: rows with known verdicts among what a judge is asked, and what becomes of a judge that gets them wrong.

A judge can go wrong while it runs: a server swaps its model, a policy finds a phrase that pleases, a template loses its
rubric. Among the questions, unmarked, go some whose answer is known, half of them to be accepted and half to be
rejected, so that neither a judge that accepts all nor one that rejects all passes. For each judge, by its
fingerprint, and each side a sequential test (Page 1954, CUSUM, of the error rates p0 and p1) adds up the evidence of
every canary:

    S ← max(0, S + log(p1/p0))          on a wrong verdict
    S ← max(0, S + log((1−p1)/(1−p0)))  on a right one          quarantine when S ≥ log(1/α)

A sound judge, with at most p0 wrong, is quarantined by mistake once in 1/α canaries of a side or rarer (Lorden 1971);
one that always errs on a side is found after ⌈log(1/α) / log(p1/p0)⌉ canaries of that side, however long it was sound
before: good evidence is not saved up. A NULL is no wrong verdict and no right one; a judge that answers canaries with
nothing but NULLs stays on probation, and so does one that has seen few.

A quarantine is final until a person lifts it. What a quarantined judge says, then and earlier, is not believed: its
verdicts stay stored as they are, its subjects count as not judged, and the view's own rule for NULL says what the
learner does with them. Another version of the reward, with another judge, is judged by its own canaries.

Pure state without a clock; the host asks `due` for each question and tells `record` each verdict on a canary.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewards.shares import wilson

Standing = Literal["probation", "trusted", "quarantined"]
Side = Literal["accept", "reject"]
STATE_VERSION = 1


class Config(BaseModel):
    """How many canaries, and when enough is enough.

    Attributes:
        file: YAML list of canaries, see `rewards.canary_file`; None: there are none.
        share: of the questions that a canary goes along with.
        tolerated_error: p0, the share of wrong verdicts on canaries that a sound judge may have.
        alarming_error: p1, the share that must be found.
        false_alarm: α; 1/α is the least mean number of canaries of a side between two mistaken quarantines.
        threshold: a value above it accepts.
        probation: canaries of each side with a value before a judge is trusted.
        seed: of which canary goes along with which questions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str | None = None
    share: float = Field(0.02, gt=0, le=1)
    tolerated_error: float = Field(0.05, gt=0, lt=1)
    alarming_error: float = Field(0.4, gt=0, lt=1)
    false_alarm: float = Field(1e-4, gt=0, lt=1)
    threshold: float = 0.5
    probation: int = Field(10, ge=1)
    seed: int = 0

    @model_validator(mode="after")
    def _ordered(self) -> Config:
        if not self.tolerated_error < self.alarming_error:
            raise ValueError(
                f"got tolerated_error {self.tolerated_error} and alarming_error {self.alarming_error}; expected the "
                "first below the second"
            )
        return self

    @property
    def limit(self) -> float:
        """The evidence that quarantines: log(1/α)."""
        return math.log(1 / self.false_alarm)

    @property
    def evidence_of_error(self) -> float:
        """What a wrong verdict adds: log(p1/p0)."""
        return math.log(self.alarming_error / self.tolerated_error)

    @property
    def evidence_of_right(self) -> float:
        """What a right verdict adds, below 0: log((1−p1)/(1−p0))."""
        return math.log((1 - self.alarming_error) / (1 - self.tolerated_error))


@dataclass(frozen=True)
class Canary:
    """Something whose verdict is known.

    Attributes:
        texts: what is judged, see `rewards.judges.judge.Question`.
        accept: whether a sound judge accepts it; of a pair: whether it prefers the first.
        kind: of question.
        context: named texts beside it.
    """

    texts: tuple[str, ...]
    accept: bool
    kind: str = "caption"
    context: tuple[tuple[str, str], ...] = ()

    @property
    def side(self) -> Side:
        """Which verdict is right."""
        return "accept" if self.accept else "reject"


@dataclass
class Tally:
    """What one judge said of the canaries of one side.

    Attributes:
        right: verdicts as they should be.
        wrong: the opposite.
        null: no value.
        evidence: S of the sequential test.
        since: canary (counted from 1, those with a value) after which S was last 0: where it began to go wrong.
    """

    right: int = 0
    wrong: int = 0
    null: int = 0
    evidence: float = 0.0
    since: int = 0

    @property
    def judged(self) -> int:
        """Canaries with a value."""
        return self.right + self.wrong


@dataclass(frozen=True)
class Quarantine:
    """Why a judge is not believed.

    Attributes:
        judge: which, by its fingerprint.
        side: "reject": it accepts what it should reject; "accept": the other way round.
        wrong: wrong verdicts on that side.
        judged: canaries of that side with a value.
        low: lower end of the 95 % Wilson interval of its error rate on that side.
        high: upper end.
        since: canary of that side after which it began to go wrong, by the test.
    """

    judge: str
    side: Side
    wrong: int
    judged: int
    low: float
    high: float
    since: int

    def __str__(self) -> str:
        """For people."""
        does = "accepts what it should reject" if self.side == "reject" else "rejects what it should accept"
        return (
            f"judge {self.judge} is quarantined: it {does} in {self.wrong} of {self.judged} canaries "
            f"(95 % interval {self.low:.0%} to {self.high:.0%}), beginning after canary {self.since}; its verdicts "
            "count as NULL. Mend the judge, or lift the quarantine"
        )


@dataclass
class _Version:
    tallies: dict[Side, Tally] = field(default_factory=lambda: {"accept": Tally(), "reject": Tally()})
    quarantine: Quarantine | None = None


class CanaryWatch:
    """Which questions a canary goes along with, and which judges are believed. One host owns it."""

    def __init__(self, canaries: Sequence[Canary], config: Config | None = None) -> None:
        """Watch with these canaries.

        Args:
            canaries: with known verdicts, of both sides.
            config: how many, and when enough is enough.

        Raises:
            ValueError: a side has no canary: a judge that always says the same would pass.
        """
        self.config = config or Config()
        self._pools: dict[Side, list[Canary]] = {"accept": [], "reject": []}
        for canary in canaries:
            self._pools[canary.side].append(canary)
        if empty := [side for side, pool in self._pools.items() if not pool]:
            raise ValueError(
                f"got {len(canaries)} canaries, none of them to {empty[0]}; expected some of both sides, or a judge "
                "whose answers are always the same would pass"
            )
        self._asked = 0
        self._sent = 0
        self._versions: dict[str, _Version] = {}

    def due(self) -> Canary | None:
        """The canary that goes along with the next question, if one does.

        Which questions those are cannot be told from outside without the seed; sides take turns.
        """
        self._asked += 1
        draw = random.Random(f"{self.config.seed} {self._asked}")
        if draw.random() >= self.config.share:
            return None
        self._sent += 1
        return draw.choice(self._pools["reject" if self._sent % 2 else "accept"])

    def exam(self) -> list[Canary]:
        """Every canary once, in an order that the seed says: sides must not be told by their place."""
        canaries = [canary for pool in self._pools.values() for canary in pool]
        random.Random(f"{self.config.seed} exam").shuffle(canaries)
        return canaries

    def record(self, judge: str, canary: Canary, value: float | None) -> Quarantine | None:
        """Take in what a judge said of a canary.

        Args:
            judge: whose verdict it is, by its fingerprint.
            canary: what was judged.
            value: the verdict's value, None where it is NULL.

        Returns:
            The quarantine that this verdict brought about, if it did.
        """
        version = self._versions.setdefault(judge, _Version())
        tally = version.tallies[canary.side]
        if value is None or not math.isfinite(value):
            tally.null += 1
            return None
        if (value > self.config.threshold) == canary.accept:
            tally.right += 1
            tally.evidence += self.config.evidence_of_right
        else:
            tally.wrong += 1
            tally.evidence += self.config.evidence_of_error
        if tally.evidence <= 0:
            tally.evidence, tally.since = 0.0, tally.judged
        if version.quarantine is not None or tally.evidence < self.config.limit:
            return None
        low, high = wilson(tally.wrong, tally.judged)
        version.quarantine = Quarantine(judge, canary.side, tally.wrong, tally.judged, low, high, tally.since)
        return version.quarantine

    def standing(self, judge: str) -> Standing:
        """Whether a judge is believed; "probation" until enough canaries of both sides had a value."""
        version = self._versions.get(judge, _Version())
        if version.quarantine is not None:
            return "quarantined"
        proven = all(tally.judged >= self.config.probation for tally in version.tallies.values())
        return "trusted" if proven else "probation"

    def quarantine_of(self, judge: str) -> Quarantine | None:
        """Why a judge is quarantined; None where it is not."""
        return self._versions.get(judge, _Version()).quarantine

    def lift(self, judge: str) -> None:
        """Believe a judge again, with a clean slate; for people, after they looked.

        Raises:
            KeyError: it is not quarantined.
        """
        if self.quarantine_of(judge) is None:
            raise KeyError(f"got judge {judge!r}; expected a quarantined one")
        del self._versions[judge]

    def report(self) -> dict[str, dict[str, Any]]:
        """By judge: standing, and of each side right, wrong, null, error rate with its Wilson interval."""
        return {name: {"standing": self.standing(name), **_sides(v)} for name, v in self._versions.items()}

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on, as JSON-able data."""
        versions = {
            name: {
                "tallies": {side: asdict(tally) for side, tally in version.tallies.items()},
                "quarantine": None if version.quarantine is None else asdict(version.quarantine),
            }
            for name, version in self._versions.items()
        }
        return {"version": STATE_VERSION, "asked": self._asked, "sent": self._sent, "versions": versions}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` saved.

        Raises:
            ValueError: it was saved by another version of this code.
        """
        if state.get("version") != STATE_VERSION:
            raise ValueError(f"got canaries of state version {state.get('version')}; expected {STATE_VERSION}")
        self._asked, self._sent = int(state["asked"]), int(state["sent"])
        self._versions = {
            name: _Version(
                {side: Tally(**tally) for side, tally in saved["tallies"].items()},
                None if saved["quarantine"] is None else Quarantine(**saved["quarantine"]),
            )
            for name, saved in state["versions"].items()
        }


def _sides(version: _Version) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for side, tally in version.tallies.items():
        low, high = wilson(tally.wrong, tally.judged)
        found[side] = {
            "right": tally.right,
            "wrong": tally.wrong,
            "null": tally.null,
            "error": tally.wrong / tally.judged if tally.judged else None,
            "error_low": low,
            "error_high": high,
        }
    return found
