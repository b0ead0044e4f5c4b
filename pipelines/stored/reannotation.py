"""What a re-annotation is asked to do (`Settings`), and what it came to (`Outcome`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pipelines.stored.comparison import Comparison
from pipelines.stored.records import plural
from rewards.budget import Config as BudgetConfig
from rewards.prices import Prices

SAY_EVERY_S = 5.0


class Settings(BaseModel):
    """What to ask, and what it may cost.

    Attributes:
        reward: "judge", "model" (the newest checkpoint's reward model), or a function, `my_lab.rewards:exact_match`.
        against: reward version to compare with; empty: the run's own, or the newest other one.
        again: ask once more where the verdict is NULL.
        seconds: stop after this long.
        settings: arguments of a reward function with a fixed value.
        budget: limits of requests, tokens and money of this command.
        prices: of the judge.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reward: str = Field(default="judge", min_length=1)
    against: str = ""
    again: bool = False
    seconds: float | None = Field(default=None, gt=0)
    settings: dict[str, Any] = {}
    budget: BudgetConfig = BudgetConfig(degrade="stop")
    prices: Prices = Prices()


@dataclass
class Outcome:
    """What a re-annotation came to.

    Attributes:
        version: the reward version that was asked for.
        kind: of its subjects.
        total: subjects that could be judged.
        before: of those, judged before under this version.
        judged: judged now, by status.
        left: not judged yet.
        stopped: why it ended before everything was judged; empty where it did not.
        unknown: captions whose text nobody knows, or episodes that are not whole.
        seconds: of judging.
        tokens: that were read and written.
        cost: money.
        comparison: with the other version; None where there is none.
    """

    version: str
    kind: str
    total: int
    before: int
    judged: dict[str, int] = field(default_factory=dict)
    left: int = 0
    stopped: str = ""
    unknown: int = 0
    seconds: float = 0.0
    tokens: int = 0
    cost: float = 0.0
    comparison: Comparison | None = None

    def lines(self) -> list[str]:
        """For people."""
        now = sum(self.judged.values())
        by_status = ", ".join(f"{n:,} {status}" for status, n in sorted(self.judged.items())) or "none"
        lines = [
            f"reward version {self.version}: {now:,} of {plural(self.total, self.kind)} judged now ({by_status}), "
            f"{self.before:,} before, {self.left:,} left",
            f"{self.seconds:.1f} s, {self.tokens:,} tokens, {self.cost:.6g} money",
        ]
        if self.unknown:
            what = "captions without a known text" if self.kind == "caption" else "episodes that are not whole"
            lines.append(f"left out: {self.unknown:,} {what}")
        if self.stopped:
            lines.append(f"stopped: {self.stopped}; the same command goes on where this one ended")
        return lines + (self.comparison.lines() if self.comparison else ["there is no other version to compare with"])
