"""`Run`: the books of one run: counters, logs on disk, tracking, display, checkpoints; of verdicts, `VerdictBooks`.

Both runners move experience; everything that they must remember about it is here, so that a run reports, checkpoints
and resumes in the same way wherever it runs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cluster.events import Event
from envs.trajectory import Fragment
from learners.replay.ledger import ReplayLedger, combined
from pipelines import checkpoint
from pipelines.display import Display, progress
from pipelines.driver.accounts import deaths_by_role, imbalance
from pipelines.driver.lifecycle import Restored
from pipelines.driver.training_clock import TrainingClock
from pipelines.driver.verdict_wait import Waited
from pipelines.environment.status import RunStatus
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.judging.verdict_books import VerdictBooks
from pipelines.mirror.mirror import Mirror, NoMirror
from pipelines.observing.logs import log_event
from pipelines.run_directory import RunDirectory
from pipelines.stages import SECONDS
from pipelines.tracking import NoTracker, Tracker
from pipelines.trust.watching import OF_EPISODES, Suspicion, Watch, check_gold, of_episodes
from rewards.monitors.suite import Alarm

LOG = logging.getLogger(__name__)
NEVER = float("-inf")


class Run:
    """One run, from its first frame to its report."""

    def __init__(
        self, experiment: Experiment, directory: RunDirectory, display: Display, judge_fingerprint: str
    ) -> None:
        """Empty books.

        Args:
            experiment: what is run.
            directory: where its records go; locked by the caller.
            display: what people see.
            judge_fingerprint: of the judge, or empty.
        """
        self.experiment, self.directory, self.display = experiment, directory, display
        self.tracker: Tracker | NoTracker = NoTracker()
        self.mirror: Mirror | NoMirror = NoMirror()
        self.on_report: list[Callable[[Mapping[str, float]], None]] = []  # told the numbers of each report
        self.queues: dict[str, float] = {}  # what waits in places that these books do not keep, by name
        self.status = RunStatus()
        check_gold(experiment.monitors, OF_EPISODES, experiment.judged)
        self.watch = Watch(experiment.monitors, directory, display.say, self.note, self._suspected)
        self.shares: tuple[ReplayLedger, ...] = ()  # the books of each share of the replay, as they were last told
        self._accepted: dict[tuple[int, int], int] = {}  # next sequence number by actor and epoch
        self.caption_frequency: dict[int, int] = {}
        self.reward_model: dict[str, float] = {}
        self.clock = TrainingClock()
        self._reported = NEVER
        self._saved = time.monotonic()
        self.stopping: str | None = None
        self.verdicts = VerdictBooks(
            experiment, directory, judge_fingerprint, self.note, display.say, self._report_soon
        )

    # Experience -----------------------------------------------------------------------------------------------------

    def awaits(self, fragment: Fragment) -> bool:
        """Whether a fragment has not been counted as stored."""
        actor, epoch, sequence = fragment.key
        return sequence >= self._accepted.get((actor, epoch), 0)

    def gathered(self, fragment: Fragment) -> None:
        """A fragment was stored: count it, and ask about its new captions."""
        self.clock.begin()
        self._count(fragment)

    def _count(self, fragment: Fragment) -> None:
        actor, epoch, sequence = fragment.key
        self._accepted[actor, epoch] = max(self._accepted.get((actor, epoch), 0), sequence + 1)
        self.status.gathered(fragment)
        for ident, times in fragment.caption_steps.items():
            self.caption_frequency[ident] = self.caption_frequency.get(ident, 0) + times
        self.verdicts.ask(fragment)

    def catch_up(self, fragments: Iterable[Fragment]) -> int:
        """Count what was stored after the checkpoint that this run goes on from; gives how many fragments that were."""
        new = [fragment for fragment in fragments if self.awaits(fragment)]
        for fragment in new:
            self._count(fragment)
        return len(new)

    def reward_trained(self, metrics: dict[str, float], sha256: str) -> None:
        """The trainer took a step; where it published another reward model, keep its lineage where runs are tracked."""
        self.status.spent(metrics)
        self.reward_model = {name: value for name, value in metrics.items() if not name.startswith(SECONDS)}
        if not sha256:
            return
        self.tracker.tags(
            {
                "reward_version": self.verdicts.reward_version,
                "reward_model_version": f"{self.reward_model.get('version', 0):.0f}",
                "reward_model_sha256": sha256,
                "reward_model_labels": f"{self.reward_model.get('labels', len(self.verdicts.counted)):.0f}",
            }
        )

    def waited(self, found: Waited) -> None:
        """A batch has waited for verdicts, with or without success."""
        self.status.verdict_wait_s += found.seconds
        self.status.verdict_waits_over += found.missing > 0

    def learnt(self, metrics: Mapping[str, float], fragments: Sequence[Fragment]) -> None:
        """The learner finished an update on these fragments."""
        self.clock.begin()
        counts = [self.verdicts.annotated(fragment) for fragment in fragments]
        shares = {"captioned": sum(c for c, _ in counts), "annotated": sum(a for _, a in counts)}
        self.status.learnt({**metrics, **shares})
        seen = of_episodes(metrics, fragments, self.experiment.monitors.gold or "return")
        self.stopping = self.stopping or self.watch.observe(seen, self.status.updates)

    def _suspected(self, alarm: Alarm) -> None:
        """A monitor asks for the quarantine of who judges."""
        self.verdicts.suspected(lambda judge: Suspicion(judge, f"{alarm.monitor}: {alarm.message}"))

    # Reporting ------------------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether the run has reached its end, or has been asked to stop."""
        return (
            self.stopping is not None
            or self.status.learnt_frames >= self.experiment.frames
            or self.clock.over(self.experiment.minutes)
        )

    def report(self, force: bool = False) -> bool:
        """Show the state of the run, and write it down, if it is time; gives whether it was."""
        if not force and time.monotonic() - self._reported < self.experiment.report_every_s:
            return False
        self._reported = time.monotonic()
        self.verdicts.look_around(ended=force)
        self.status.elapsed_s = self.clock.seconds
        numbers = {
            **self.status.summary(),
            **self.verdicts.numbers(),
            "ledger/imbalance": imbalance(self.verdicts.imbalance, self.shares),
            **{f"queue/{name}": value for name, value in self.queues.items()},
            **{f"deaths/{role}": n for role, n in deaths_by_role(self.status.deaths).items()},
            **{f"reward_model/{k}": v for k, v in self.reward_model.items()},
            **self.mirror.numbers(),
        }
        numbers = {k: float(v) for k, v in numbers.items() if v == v and abs(v) != float("inf")}
        numbers["progress"] = progress(numbers, self.experiment.frames, self.experiment.minutes)
        self.display.show(numbers, self._lines())
        self.directory.append_line(self.directory.metrics, {"time": time.time(), **numbers})
        for what, why in self.mirror.news():
            self.note(what, why)
            self.display.say(f"{what}: {why}")
        self.tracker.metrics(numbers, self.status.learnt_frames)
        for told in self.on_report:
            told(numbers)
        return True

    def _report_soon(self) -> None:
        self._reported = NEVER

    def _lines(self) -> dict[str, str]:
        lines = dict(self.watch.line)
        if self.status.deaths:
            lines["deaths"] = ", ".join(f"{role} ×{n}" for role, n in sorted(self.status.deaths.items()))
        if self.experiment.reward.judged:
            lines = self.verdicts.lines(self.status.frames) | lines
            if self.experiment.verdict_wait_s:
                over = self.status.verdict_waits_over
                lines["waits for verdicts"] = f"{self.status.verdict_wait_s:.1f} s, {over} batches went on without all"
        return lines | self.mirror.line()

    def event(self, event: Event) -> None:
        """Something happened to a role: write it down and show it."""
        if event.what == "died":
            self.status.deaths[event.role] += 1
        log_event(event)
        self.directory.append_line(self.directory.events, asdict(event))
        if event.what == "started":
            return
        after = "" if event.recovered_s is None else f" after {event.recovered_s:.1f} s"
        self.display.say(f"{event.role} {event.what}{after}: {event.cause}")

    def note(self, what: str, cause: str = "") -> None:
        """Write down an event of the run itself."""
        event = Event(time.time(), "run", what, cause)
        log_event(event)
        self.directory.append_line(self.directory.events, asdict(event))

    def accounts(self) -> dict[str, Any]:
        """The ledger: every fragment and every question accounted for."""
        verdicts, experience = self.verdicts.accounts(), combined(self.shares)
        return {
            "experience": {
                "accepted": asdict(experience.accepted),
                "live": asdict(experience.waiting),
                "sampled": asdict(experience.sampled),
                "dropped": {reason: asdict(count) for reason, count in experience.dropped.items()},
                "duplicates": experience.duplicates,
                "fenced": experience.fenced,
                "samples": experience.samples,
                "samples_in_no_checkpoint": experience.unreleased,
                "samples_given_again": experience.redelivered,
                "balanced": experience.balanced,
            },
            "lost_rollouts": self.status.lost_fragments,
            "verdict_waits": {"seconds": self.status.verdict_wait_s, "went_on_without": self.status.verdict_waits_over},
            **verdicts,
            "deaths": dict(self.status.deaths),
            "balanced": experience.balanced and verdicts["balanced"],
        }

    def mirrored_by(self, mirror: Mirror | NoMirror) -> None:
        """From now on a copy is kept."""
        self.mirror = mirror
        self.verdicts.mirrored_by(mirror)

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
            "identity": self.experiment.identity(),
            "roles": dict(roles),
            "status": self.status.state_dict(),
            **self.verdicts.state_dict(),
            "watch": self.watch.state_dict(),
            "frontier": list(frontier),
            "accepted": [[*writer, following] for writer, following in self._accepted.items()],
            "caption_frequency": self.caption_frequency,
            "mlflow_run": self.tracker.run_id,
        }
        path = checkpoint.save(
            self.directory.checkpoints, self.status.learnt_frames, tree, keep=self.experiment.checkpoint.keep
        )
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
        if tree["identity"] != self.experiment.identity():
            raise UserError(
                f"{self.directory.root} was run with another configuration (identity {tree['identity']}, now "
                f"{self.experiment.identity()}): resume without overrides that change what is learnt, or start anew"
            )
        self.status.load_state_dict(tree["status"])
        self.clock.go_on_from(self.status.elapsed_s)
        self.verdicts.load_state_dict(tree)
        self.caption_frequency = dict(tree["caption_frequency"])
        if (saved := tree.get("watch")) is not None:
            self.watch.load_state_dict(saved)
        self._accepted = {(actor, epoch): following for actor, epoch, following in tree["accepted"]}
        return Restored(tree["roles"], tuple(tree["frontier"]), tree["mlflow_run"] or None)

    def close(self) -> None:
        """Close the logs and write the ledger."""
        self.verdicts.close()
        self.directory.write_json(self.directory.ledger, self.accounts())
