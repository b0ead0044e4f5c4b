"""`LanguageRun`: the books of one language run: groups and their verdicts, counters, logs on disk, checkpoints.

Both runners move answers; what they must remember about them is here, and lies on disk as it does for any other run.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from cluster.events import Event
from envs.storage.errors import StoreBusy
from envs.storage.store import Config as StoreConfig
from learners.replay.ledger import ReplayLedger, combined
from pipelines import checkpoint
from pipelines.display import Display, progress
from pipelines.driver.accounts import deaths_by_role, imbalance
from pipelines.driver.lifecycle import Restored
from pipelines.driver.training_clock import TrainingClock
from pipelines.errors import UserError
from pipelines.judging.quarantine import put_in_quarantine, quarantined
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.groups import GroupReport
from pipelines.language.rewards import RewardSet
from pipelines.language.roles import Update
from pipelines.language.status import LanguageStatus
from pipelines.language.success import Success
from pipelines.mirror.mirror import Mirror, NoMirror
from pipelines.observing.logs import log_event
from pipelines.run_directory import RunDirectory
from pipelines.tracking import NoTracker, Tracker
from pipelines.trust.watching import Suspicion, Watch, check_gold
from rewards.monitors.suite import Alarm
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Status, Verdict, to_arrow

LOG = logging.getLogger(__name__)
CAUSES = 20  # different causes of failures that the ledger names


class LanguageRun:
    """One run, from its first group to its report."""

    def __init__(
        self,
        experiment: LanguageExperiment,
        directory: RunDirectory,
        display: Display,
        rewards: RewardSet,
        model: Path | str,
    ) -> None:
        """Empty books.

        Args:
            experiment: what is run.
            directory: where its records go; locked by the caller.
            display: what people see.
            rewards: that judge its answers.
            model: what it begins with.

        Raises:
            UserError: another process owns the verdicts, or they are not what they should be.
        """
        self.experiment, self.directory, self.display = experiment, directory, display
        self.rewards, self.model = rewards, str(model)
        self.tracker: Tracker | NoTracker = NoTracker()
        self.mirror: Mirror | NoMirror = NoMirror()
        self.on_report: list[Callable[[Mapping[str, float]], None]] = []  # told the numbers of each report
        self.status = LanguageStatus()
        self.shares: tuple[ReplayLedger, ...] = ()  # the books of each share of the replay, as they were last told
        self.values: dict[str, dict[str, float | None]] = {part.name: {} for part in rewards.parts}
        self.stopping: str | None = None
        self._asked = self._settled = 0
        self._failures: Counter[str] = Counter()
        self._causes: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        weights = {part.name: part.weight for part in rewards.parts}
        check_gold(experiment.monitors, tuple(weights), bool(weights))
        self.watch = Watch(experiment.monitors, directory, display.say, self.note, self._suspected)
        self._barred = frozenset(quarantined(directory))  # reward versions that are not believed
        self._again: list[int] = []  # groups that nobody plays at the moment, though they were begun
        self._open: dict[str, int] = {}  # answers to be judged, by the first row of their group
        self.clock = TrainingClock()
        self._reported, self._saved = -1e9, time.monotonic()
        try:
            kept = experiment.replay
            store = StoreConfig(fsync=kept.fsync, fsync_interval_s=kept.fsync_interval_s)
            self._verdicts = VerdictStore(directory.verdicts, config=store)
        except StoreBusy:
            raise UserError(f"another process is judging {directory.root}; wait for it, or stop it") from None
        except ValueError as error:
            raise UserError(f"{directory.verdicts} cannot be gone on with: {error}") from None

    # Answers --------------------------------------------------------------------------------------------------------

    def begin_groups(self, count: int) -> list[int]:
        """Numbers of groups to be played now: of those that were lost first, then of new ones."""
        again, self._again = self._again[:count], self._again[count:]
        first = self.status.begun
        if missing := count - len(again):
            self.status.begin(first + missing - 1)
        return [*again, *range(first, first + missing)]

    def lost(self, groups: Sequence[int]) -> None:
        """Groups were lost with their engine: they are to be played again."""
        self.status.lost_groups += len(groups)
        self._again = sorted({*self._again, *groups})

    def give_up(self, group: int) -> None:
        """The rows of a group are gone, and it will not be played again."""
        self.status.under_way.remove(group)
        self.status.given_up += 1

    def awaits(self, report: GroupReport) -> bool:
        """Whether a group was begun and has not been counted as stored."""
        return report.group in self.status.under_way

    def gathered(self, report: GroupReport) -> None:
        """A group was stored; all its answers are to be judged."""
        self.clock.begin()
        self.status.gathered(report)
        self._expect(report)

    def _expect(self, report: GroupReport) -> None:
        questions = len(report.row_ids) * len(self.rewards.parts)
        self._asked += questions
        self._open[report.row_ids[0]] = questions

    def judged(self, reports: Sequence[GroupReport], verdicts: Sequence[Sequence[Verdict]]) -> None:
        """All verdicts on some groups are there, NULL ones included: store them beside the answers.

        Args:
            reports: the groups.
            verdicts: of each reward, one an answer.
        """
        for part, own in zip(self.rewards.parts, verdicts, strict=True):
            self._verdicts.put(to_arrow(own))
            values = {verdict.subject: verdict.value for verdict in own}
            self.values[part.name] |= values
            self.status.judged(part.name, list(values.values()))
            for verdict in own:
                if verdict.status is not Status.OK:
                    self._failures[verdict.status.value] += 1
                    self._causes[verdict.cause] += 1
        self._settled += sum(self._open.pop(report.row_ids[0]) for report in reports)

    def recall(self, reports: Sequence[GroupReport]) -> tuple[list[GroupReport], list[GroupReport]]:
        """Of stored groups, those that have all their verdicts already, and those that have to be judged."""
        # Of all groups at once: each join reads all verdicts that there are.
        rows = pa.array([row for report in reports for row in report.row_ids], pa.string())
        missing: set[str] = set()
        found: dict[str, dict[str, float | None]] = {}
        for part in self.rewards.parts:
            one = self._verdicts.join(rows, part.name, part.version)
            values = [float(v) if ok else None for v, ok in zip(one.values, one.valid, strict=True)]
            found[part.name] = dict(zip(rows.to_pylist(), values, strict=True))
            missing.update(rows.filter(pa.array(one.generations == 0)).to_pylist())
        done, owed = [], []
        for report in reports:
            if not missing.isdisjoint(report.row_ids):
                owed.append(report)
                continue
            done.append(report)
            for name, known in found.items():
                self.values[name].update({row: known[row] for row in report.row_ids})
        return done, owed

    def catch_up(self, reports: Sequence[GroupReport]) -> None:
        """Count, of all stored groups, those that came after the checkpoint; what else was begun is played again."""
        for report in reports:
            self.status.begin(report.group)
            if self.awaits(report):
                self.status.gathered(report)
        self._again = sorted(self.status.under_way)

    def values_of(self, reports: Sequence[GroupReport]) -> dict[str, dict[str, float | None]]:
        """The verdicts on some groups, by reward and row."""
        rows = [row for report in reports for row in report.row_ids]
        barred = {part.name for part in self.rewards.parts if part.version in self._barred}
        return {
            name: {row: None if name in barred else values.get(row) for row in rows}
            for name, values in self.values.items()
        }

    def looked(self, success: Success) -> None:
        """The test split was looked at."""
        self.status.looked(success.share)
        line = {"updates": self.status.updates, "elapsed_s": self.clock.seconds, **success._asdict()}
        self.directory.append_line(self.directory.root / "success.jsonl", line)

    def learnt(self, update: Update) -> None:
        """The learner finished an update."""
        self.clock.begin()
        self.status.learnt(update.metrics)
        self.stopping = self.stopping or self.watch.observe(update.seen, self.status.updates)
        if update.fault:
            self._faults[update.fault] += 1
            self.event(Event(time.time(), "learner", "skipped a step", f"update {self.status.updates}: {update.fault}"))

    def _suspected(self, alarm: Alarm) -> None:
        """A monitor asks for a quarantine: of the reward that weighs most, and is not the one that is held out."""
        paying = [part for part in self.rewards.parts if part.weight and part.name != self.rewards.gold]
        if paying and (part := max(paying, key=lambda one: abs(one.weight))).version not in self._barred:
            found = Suspicion(part.version, f"{part.name}: {alarm.monitor}: {alarm.message}")
            put_in_quarantine(self.directory, found, part.version)
            self._barred |= {part.version}
            self.note("quarantined", str(found))
            self.display.say(str(found))

    # Reporting ------------------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether the run has reached its end, or has been asked to stop."""
        experiment = self.experiment
        return (
            self.stopping is not None
            or self.status.updates >= experiment.updates
            or self.clock.over(experiment.minutes)
            or (experiment.target is not None and self.status.evaluated >= experiment.target)
        )

    @property
    def evaluation_due(self) -> bool:
        """Whether it is time to look at the test split."""
        every = self.experiment.evaluate_every
        # By the interval and not by the update: who looks may be at something else when it comes.
        return bool(every) and self.status.updates // every > self.status.evaluated_at // every

    def report(self, force: bool = False) -> bool:
        """Show the state of the run, and write it down, if it is time; gives whether it was."""
        if not force and time.monotonic() - self._reported < self.experiment.report_every_s:
            return False
        self._reported = time.monotonic()
        self._verdicts.collect()
        self._barred = frozenset(quarantined(self.directory))  # a person may have lifted one
        self.status.elapsed_s = self.clock.seconds
        pending = sum(self._open.values())
        numbers = self.status.summary() | {
            "judge/asked": float(self._asked),
            "judge/ok": float(self._settled - sum(self._failures.values())),
            "judge/failed": float(sum(self._failures.values())),
            "judge/pending": float(pending),
            "queue/questions": float(pending),
            "queue/groups": float(len(self.status.under_way)),
            "ledger/imbalance": float(imbalance(self._asked - self._settled - pending, self.shares)),
            **{f"judge/failed/{status}": float(n) for status, n in self._failures.items()},
            **{f"deaths/{role}": float(n) for role, n in deaths_by_role(self.status.deaths).items()},
            **self.mirror.numbers(),
        }
        numbers["progress"] = progress(numbers, self.experiment.updates, self.experiment.minutes, "updates")
        failures = ", ".join(f"{k} {v}" for k, v in sorted(self._failures.items())) or "none"
        lines = {"rewards": f"{self._settled:,} verdicts, {pending} waiting", "failures": failures}
        if self.status.deaths:
            lines["deaths"] = ", ".join(f"{role} ×{n}" for role, n in sorted(self.status.deaths.items()))
        self.display.show(numbers, lines | self.watch.line | self.mirror.line())
        self.directory.append_line(self.directory.metrics, {"time": time.time(), **numbers})
        for what, why in self.mirror.news():
            self.note(what, why)
            self.display.say(f"{what}: {why}")
        self.tracker.metrics(numbers, self.status.updates)
        for told in self.on_report:
            told(numbers)
        return True

    def event(self, event: Event) -> None:
        """Something happened to a role: write it down and show it."""
        if event.what == "died":
            self.status.deaths[event.role] += 1
        log_event(event)
        self.directory.append_line(self.directory.events, asdict(event))
        if event.what != "started":
            after = "" if event.recovered_s is None else f" after {event.recovered_s:.1f} s"
            self.display.say(f"{event.role} {event.what}{after}: {event.cause}")

    def note(self, what: str, cause: str = "") -> None:
        """Write down an event of the run itself."""
        event = Event(time.time(), "run", what, cause)
        log_event(event)
        self.directory.append_line(self.directory.events, asdict(event))

    def accounts(self) -> dict[str, Any]:
        """The ledger: every group and every verdict accounted for."""
        experience, status = combined(self.shares), self.status
        groups_balanced = status.begun == status.groups + len(status.under_way) + status.given_up
        failures, pending = sum(self._failures.values()), sum(self._open.values())
        verdicts = {
            "asked": self._asked,
            "ok": self._settled - failures,
            "failures": dict(self._failures),
            "pending": pending,
            "in_flight": 0,
            "causes": dict(self._causes.most_common(CAUSES)),
            "balanced": self._asked == self._settled + pending and self._settled >= failures,
        }
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
            "lost_rollouts": status.lost_groups,
            "groups": {
                "begun": status.begun,
                "stored": status.groups,
                "under_way": len(status.under_way),
                "given_up": status.given_up,
                "balanced": groups_balanced,
            },
            "verdicts": verdicts,
            "skipped_steps": dict(self._faults.most_common(CAUSES)),
            "deaths": dict(self.status.deaths),
            "balanced": experience.balanced and verdicts["balanced"] and groups_balanced,
        }

    def mirrored_by(self, mirror: Mirror | NoMirror) -> None:
        """From now on a copy is kept."""
        self.mirror, mirror.copy_verdicts = mirror, self._verdicts.copy_to

    # Checkpoints ----------------------------------------------------------------------------------------------------

    @property
    def checkpoint_due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._saved >= self.experiment.checkpoint.every_s

    def save(self, roles: Mapping[str, Any], frontier: Sequence[int], learnt: Sequence[GroupReport] = ()) -> Path:
        """Write a checkpoint.

        Args:
            roles: state of each role.
            frontier: of each share of the replay, the number of the next draw that the learner has not learnt from.
            learnt: groups that the learner has learnt from since the last one; nobody will ask for their values again.
        """
        self.status.elapsed_s = self.clock.seconds
        tree = {
            "identity": self.experiment.identity(),
            "rewards": self.rewards.version,
            "model": self.model,
            "roles": dict(roles),
            "status": self.status.state_dict(),
            "frontier": list(frontier),
            "watch": self.watch.state_dict(),
            "mlflow_run": self.tracker.run_id,
        }
        path = checkpoint.save(
            self.directory.checkpoints, self.status.updates, tree, keep=self.experiment.checkpoint.keep
        )
        self.directory.write_json(self.directory.ledger, self.accounts())
        self._saved = time.monotonic()
        LOG.info("checkpoint", extra={"path": path, "frontier": list(frontier)})
        for values in self.values.values():
            for row in (row for report in learnt for row in report.row_ids):
                values.pop(row, None)
        return path

    def restore(self) -> Restored:
        """Read the newest whole checkpoint.

        Raises:
            UserError: there is none, or it is of another experiment.
        """
        _, tree, _ = checkpoint.load(self.directory.checkpoints)
        for name, now in (("identity", self.experiment.identity()), ("rewards", self.rewards.version)):
            if tree[name] != now:
                raise UserError(
                    f"{self.directory.root} was run with other settings ({name} {tree[name]}, now {now}): "
                    f"resume without "
                    "overrides that change what is learnt, or start anew"
                )
        self.status.load_state_dict(tree["status"])
        self.clock.go_on_from(self.status.elapsed_s)
        if (saved := tree.get("watch")) is not None:
            self.watch.load_state_dict(saved)
        for version in self._verdicts.versions():  # what is stored is what was asked and answered
            if version.component in self.values:
                self._asked += version.subjects
                self._settled += version.subjects
                self._failures.update({k: n for k, n in version.statuses.items() if k != Status.OK.value})
        return Restored(tree["roles"], tuple(tree["frontier"]), tree["mlflow_run"] or None)

    def owe(self, reports: Sequence[GroupReport]) -> None:
        """Stored groups have to be judged, as `recall` says."""
        for report in reports:
            self._expect(report)

    def close(self) -> None:
        """Close the logs and write the ledger."""
        self._verdicts.collect()
        self._verdicts.close()
        self.directory.write_json(self.directory.ledger, self.accounts())
