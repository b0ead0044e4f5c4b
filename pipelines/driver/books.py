"""`Books`: what every run knows of itself, whatever it learns: how far it is, its events, reports and checkpoints.

Runs in environments (`pipelines/environment/run.py`) and of language models (`pipelines/language/run.py`) differ in
what they count and what they owe. How that is shown, written down, saved and gone on with is here.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from cluster.events import Event
from learners.replay.ledger import ReplayLedger
from pipelines import checkpoint
from pipelines.display import Display, Subject, progress
from pipelines.driver.accounts import deaths_by_role
from pipelines.driver.lifecycle import Restored
from pipelines.driver.training_clock import TrainingClock
from pipelines.errors import UserError
from pipelines.mirror.mirror import Mirror, NoMirror
from pipelines.observing.logs import log_event
from pipelines.run_directory import RunDirectory
from pipelines.tracking import NoTracker, Tracker
from pipelines.trust.watching import Watch
from rewards.monitors.suite import Alarm

if TYPE_CHECKING:
    from pipelines.experiment import Experiment
    from pipelines.language.experiment import LanguageExperiment

LOG = logging.getLogger(__name__)
NEVER = float("-inf")


class Status(Protocol):
    """Counters of a run, all of them checkpointed.

    Attributes:
        elapsed_s: seconds of training, over all resumes.
        deaths: by role.
    """

    elapsed_s: float
    deaths: Counter[str]

    def summary(self) -> dict[str, float]:
        """The numbers of one line of metrics."""

    def state_dict(self) -> dict[str, Any]:
        """What is saved."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what was saved."""


class Books(ABC):
    """The books of one run, from its beginning to its report.

    Attributes:
        subject: what its length is counted in.
        status: its counters.
        on_report: each is told the numbers of each report.
        shares: the books of each share of the replay, as they were last told.
        stopping: why it is to stop; None: it goes on.
    """

    subject: ClassVar[Subject]

    def __init__(
        self, experiment: Experiment | LanguageExperiment, directory: RunDirectory, display: Display, status: Status
    ) -> None:
        """Empty books.

        Args:
            experiment: what is run.
            directory: where its records go; locked by the caller.
            display: what people see.
            status: in which nothing is counted yet.
        """
        self.experiment, self.directory, self.display, self.status = experiment, directory, display, status
        self.tracker: Tracker | NoTracker = NoTracker()
        self.mirror: Mirror | NoMirror = NoMirror()
        self.on_report: list[Callable[[Mapping[str, float]], None]] = []
        self.shares: tuple[ReplayLedger, ...] = ()
        self.stopping: str | None = None
        self.watch = Watch(experiment.monitors, directory, display.say, self.note, self._suspected)
        self.clock = TrainingClock()
        self._reported, self._saved = NEVER, time.monotonic()

    # What is counted ------------------------------------------------------------------------------------------------

    @property
    def at(self) -> int:
        """How far the run is, in units of its subject."""
        return int(getattr(self.status, self.subject.done))

    @property
    def target(self) -> int:
        """How far it is to go."""
        return int(getattr(self.experiment, self.subject.unit))

    @property
    def done(self) -> bool:
        """Whether the run has reached its end, or has been asked to stop."""
        return self.stopping is not None or self.at >= self.target or self.clock.over(self.experiment.minutes)

    @abstractmethod
    def accounts(self) -> dict[str, Any]:
        """The ledger: everything that came in and all that was asked, accounted for."""

    @abstractmethod
    def _suspected(self, alarm: Alarm) -> None:
        """A monitor asks for the quarantine of who judges."""

    # Reporting ------------------------------------------------------------------------------------------------------

    def report(self, force: bool = False) -> bool:
        """Show the state of the run, and write it down, if it is time; gives whether it was."""
        if not force and time.monotonic() - self._reported < self.experiment.report_every_s:
            return False
        self._reported = time.monotonic()
        self._look_around(ended=force)
        self.status.elapsed_s = self.clock.seconds
        deaths = {f"deaths/{role}": float(n) for role, n in deaths_by_role(self.status.deaths).items()}
        numbers = {**self.status.summary(), **self._numbers(), **deaths, **self.mirror.numbers()}
        numbers = {k: float(v) for k, v in numbers.items() if v == v and abs(v) != float("inf")}
        numbers["progress"] = progress(numbers, self.target, self.experiment.minutes, self.subject.done)
        self.display.show(numbers, self._lines() | self.mirror.line())
        self.directory.append_line(self.directory.metrics, {"time": time.time(), **numbers})
        for what, why in self.mirror.news():
            self.note(what, why)
            self.display.say(f"{what}: {why}")
        self.tracker.metrics(numbers, self.at)
        for told in self.on_report:
            told(numbers)
        return True

    @abstractmethod
    def _look_around(self, ended: bool) -> None:
        """What is to be seen, and done, before a report; at the end for the last time."""

    @abstractmethod
    def _numbers(self) -> dict[str, float]:
        """Numbers of a report beside those of the status."""

    @abstractmethod
    def _lines(self) -> dict[str, str]:
        """Lines of the display by label."""

    def _deaths_line(self) -> dict[str, str]:
        deaths = ", ".join(f"{role} ×{n}" for role, n in sorted(self.status.deaths.items()))
        return {"deaths": deaths} if deaths else {}

    def event(self, event: Event) -> None:
        """Something happened to a role: write it down and show it."""
        if event.what == "died":
            self.status.deaths[event.role] += 1
        self._write_event(event)
        if event.what != "started":
            after = "" if event.recovered_s is None else f" after {event.recovered_s:.1f} s"
            self.display.say(f"{event.role} {event.what}{after}: {event.cause}")

    def note(self, what: str, cause: str = "") -> None:
        """Write down an event of the run itself."""
        self._write_event(Event(time.time(), "run", what, cause))

    def _write_event(self, event: Event) -> None:
        log_event(event)
        self.directory.append_line(self.directory.events, asdict(event))

    # Checkpoints ----------------------------------------------------------------------------------------------------

    @property
    def checkpoint_due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._saved >= self.experiment.checkpoint.every_s

    def save(self, roles: Mapping[str, Any], frontier: Sequence[int]) -> Path:
        """Write a checkpoint.

        Args:
            roles: state of each role.
            frontier: of each share of the replay, the number of the next draw that the learner has not learnt from.
        """
        self.status.elapsed_s = self.clock.seconds
        tree = {
            **self._identities(),
            "roles": dict(roles),
            "status": self.status.state_dict(),
            "watch": self.watch.state_dict(),
            "frontier": list(frontier),
            "mlflow_run": self.tracker.run_id,
            **self._tree(),
        }
        path = checkpoint.save(self.directory.checkpoints, self.at, tree, keep=self.experiment.checkpoint.keep)
        self.directory.write_json(self.directory.ledger, self.accounts())
        self._saved = time.monotonic()
        LOG.info("checkpoint", extra={"path": path, "frontier": list(frontier)})
        return path

    def restore(self) -> Restored:
        """Read the newest whole checkpoint.

        Raises:
            UserError: there is none, or it is of another experiment.
        """
        _, tree, _ = checkpoint.load(self.directory.checkpoints)
        if "frontier" not in tree:
            raise UserError(f"{self.directory.root} was written by an earlier version, which kept its replay elsewhere")
        for name, now in self._identities().items():
            if tree[name] != now:
                raise UserError(
                    f"{self.directory.root} was run with another configuration ({name} {tree[name]}, now {now}): "
                    "resume without overrides that change what is learnt, or start anew"
                )
        self.status.load_state_dict(tree["status"])
        self.clock.go_on_from(self.status.elapsed_s)
        if (saved := tree.get("watch")) is not None:
            self.watch.load_state_dict(saved)
        self._take(tree)
        return Restored(tree["roles"], tuple(tree["frontier"]), tree["mlflow_run"] or None)

    def _identities(self) -> dict[str, str]:
        """What must be as it was where a run goes on, by name."""
        return {"identity": self.experiment.identity()}

    @abstractmethod
    def _tree(self) -> dict[str, Any]:
        """What else is saved."""

    @abstractmethod
    def _take(self, tree: Mapping[str, Any]) -> None:
        """Go on from what else was saved."""

    # Ends -----------------------------------------------------------------------------------------------------------

    def mirrored_by(self, mirror: Mirror | NoMirror) -> None:
        """From now on a copy is kept."""
        self.mirror = mirror

    def close(self) -> None:
        """Close the logs and write the ledger."""
        self._close_verdicts()
        self.directory.write_json(self.directory.ledger, self.accounts())

    @abstractmethod
    def _close_verdicts(self) -> None:
        """Nothing is judged any more."""
