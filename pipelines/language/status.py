"""`LanguageStatus`: the numbers of a language run as it goes on, in one place."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.language.groups import GroupReport

RECENT = 4096  # answers in a moving mean


@dataclass
class LanguageStatus:
    """Counters and moving means; everything here is checkpointed.

    Attributes:
        begun: groups that were begun.
        groups: groups that were stored.
        answers: in them.
        tokens: that the policy wrote in them.
        turns: in them.
        updates: of the learner.
        learnt_tokens: that the learner consumed.
        lost_groups: that were under way when their engine died; they are played again.
        given_up: groups that will never come: their rows are gone.
        under_way: numbers of the groups that were begun, and are neither stored nor given up.
        syncs: weights that reached an engine.
        elapsed_s: seconds of training, from the first experience of each start on, over all resumes.
        evaluated: success on the test split when it was looked at last.
        evaluated_at: updates at that time.
        deaths: by role.
        finishes: answers by how they ended.
        latest: metrics of the learner.
    """

    begun: int = 0
    groups: int = 0
    answers: int = 0
    tokens: int = 0
    turns: int = 0
    updates: int = 0
    learnt_tokens: int = 0
    lost_groups: int = 0
    given_up: int = 0
    under_way: list[int] = field(default_factory=list)
    syncs: int = 0
    elapsed_s: float = 0.0
    evaluated: float = -1.0
    evaluated_at: int = -1
    deaths: Counter[str] = field(default_factory=Counter)
    finishes: Counter[str] = field(default_factory=Counter)
    latest: dict[str, float] = field(default_factory=dict)
    _means: dict[str, deque[float]] = field(default_factory=dict)
    _ticks: deque[tuple[float, int, int]] = field(default_factory=lambda: deque(maxlen=32))

    def begin(self, group: int) -> None:
        """Count groups up to this one as begun."""
        self.under_way.extend(range(self.begun, group + 1))
        self.begun = max(self.begun, group + 1)

    def gathered(self, report: GroupReport) -> None:
        """Count a group that was stored."""
        self.under_way.remove(report.group)
        self.groups += 1
        self.answers += len(report.row_ids)
        self.tokens += report.tokens
        self.turns += report.turns
        self.finishes.update(report.finishes)

    def judged(self, component: str, values: Sequence[float | None]) -> None:
        """Take verdicts in; what is NULL is in no mean."""
        window = self._means.setdefault(component, deque(maxlen=RECENT))
        window.extend(value for value in values if value is not None)

    def learnt(self, metrics: Mapping[str, float]) -> None:
        """Take the metrics of one update."""
        self.updates += 1
        self.learnt_tokens += int(metrics.get("tokens", 0))
        self.latest.update(metrics)
        self._ticks.append((time.monotonic(), self.updates, self.learnt_tokens))

    def looked(self, success: float) -> None:
        """The test split was looked at."""
        self.evaluated, self.evaluated_at = success, self.updates

    def summary(self) -> dict[str, float]:
        """The numbers of one line of metrics.jsonl; what is not known yet is left out."""
        numbers: dict[str, float] = {
            "frames": self.tokens,
            "learnt_frames": self.learnt_tokens,
            "updates": self.updates,
            "episodes": self.answers,
            "elapsed_s": self.elapsed_s,
            "groups": self.groups,
            "lost_fragments": self.lost_groups,
            "groups_under_way": len(self.under_way),
            "deaths": sum(self.deaths.values()),
            "weight_syncs": self.syncs,
            **{f"learner/{name}": value for name, value in self.latest.items()},
            **{f"reward/{name}": sum(window) / len(window) for name, window in self._means.items() if window},
        }
        if self.answers:
            numbers["episode_length"] = self.tokens / self.answers
            numbers["truncated_share"] = self.finishes["length"] / self.answers
        if "reward" in self.latest:
            numbers["episode_return"] = self.latest["reward"]
        if self.evaluated_at >= 0:
            numbers["success_rate"] = self.evaluated
        if len(self._ticks) > 1:
            (t0, u0, k0), (t1, u1, k1) = self._ticks[0], self._ticks[-1]
            seconds = max(t1 - t0, 1e-9)
            numbers |= {"frames_per_s": (k1 - k0) / seconds, "updates_per_s": (u1 - u0) / seconds}
        return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}

    def state_dict(self) -> dict[str, Any]:
        """Everything but the moving clock and means."""
        state = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {k: dict(v) if isinstance(v, dict) else list(v) if isinstance(v, list) else v for k, v in state.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for name, value in state.items():
            current = getattr(self, name)
            if isinstance(current, dict):
                current.clear()
                current.update(value)
            else:
                setattr(self, name, value)
