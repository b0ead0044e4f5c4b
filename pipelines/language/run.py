"""`LanguageRun`: the books of one language run: groups and their verdicts, counters, logs on disk, checkpoints.

Both runners move answers; what they must remember about them is here, and lies on disk as it does for any other run.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from cluster.events import Event
from envs.storage.errors import StoreBusy
from envs.storage.store import Config as StoreConfig
from pipelines.display import LANGUAGE, Display
from pipelines.driver.accounts import experience, imbalance
from pipelines.driver.books import Books
from pipelines.errors import UserError
from pipelines.judging.quarantine import put_in_quarantine, quarantined
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.groups import GroupReport
from pipelines.language.rewards import RewardSet
from pipelines.language.roles import Update
from pipelines.language.status import LanguageStatus
from pipelines.language.success import Success
from pipelines.mirror.mirror import Mirror, NoMirror
from pipelines.run_directory import RunDirectory
from pipelines.trust.watching import Suspicion, check_gold
from rewards.monitors.suite import Alarm
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Status, Verdict, to_arrow

CAUSES = 20  # different causes of failures that the ledger names


class LanguageRun(Books):
    """One run, from its first group to its report."""

    subject = LANGUAGE
    experiment: LanguageExperiment
    status: LanguageStatus

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
        weights = {part.name: part.weight for part in rewards.parts}
        check_gold(experiment.monitors, tuple(weights), bool(weights))
        super().__init__(experiment, directory, display, LanguageStatus())
        self.rewards, self.model = rewards, str(model)
        self.values: dict[str, dict[str, float | None]] = {part.name: {} for part in rewards.parts}
        self._asked = self._settled = 0
        self._failures: Counter[str] = Counter()
        self._causes: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._barred = frozenset(quarantined(directory))  # reward versions that are not believed
        self._again: list[int] = []  # groups that nobody plays at the moment, though they were begun
        self._open: dict[str, int] = {}  # answers to be judged, by the first row of their group
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
        """Whether the run has reached its end or its target, or has been asked to stop."""
        target = self.experiment.target
        return super().done or (target is not None and self.status.evaluated >= target)

    @property
    def evaluation_due(self) -> bool:
        """Whether it is time to look at the test split."""
        every = self.experiment.evaluate_every
        # By the interval and not by the update: who looks may be at something else when it comes.
        return bool(every) and self.status.updates // every > self.status.evaluated_at // every

    def _look_around(self, ended: bool) -> None:
        self._verdicts.collect()
        self._barred = frozenset(quarantined(self.directory))  # a person may have lifted one

    def _numbers(self) -> dict[str, float]:
        failed, pending = sum(self._failures.values()), sum(self._open.values())
        return {
            "judge/asked": float(self._asked),
            "judge/ok": float(self._settled - failed),
            "judge/failed": float(failed),
            "judge/pending": float(pending),
            "queue/questions": float(pending),
            "queue/groups": float(len(self.status.under_way)),
            "ledger/imbalance": float(imbalance(self._asked - self._settled - pending, self.shares)),
            **{f"judge/failed/{status}": float(n) for status, n in self._failures.items()},
        }

    def _lines(self) -> dict[str, str]:
        failures = ", ".join(f"{k} {v}" for k, v in sorted(self._failures.items())) or "none"
        asked = f"{self._settled:,} verdicts, {sum(self._open.values())} waiting"
        return {"rewards": asked, "failures": failures} | self._deaths_line() | self.watch.line

    def accounts(self) -> dict[str, Any]:
        """The ledger: every group and every verdict accounted for."""
        stored, status = experience(self.shares), self.status
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
            "experience": stored,
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
            "balanced": stored["balanced"] and verdicts["balanced"] and groups_balanced,
        }

    # Checkpoints ----------------------------------------------------------------------------------------------------

    def save(self, roles: Mapping[str, Any], frontier: Sequence[int], learnt: Sequence[GroupReport] = ()) -> Path:
        """Write a checkpoint.

        Args:
            roles: state of each role.
            frontier: of each share of the replay, the number of the next draw that the learner has not learnt from.
            learnt: groups that the learner has learnt from since the last one; nobody will ask for their values again.
        """
        path = super().save(roles, frontier)
        for values in self.values.values():
            for row in (row for report in learnt for row in report.row_ids):
                values.pop(row, None)
        return path

    def _identities(self) -> dict[str, str]:
        return super()._identities() | {"rewards": self.rewards.version}

    def _tree(self) -> dict[str, Any]:
        return {"model": self.model}

    def _take(self, tree: Mapping[str, Any]) -> None:
        for version in self._verdicts.versions():  # what is stored is what was asked and answered
            if version.component in self.values:
                self._asked += version.subjects
                self._settled += version.subjects
                self._failures.update({k: n for k, n in version.statuses.items() if k != Status.OK.value})

    def owe(self, reports: Sequence[GroupReport]) -> None:
        """Stored groups have to be judged, as `recall` says."""
        for report in reports:
            self._expect(report)

    # Ends -----------------------------------------------------------------------------------------------------------

    def mirrored_by(self, mirror: Mirror | NoMirror) -> None:
        """See `Books.mirrored_by`."""
        super().mirrored_by(mirror)
        mirror.copy_verdicts = self._verdicts.copy_to

    def _close_verdicts(self) -> None:
        self._verdicts.collect()
        self._verdicts.close()
