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
from rewards.columns import Column
from rewards.monitors.observation import Observation, observed
from rewards.monitors.suite import Alarm, Config, Monitors
from rewards.views.view import ViewResult

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

    def observe(self, seen: Observation, update: int) -> str | None:
        """Take in what an update showed, and act on alarms; gives why the run is to stop, where it is.

        Args:
            seen: what it showed.
            update: its number, the first of the run being 1.
        """
        stop = None
        for alarm in self._monitors.observe(seen):
            self._counts[alarm.monitor] += 1
            line = {"time": time.time(), "update": update, **asdict(alarm)}
            self._directory.append_line(self._directory.alarms, line)
            self._note("alarm", f"{alarm.monitor} at update {update}: {alarm.message} ({alarm.action})")
            self._say(f"alarm, {alarm.monitor} at update {update:,}: {alarm.message}")
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


def of_answers(
    seen: ViewResult, columns: Mapping[str, Column], paying: Sequence[str], gold: str, metrics: Mapping[str, float]
) -> Observation:
    """What an update of a language run showed, of the answers that were learnt from.

    Args:
        seen: what they have earned, by the view of the run.
        columns: the verdicts on them, by reward.
        paying: names of the rewards that are learnt from.
        gold: name of the reward that is held out; empty: none is.
        metrics: of the update.
    """
    known = seen.weight > 0
    # One that is NULL throughout an update has no mean, and is no component of it.
    told = [name for name in paying if name in seen.contributions and columns[name].valid.any()]
    # What is held out may pay as well: what is compared with it is the rest.
    earned = seen.reward - seen.contributions.get(gold, np.float32(0.0))
    length, answers = metrics.get("own_tokens"), metrics.get("answers")
    return observed(
        np.where(known, earned, np.nan),
        columns[gold].values if gold in columns else None,
        length=length / answers if length is not None and answers else None,
        components={n: float(seen.contributions[n][known].mean()) for n in told if known.any()},
    )
