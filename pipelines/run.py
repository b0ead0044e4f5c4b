"""`Run`: the books of one run: captions and verdicts, counters, logs on disk, tracking, display, checkpoints.

Both runners move experience; everything that they must remember about it is here, so that a run reports, checkpoints
and resumes in the same way wherever it runs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from cluster.events import Event
from envs.storage.errors import StoreBusy
from envs.trajectory import Fragment
from learners.replay.ledger import ReplayLedger, combined
from pipelines import checkpoint
from pipelines.display import Display, progress
from pipelines.driver.accounts import deaths_by_role, imbalance
from pipelines.driver.lifecycle import Restored
from pipelines.driver.verdict_wait import Waited
from pipelines.errors import UserError
from pipelines.experiment import COMPONENT, Experiment
from pipelines.judging.quarantine import Evidence, canary_watch, put_in_quarantine, quarantined
from pipelines.mirror.mirror import Mirror, NoMirror
from pipelines.observing.logs import log_event
from pipelines.reward_stage import reward_model_for
from pipelines.run_directory import RunDirectory
from pipelines.stages import SECONDS
from pipelines.status import RunStatus
from pipelines.stored.switch import requested_switch
from pipelines.tracking import NoTracker, Tracker
from pipelines.trust.watching import OF_EPISODES, Suspicion, Watch, check_gold, of_episodes
from rewards.annotation.ledger import AnnotationLedger
from rewards.budget import Budget
from rewards.judges.constancy import ConstancyDetector
from rewards.judges.judge import Answer, Question, QuestionKind
from rewards.monitors.suite import Alarm
from rewards.pairs import Config as PairConfig
from rewards.pairs import PairSampler
from rewards.questions import caption_question, judged_ids
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Status, Verdict, to_arrow

LOG = logging.getLogger(__name__)


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
        self.reward_version = experiment.reward_version(judge_fingerprint)
        self.tracker: Tracker | NoTracker = NoTracker()
        self.mirror: Mirror | NoMirror = NoMirror()
        self.on_report: list[Callable[[Mapping[str, float]], None]] = []  # told the numbers of each report
        self.queues: dict[str, float] = {}  # what waits in places that these books do not keep, by name
        self.budget: Budget | None = None  # of the judge, where there is a limit
        self.status = RunStatus()
        self.annotation = self._empty_ledger()
        self.post: Callable[[Question, int], object] = self._post  # how a question goes out; a runner may know better
        self.canaries = canary_watch(experiment)
        self.fallback_judges: set[str] = set()  # fingerprints of who judged when the budget was used up
        self._judge = ""  # fingerprint of who judges
        self._barred = frozenset(quarantined(directory))
        self._forget: Callable[[str], None] = lambda judge: None
        self._anew = False  # whether the reward has become another one
        self._former: list[dict[str, Any] | AnnotationLedger] = []  # books of reward versions that are asked no more
        self._constancy = ConstancyDetector()
        check_gold(experiment.monitors, OF_EPISODES, experiment.judged)
        self.watch = Watch(experiment.monitors, directory, display.say, self.note, self._suspected)
        self._refused: float | None = None  # the switch that was refused last, by its time
        self.pairs = PairSampler(PairConfig(seed=experiment.seed))
        self.shares: tuple[ReplayLedger, ...] = ()  # the books of each share of the replay, as they were last told
        self._remembered: dict[str, Verdict] = {}  # stored after the checkpoint: they are not asked for, or paid, again
        self._accepted: dict[tuple[int, int], int] = {}  # next sequence number by actor and epoch
        self.captions: dict[int, str] = {}
        self.caption_log: list[tuple[int, str]] = []
        self.verdict_log: list[Verdict] = []
        self.caption_frequency: dict[int, int] = {}
        self.reward_model: dict[str, float] = {}
        self._annotated: set[int] = set()  # captions that a verdict with a value is about
        self._settled: set[int] = set()  # captions that any final verdict is about
        self._verdicts = self._own_verdicts() if experiment.judged else None
        self._started = time.monotonic()
        self._elapsed_before = 0.0
        self._reported = -1e9
        self._saved = time.monotonic()
        self.stopping: str | None = None

    def _empty_ledger(self) -> AnnotationLedger:
        return AnnotationLedger(
            self.experiment.annotation.model_copy(update={"seed": self.experiment.seed}),
            component=COMPONENT,
            reward_version=self.reward_version,
            clock=time.monotonic,
            prices=self.experiment.prices,
        )

    def _post(self, question: Question, policy_version: int) -> None:
        self.annotation.ask(question, policy_version)

    def asks_through(
        self, post: Callable[[Question, int], object], forget: Callable[[str], None], fingerprint: str
    ) -> None:
        """From now on questions go out by `post`, to the judge of this fingerprint; `forget` drops what it said."""
        if not self.is_judged_elsewhere:
            self.post = post
        self._forget, self._judge = forget, fingerprint
        self._hold()

    # Experience -----------------------------------------------------------------------------------------------------

    def gathered(self, fragment: Fragment) -> None:
        """A fragment was stored: count it, and ask about its new captions."""
        actor, epoch, sequence = fragment.key
        self._accepted[actor, epoch] = max(self._accepted.get((actor, epoch), 0), sequence + 1)
        self.status.gathered(fragment)
        for ident, times in fragment.caption_steps.items():
            self.caption_frequency[ident] = self.caption_frequency.get(ident, 0) + times
        self._ask(fragment)

    def catch_up(self, fragments: Iterable[Fragment]) -> int:
        """Count what was stored after the checkpoint that this run goes on from; gives how many fragments that were."""
        new = [f for f in fragments if f.key[2] >= self._accepted.get((f.key[0], f.key[1]), 0)]
        for fragment in new:
            self.gathered(fragment)
        return len(new)

    def _ask(self, fragment: Fragment) -> None:
        new = {ident: text for ident, text in fragment.captions.items() if ident not in self.captions}
        self.captions.update(new)
        self.caption_log.extend(new.items())
        reward = self.experiment.reward
        if not reward.judged:
            return
        questions: list[Question] = []
        if reward.source == "ranking":
            self.pairs.observe(new)
            questions = self.pairs.sample(reward.pairs_per_fragment)
        else:
            questions = [caption_question(text) for text in new.values()]
        for question in questions:
            if (verdict := self._remembered.pop(question.subject, None)) is None:
                self.post(question, fragment.policy_version)
                continue
            answer = Answer(Status.OK, verdict.value, tokens=verdict.tokens, scores=verdict.scores)
            recalled = self.annotation.recall(question, answer, verdict.judge_fingerprint, fragment.policy_version)
            self._concluded([recalled] if recalled else [])

    def answered(self, verdicts: Sequence[Verdict]) -> None:
        """Final verdicts arrived: store them beside the experience."""
        if not verdicts:
            return
        assert self._verdicts is not None
        self._verdicts.put(to_arrow(verdicts))
        self._concluded(verdicts)
        for verdict in verdicts:
            asked = Question(verdict.subject, cast(QuestionKind, verdict.subject_kind), (verdict.text,))
            if problem := self._constancy.observe(asked, Answer(verdict.status, verdict.value)):
                self.note("suspicious judge", problem)
                self.display.say(problem)

    def _concluded(self, verdicts: Sequence[Verdict]) -> None:
        """Let verdicts count. What was on its way when the run was switched is stored, and is not of this reward."""
        for verdict in verdicts:
            if verdict.reward_version == self.reward_version and self._believed(verdict):
                self.verdict_log.append(verdict)
                self._settled.update(judged_ids(verdict))
                if verdict.status is Status.OK:
                    self._annotated.update(judged_ids(verdict))

    def _believed(self, verdict: Verdict) -> bool:
        judge = verdict.judge_fingerprint
        return judge not in self._barred and (self.experiment.fallback.counts or judge not in self.fallback_judges)

    def _begin_with_what_is_known(self) -> None:
        """Let the verdicts of this reward version count, and no others."""
        self.verdict_log, self._annotated, self._settled = [], set(), set()
        if self.is_judged_elsewhere and self._verdicts is not None:
            self._concluded(self._verdicts.verdicts(COMPONENT, self.reward_version))
        else:
            self._concluded(list(self.annotation.verdicts.values()))

    def _own_verdicts(self) -> VerdictStore:
        """The run's verdicts; of captions that nobody has seen, none are taken from others.

        Raises:
            UserError: another process owns them, or they are not what they should be.
        """

        def known(kind: str, subjects: pa.Array) -> pa.Array:
            return pa.array([kind != "caption" or int(s) in self.captions for s in subjects.to_pylist()])

        try:
            return VerdictStore(self.directory.verdicts, known=known)
        except StoreBusy:
            raise UserError(f"another process is judging {self.directory.root}; wait for it, or stop it") from None
        except ValueError as error:
            raise UserError(f"{self.directory.verdicts} cannot be gone on with: {error}") from None

    # Whose verdicts count -------------------------------------------------------------------------------------------

    def reward_begins_anew(self) -> bool:
        """Whether the verdicts that count are others than before: the run was switched, or a judge is not believed.

        Whoever holds a reward model begins it anew, with `caption_log` and `verdict_log`.
        """
        anew, self._anew = self._anew, False
        return self._switched() or anew

    def quarantine(self, found: Evidence) -> None:
        """A judge failed its canaries, or a monitor suspects it: it is not believed until a person lifts that."""
        put_in_quarantine(self.directory, found, self.reward_version)
        self._forget(found.judge)
        self.note("quarantined", f"reward version {self.reward_version}: {found}")
        self.display.say(f"reward version {self.reward_version}: {found}")
        self._heed_quarantine()

    def _heed_quarantine(self) -> None:
        """See who is in quarantine now: a person may have lifted one."""
        barred = frozenset(quarantined(self.directory))
        if barred == self._barred:
            return
        for judge in self._barred - barred:
            if self.canaries is not None and self.canaries.quarantine_of(judge) is not None:
                self.canaries.lift(judge)
            self.note("believed again", judge)
            self.display.say(f"judge {judge} is believed again")
        self._barred, self._anew, self._reported = barred, True, -1e9
        self._hold()
        self._begin_with_what_is_known()

    def _hold(self) -> None:
        """A judge in quarantine is not asked, and not paid: its questions wait."""
        self.annotation.held = not self._barred.isdisjoint({self._judge, *self.fallback_judges})

    def _switched(self) -> bool:
        """Go on with another reward version, if `guerdon switch` has asked for one: its verdicts are those that count.

        From now on the run itself asks nothing more, not even what was waiting: what comes new is judged by whoever
        made that version (`guerdon reannotate`).
        """
        if self._verdicts is None:
            return False
        try:
            asked = requested_switch(self.directory)
            if asked is None or asked.time == self._refused or asked.reward_version == self.reward_version:
                self._hear_others()
                return False
            model = reward_model_for(self.experiment.reward)
            if model is None or asked.kind != model.question_kind:
                self._refused = asked.time
                raise UserError(
                    f"reward version {asked.reward_version} judges a {asked.kind}; "
                    f"reward.source={self.experiment.reward.source} learns from another kind: it is left alone"
                )
        except UserError as error:
            self.display.say(str(error))
            return False
        self.reward_version, self.post = asked.reward_version, self._judged_elsewhere
        dropped = self.annotation.close()
        if self.annotation.ledger().asked:
            self._former.append(self.annotation)
        self.annotation = self._empty_ledger()
        self._begin_with_what_is_known()
        known = f"{len(self.verdict_log):,} verdicts"
        self.note("switched", f"to reward version {self.reward_version}: {known}, {dropped:,} questions are not asked")
        self.display.say(f"goes on with reward version {self.reward_version}, {known}")
        return True

    @property
    def is_judged_elsewhere(self) -> bool:
        """Whether the run was switched to a reward version that others judge."""
        return self.post == self._judged_elsewhere

    def _judged_elsewhere(self, question: Question, policy_version: int) -> None:
        """Nothing is asked: others judge."""

    def _hear_others(self) -> None:
        """After a switch: take in what others have judged since; the reward model goes on with it."""
        if not self.is_judged_elsewhere or self._verdicts is None:
            return
        known = {verdict.subject for verdict in self.verdict_log}
        if any(v.reward_version == self.reward_version and v.subjects > len(known) for v in self._verdicts.versions()):
            found = self._verdicts.verdicts(COMPONENT, self.reward_version)
            self._concluded([verdict for verdict in found if verdict.subject not in known])

    def reward_trained(self, metrics: dict[str, float], sha256: str) -> None:
        """The trainer took a step; where it published another reward model, keep its lineage where runs are tracked."""
        self.status.spent(metrics)
        self.reward_model = {name: value for name, value in metrics.items() if not name.startswith(SECONDS)}
        if not sha256:
            return
        self.tracker.tags(
            {
                "reward_version": self.reward_version,
                "reward_model_version": f"{self.reward_model.get('version', 0):.0f}",
                "reward_model_sha256": sha256,
                "reward_model_labels": f"{self.reward_model.get('labels', len(self.verdict_log)):.0f}",
            }
        )

    def annotated(self, fragment: Fragment) -> tuple[int, int]:
        """Steps of a fragment with a caption, and those of them whose caption has been judged by now."""
        steps = fragment.caption_steps
        return sum(steps.values()), sum(times for ident, times in steps.items() if ident in self._annotated)

    def unsettled(self, fragments: Iterable[Fragment]) -> int:
        """Captions of fragments on which a final verdict may still come; none while the judge is in quarantine."""
        if self.annotation.held:
            return 0
        return len({ident for fragment in fragments for ident in fragment.caption_steps} - self._settled)

    def waited(self, found: Waited) -> None:
        """A batch has waited for verdicts, with or without success."""
        self.status.verdict_wait_s += found.seconds
        self.status.verdict_waits_over += found.missing > 0

    def learnt(self, metrics: Mapping[str, float], fragments: Sequence[Fragment]) -> None:
        """The learner finished an update on these fragments."""
        counts = [self.annotated(fragment) for fragment in fragments]
        shares = {"captioned": sum(c for c, _ in counts), "annotated": sum(a for _, a in counts)}
        self.status.learnt({**metrics, **shares})
        seen = of_episodes(metrics, fragments, self.experiment.monitors.gold or "return")
        self.stopping = self.stopping or self.watch.observe(seen, self.status.updates)

    def _suspected(self, alarm: Alarm) -> None:
        """A monitor asks for the quarantine of who judges."""
        if self._judge and self._judge not in self._barred:
            self.quarantine(Suspicion(self._judge, f"{alarm.monitor}: {alarm.message}"))

    # Reporting ------------------------------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether the run has reached its end, or has been asked to stop."""
        minutes = self.experiment.minutes
        return (
            self.stopping is not None
            or self.status.learnt_frames >= self.experiment.frames
            or (minutes is not None and self.elapsed_s >= 60 * minutes)
        )

    @property
    def elapsed_s(self) -> float:
        """Seconds of running, over all resumes."""
        return self._elapsed_before + time.monotonic() - self._started

    def report(self, force: bool = False) -> bool:
        """Show the state of the run, and write it down, if it is time; gives whether it was."""
        if not force and time.monotonic() - self._reported < self.experiment.report_every_s:
            return False
        self._reported = time.monotonic()
        if self._verdicts is not None:
            self._verdicts.collect()
            self._heed_quarantine()
        self.status.elapsed_s = self.elapsed_s
        books = self.annotation.ledger()
        numbers = self.status.summary() | {
            "judge/asked": books.asked,
            "judge/ok": books.ok,
            "judge/failed": sum(books.failures.values()),
            "judge/pending": books.pending + books.in_flight,
            "judge/lag_s": books.lag_median_s,
            "judge/requests": books.batches,
            "judge/tokens": books.tokens,
            "judge/cost": books.cost,
            "judge/quarantined": len(self._barred),
            "ledger/imbalance": imbalance(books.imbalance, self.shares),
            "queue/questions": books.pending,
            "queue/in_flight": books.in_flight,
            **{f"queue/{name}": value for name, value in self.queues.items()},
            **{f"judge/failed/{status}": n for status, n in books.failures.items()},
            **{f"deaths/{role}": n for role, n in deaths_by_role(self.status.deaths).items()},
            **({} if self.budget is None else {f"budget/left/{of}": share for of, share in self.budget.left().items()}),
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

    def _lines(self) -> dict[str, str]:
        books = self.annotation.ledger()
        failures = ", ".join(f"{k} {v}" for k, v in books.failures.items()) or "none"
        lines = {
            "judge": f"{books.batches} requests, {books.ok} verdicts, {books.pending + books.in_flight} waiting"
            + ("" if books.breaker == "closed" else f" (circuit {books.breaker})"),
            "label lag": f"{books.lag_median_s:.2f} s median, {books.lag_p95_s:.2f} s at 95 %",
            "failures": failures,
        }
        if by_fallback := sum(n for judge, n in books.judges.items() if judge in self.fallback_judges):
            lines["fallback"] = f"{by_fallback} of the verdicts"
        if self.experiment.verdict_wait_s:
            over = self.status.verdict_waits_over
            lines["waits for verdicts"] = f"{self.status.verdict_wait_s:.1f} s, {over} batches went on without all"
        if self._barred:
            lines["quarantine"] = f"not believed: {', '.join(sorted(self._barred))}"
        lines |= self.watch.line
        if self.status.frames:
            lines["asked"] = f"{100 * books.asked / self.status.frames:.3f} % of observations"
        if self.status.deaths:
            lines["deaths"] = ", ".join(f"{role} ×{n}" for role, n in sorted(self.status.deaths.items()))
        if not self.experiment.reward.judged:
            lines = {k: v for k, v in lines.items() if k in ("deaths", "alarms")}
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
        books, experience = self.annotation.ledger(), combined(self.shares)
        former = [_former_books(one) for one in self._former]
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
            "verdicts": {**asdict(books), "balanced": books.balanced},
            "verdict_waits": {"seconds": self.status.verdict_wait_s, "went_on_without": self.status.verdict_waits_over},
            "former_verdicts": former,
            "fallback_judges": sorted(self.fallback_judges),
            "canaries": {} if self.canaries is None else self.canaries.report(),
            "quarantined": sorted(self._barred),
            "deaths": dict(self.status.deaths),
            "balanced": experience.balanced and books.balanced and all(one["balanced"] for one in former),
        }

    def mirrored_by(self, mirror: Mirror | NoMirror) -> None:
        """From now on a copy is kept."""
        self.mirror = mirror
        if self._verdicts is not None:
            mirror.copy_verdicts = self._verdicts.copy_to

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
        self.status.elapsed_s = self.elapsed_s
        tree = {
            "identity": self.experiment.identity(),
            "reward_version": self.reward_version,
            "roles": dict(roles),
            "status": self.status.state_dict(),
            "annotation": self.annotation.state_dict(),
            "former": [_former_books(one) for one in self._former],
            "fallback_judges": sorted(self.fallback_judges),
            "canaries": None if self.canaries is None else self.canaries.state_dict(),
            "barred": sorted(self._barred),
            "watch": self.watch.state_dict(),
            "pairs": self.pairs.state_dict(),
            "frontier": list(frontier),
            "accepted": [[*writer, following] for writer, following in self._accepted.items()],
            "captions": self.caption_log,
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
        if tree["reward_version"] != self.reward_version:  # it had been switched
            self.reward_version, self.post = tree["reward_version"], self._judged_elsewhere
            self.annotation = self._empty_ledger()
        self.status.load_state_dict(tree["status"])
        self._elapsed_before = self.status.elapsed_s
        self.annotation.load_state_dict(tree["annotation"])
        self.pairs.load_state_dict(tree["pairs"])
        self.caption_log = [(int(i), str(t)) for i, t in tree["captions"]]
        self.captions = dict(self.caption_log)
        self.caption_frequency = dict(tree["caption_frequency"])
        self._former = list(tree.get("former", []))
        self.fallback_judges = set(tree.get("fallback_judges", []))
        if self.canaries is not None and (saved := tree.get("canaries")) is not None:
            self.canaries.load_state_dict(saved)
            for judge in self.canaries.report():
                if self.canaries.quarantine_of(judge) is not None and judge not in self._barred:
                    self.canaries.lift(judge)  # by a person, since it was saved
        if (saved := tree.get("watch")) is not None:
            self.watch.load_state_dict(saved)
        self._anew = self._barred != frozenset(tree.get("barred", []))
        self._begin_with_what_is_known()
        self._accepted = {(actor, epoch): following for actor, epoch, following in tree["accepted"]}
        if self._verdicts is not None:
            stored = self._verdicts.verdicts(COMPONENT, self.reward_version)
            known = self.annotation.verdicts
            self._remembered = {v.subject: v for v in stored if v.status is Status.OK and v.subject not in known}
        return Restored(tree["roles"], tuple(tree["frontier"]), tree["mlflow_run"] or None)

    def close(self) -> None:
        """Close the logs and write the ledger."""
        if self._verdicts is not None:
            self._verdicts.collect()
            self._verdicts.close()
        self.directory.write_json(self.directory.ledger, self.accounts())


def _former_books(found: dict[str, Any] | AnnotationLedger) -> dict[str, Any]:
    """The books of a reward version that is asked no more; what a dead process had asked counts as dropped."""
    if isinstance(found, AnnotationLedger):
        books = found.ledger()
        return {"reward_version": found.reward_version, **asdict(books), "balanced": books.balanced}
    return {**found, "in_flight": 0, "dropped": found["dropped"] + found["in_flight"]}
