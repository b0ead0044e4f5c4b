"""`Watch`: the hacking monitors of a run, and what an alarm does: a line on disk, a stop, a quarantine."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from envs.trajectory import Fragment
from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory
from rewards.monitors.observation import Observation, observed
from rewards.monitors.suite import Alarm, Config, Monitors

OF_EPISODES = ("return", "success")
"""What may be gold in a run in an environment: what it pays in all, or whether the task was solved."""


@dataclass(frozen=True)
class Suspicion:
    """Why a judge is not believed, where no canary found it.

    Attributes:
        judge: its fingerprint.
        why: the alarm.
    """

    judge: str
    why: str

    def __str__(self) -> str:
        """For people."""
        return f"judge {self.judge} is quarantined by a monitor: {self.why}; its verdicts count as NULL"


def check_gold(config: Config, names: Sequence[str], judged: bool) -> None:
    """Compare a config with the run, before it starts.

    Args:
        config: of the monitors.
        names: what may be gold.
        judged: whether there is a judge to be put in quarantine.

    Raises:
        UserError: the gold reward is unknown, or there is nobody to be put in quarantine.
    """
    if config.gold and config.gold not in names:
        raise UserError(
            f"monitors.gold: got {config.gold!r}; expected one of {', '.join(names) or 'none: leave it out'}"
        )
    if config.enabled and not judged and "quarantine" in (config.action, *config.actions.values()):
        raise UserError("monitors: got action quarantine, and no judge is asked; expected warn or stop")


class Watch:
    """The monitors of one run."""

    def __init__(
        self,
        config: Config,
        directory: RunDirectory,
        say: Callable[[str], None],
        note: Callable[[str, str], None],
        quarantine: Callable[[Alarm], None],
    ) -> None:
        """Watch nothing yet.

        Args:
            config: of the monitors.
            directory: of the run.
            say: shows a message.
            note: writes an event down: what, and its cause.
            quarantine: puts the judge in quarantine.
        """
        self._config, self._monitors, self._directory = config, Monitors(config), directory
        self._say, self._note, self._quarantine = say, note, quarantine
        self._counts: Counter[str] = Counter()

    def observe(self, seen: Observation) -> str | None:
        """Take in what an update showed, and act on alarms; gives why the run is to stop, where it is."""
        stop = None
        for alarm in self._monitors.observe(seen):
            self._counts[alarm.monitor] += 1
            self._directory.append_line(self._directory.alarms, {"time": time.time(), **asdict(alarm)})
            self._note("alarm", f"{alarm.monitor}: {alarm.message} ({alarm.action})")
            self._say(f"alarm, {alarm.monitor}: {alarm.message}")
            if alarm.action == "stop":
                stop = f"monitor {alarm.monitor}: {alarm.message}"
            elif alarm.action == "quarantine":
                self._quarantine(alarm)
        return stop

    @property
    def line(self) -> dict[str, str]:
        """For the display; empty while nothing has alarmed."""
        return {"alarms": ", ".join(f"{name} ×{n}" for name, n in self._counts.items())} if self._counts else {}

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` goes on from."""
        return {"monitors": self._monitors.state_dict(), "counts": dict(self._counts)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on; what another version of the monitors has saved is left, and they begin anew."""
        restored = Monitors(self._config)  # apart: what fails half-way leaves nothing behind
        try:
            restored.load_state_dict(state["monitors"])
            self._monitors = restored
        except (KeyError, TypeError, ValueError) as error:
            self._note("monitors begin anew", f"{type(error).__name__}: {error}")
        self._counts = Counter(state.get("counts", {}))


def of_episodes(metrics: Mapping[str, float], fragments: Sequence[Fragment], gold: str) -> Observation:
    """What an update in an environment showed: means of its steps, and of the episodes that ended in it."""
    episodes = [episode for fragment in fragments for episode in fragment.episodes]
    components = {name.removeprefix("reward_"): value for name, value in metrics.items() if name.startswith("reward_")}
    # Where the return is what is meant, the judge's share is the proxy; where success is, all that is learnt from.
    proxy = components.get("intrinsic") if gold == "return" else sum(components.values())
    meant = [e.env_return if gold == "return" else e.success for e in episodes]
    known = [float(value) for value in meant if value is not None]
    return Observation(
        proxy=proxy if len(components) > 1 else None,
        gold=float(np.mean(known)) if known and len(components) > 1 else None,
        length=float(np.mean([e.length_steps for e in episodes])) if episodes else None,
        entropy=metrics.get("entropy"),
        components={name: value for name, value in components.items() if value},
    )


class Answers:
    """Verdicts on answers as they come, until the next update takes them."""

    def __init__(self, weights: Mapping[str, float], gold: str) -> None:
        """Of rewards with these weights; `gold` is held out: "": none is."""
        self._weights, self._gold = weights, gold
        self._values: dict[str, list[float]] = {name: [] for name in weights}

    def judged(self, name: str, values: Sequence[float | None]) -> None:
        """Take in the verdicts of one reward."""
        self._values[name].extend(np.nan if value is None else value for value in values)

    def taken(self, metrics: Mapping[str, float]) -> Observation:
        """What there is to see at an update; begins anew."""
        columns = {name: np.array(values) for name, values in self._values.items()}
        self._values = {name: [] for name in self._weights}
        paying = [name for name, weight in self._weights.items() if weight and name != self._gold]
        length, answers = metrics.get("own_tokens"), metrics.get("answers")
        seen = {
            "length": length / answers if length is not None and answers else None,
            "entropy": metrics.get("entropy"),
            # one that is NULL throughout an update has no mean, and is no component of it
            "components": {n: self._weights[n] * metrics[f"reward_{n}"] for n in paying if f"reward_{n}" in metrics},
        }
        if not paying or len({len(columns[name]) for name in paying}) != 1 or not len(columns[paying[0]]):
            return Observation(proxy=metrics.get("reward"), **seen)  # type: ignore[arg-type]
        proxy = np.sum([self._weights[name] * columns[name] for name in paying], axis=0)
        gold = columns.get(self._gold)
        return observed(proxy, gold if gold is not None and len(gold) == len(proxy) else None, **seen)  # type: ignore[arg-type]
