"""`RunStatus`: the numbers of a run as it goes on, counted in one place for display, metrics, ledger and report."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envs.trajectory import Fragment
from pipelines.stages import SECONDS


@dataclass
class RunStatus:
    """Counters and moving averages; everything here is checkpointed.

    Attributes:
        frames: environment steps gathered.
        learnt_frames: environment steps that the learner consumed.
        updates: learner updates.
        episodes: finished episodes.
        captioned: steps with a caption.
        annotated: captioned steps whose caption had an ok verdict when the learner used them.
        seconds: time by stage, of all processes together.
        deaths: deaths by role.
        verdict_wait_s: seconds that batches waited for verdicts.
        verdict_waits_over: batches that were learnt from with captions unjudged, because the bound was reached.
        lost_fragments: rollouts that were under way when their actor died.
        elapsed_s: seconds of training, from the first experience of each start on, over all resumes.
        learnt_s: the same, when the latest update ended.
    """

    frames: int = 0
    learnt_frames: int = 0
    updates: int = 0
    episodes: int = 0
    successes: int = 0
    captioned: int = 0
    annotated: int = 0
    judged_observations: int = 0
    verdict_wait_s: float = 0.0
    verdict_waits_over: int = 0
    lost_fragments: int = 0
    elapsed_s: float = 0.0
    learnt_s: float = 0.0
    seconds: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    latest: dict[str, float] = field(default_factory=dict)
    returns: deque[float] = field(default_factory=lambda: deque(maxlen=100))
    lengths: deque[int] = field(default_factory=lambda: deque(maxlen=100))
    solved: deque[float] = field(default_factory=lambda: deque(maxlen=100))
    _windows: dict[str, deque[float]] = field(default_factory=dict)
    _ticks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=32))

    def gathered(self, fragment: Fragment) -> None:
        """Count a fragment that arrived."""
        self.frames += fragment.frames
        self.seconds.update(fragment.seconds)
        for episode in fragment.episodes:
            self.episodes += 1
            self.returns.append(episode.env_return)
            self.lengths.append(episode.length_steps)
            if episode.success is not None:
                self.successes += episode.success
                self.solved.append(float(episode.success))

    def learnt(self, metrics: Mapping[str, float], elapsed_s: float) -> None:
        """Take the metrics of one update, which has just ended, so many seconds of training after the beginning."""
        self.learnt_s = elapsed_s
        self.updates += 1
        self.learnt_frames += int(metrics.get("frames", 0))
        self.captioned += int(metrics.get("captioned", 0))
        self.annotated += int(metrics.get("annotated", 0))
        self.spent(metrics)
        metrics = {name: value for name, value in metrics.items() if not name.startswith(SECONDS)}
        self.latest.update(metrics)
        for name, value in metrics.items():
            if name.startswith("reward_"):  # events are rare and come in waves: one update says little
                window = self._windows.setdefault(name, deque(maxlen=50))
                window.append(value)
                self.latest[name] = sum(window) / len(window)
        self._ticks.append((time.monotonic(), self.learnt_frames))

    def spent(self, metrics: Mapping[str, float]) -> None:
        """Count the time by stage that is among some metrics."""
        self.seconds.update({k.removeprefix(SECONDS): v for k, v in metrics.items() if k.startswith(SECONDS)})

    @property
    def frames_per_s(self) -> float:
        """Learner-consumed frames per second over the latest updates."""
        if len(self._ticks) < 2:
            return 0.0
        (t0, f0), (t1, f1) = self._ticks[0], self._ticks[-1]
        return (f1 - f0) / max(t1 - t0, 1e-9)

    def summary(self) -> dict[str, float]:
        """The numbers of one line of metrics.jsonl; what is not known yet is left out."""

        def mean(values: deque[Any]) -> float | None:
            return sum(values) / len(values) if values else None

        numbers: dict[str, float | None] = {
            "frames": self.frames,
            "learnt_frames": self.learnt_frames,
            "updates": self.updates,
            "learnt_s": self.learnt_s,
            "episodes": self.episodes,
            "elapsed_s": self.elapsed_s,
            "frames_per_s": self.frames_per_s,
            "episode_return": mean(self.returns),
            "episode_length": mean(self.lengths),
            "success_rate": mean(self.solved),
            "annotated_share": self.annotated / self.captioned if self.captioned else None,
            "deaths": sum(self.deaths.values()),
            "lost_fragments": self.lost_fragments,
            "verdict_wait_s": self.verdict_wait_s,
            "verdict_waits_over": self.verdict_waits_over,
            **{f"learner/{k}": v for k, v in self.latest.items()},
            **{f"seconds/{k}": v for k, v in self.seconds.items()},
        }
        return {k: float(v) for k, v in numbers.items() if v is not None and v == v and abs(v) != float("inf")}

    def state_dict(self) -> dict[str, Any]:
        """Everything but the moving clock."""
        state = {k: v for k, v in vars(self).items() if not k.startswith("_")}
        return {k: list(v) if isinstance(v, deque) else dict(v) if isinstance(v, dict) else v for k, v in state.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        for key, value in state.items():
            current = getattr(self, key)
            if isinstance(current, deque):
                current.clear()
                current.extend(value)
            elif isinstance(current, dict):
                current.clear()
                current.update(value)
            else:
                setattr(self, key, value)
