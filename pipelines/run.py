"""`Run`: the books of one run: captions and verdicts, counters, logs on disk, tracking, display, checkpoints.

Both runners move experience; everything that they must remember about it is here, so that a run reports, checkpoints
and resumes in the same way wherever it runs.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from cluster.supervision import Event
from envs.trajectory import Fragment
from learners import replay as replays
from pipelines import checkpoint
from pipelines.display import Display
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.record_log import RecordLog
from pipelines.run_directory import RunDirectory
from pipelines.status import RunStatus
from pipelines.tracking import NoTracker, Tracker
from rewards.annotation import AnnotationLedger
from rewards.judges.judge import Question
from rewards.pairs import Config as PairConfig
from rewards.pairs import PairSampler
from rewards.questions import caption_question
from rewards.verdicts import Status, Verdict, to_arrow


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
        self.status = RunStatus()
        self.annotation = AnnotationLedger(
            experiment.annotation.model_copy(update={"seed": experiment.seed}),
            component="intrinsic",
            reward_version=self.reward_version,
            clock=time.monotonic,
        )
        self.pairs = PairSampler(PairConfig(seed=experiment.seed))
        self.replay = replays.Replay(replays.Config(max_staleness=experiment.max_staleness))
        self.captions: dict[int, str] = {}
        self.caption_log: list[tuple[int, str]] = []
        self.verdict_log: list[Verdict] = []
        self.caption_frequency: dict[int, int] = {}
        self.reward_model: dict[str, float] = {}
        self._pair_members: set[int] = set()
        self._verdicts = RecordLog(directory.verdicts)
        self._experience = RecordLog(
            directory.experience, segment_bytes=4 * 2**20, keep_bytes=experiment.record_mb * 2**20
        )
        self._started = time.monotonic()
        self._elapsed_before = 0.0
        self._reported = -1e9
        self._saved = time.monotonic()
        self.stopping: str | None = None

    # Experience -----------------------------------------------------------------------------------------------------

    def gathered(self, fragment: Fragment, rows: pa.RecordBatch | None) -> None:
        """A fragment arrived: count it, ask about its new captions, record its first environment if rows are given."""
        self.status.gathered(fragment)
        for ident, times in fragment.caption_steps.items():
            self.caption_frequency[ident] = self.caption_frequency.get(ident, 0) + times
        self._ask(fragment)
        if rows is not None and self.experiment.record_mb:
            self._experience.append(rows.filter(pc.equal(rows.column("env_index"), 0)))

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
            self.annotation.ask(question, fragment.policy_version)

    def answered(self, verdicts: Sequence[Verdict]) -> None:
        """Final verdicts arrived: store them beside the experience."""
        if not verdicts:
            return
        self._verdicts.append(to_arrow(verdicts))
        self.verdict_log.extend(verdicts)
        for verdict in verdicts:
            if verdict.subject_kind == "pair" and verdict.status is Status.OK:
                self._pair_members.update(question_ids(verdict))

    def reward_trained(self, metrics: dict[str, float], sha256: str) -> None:
        """The trainer took a step; where it published another reward model, keep its lineage where runs are tracked."""
        self.reward_model = metrics
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
        verdicts, members = self.annotation.verdicts, self._pair_members
        captioned = annotated = 0
        for ident, times in fragment.caption_steps.items():
            captioned += times
            verdict = verdicts.get(str(ident))
            if ident in members or (verdict is not None and verdict.status is Status.OK):
                annotated += times
        return captioned, annotated

    def learnt(self, metrics: Mapping[str, float], fragments: Sequence[Fragment]) -> None:
        """The learner finished an update on these fragments."""
        counts = [self.annotated(fragment) for fragment in fragments]
        shares = {"captioned": sum(c for c, _ in counts), "annotated": sum(a for _, a in counts)}
        self.status.learnt({**metrics, **shares})

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

    def report(self, force: bool = False) -> None:
        """Show the state of the run, and write it down, if it is time."""
        if not force and time.monotonic() - self._reported < self.experiment.report_every_s:
            return
        self._reported = time.monotonic()
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
            **{f"reward_model/{k}": v for k, v in self.reward_model.items()},
        }
        numbers = {k: float(v) for k, v in numbers.items() if v == v and abs(v) != float("inf")}
        self.display.show(numbers, self._lines())
        self.directory.append_line(self.directory.metrics, {"time": time.time(), **numbers})
        self.tracker.metrics(numbers, self.status.learnt_frames)

    def _lines(self) -> dict[str, str]:
        books = self.annotation.ledger()
        failures = ", ".join(f"{k} {v}" for k, v in books.failures.items()) or "none"
        lines = {
            "judge": f"{books.batches} requests, {books.ok} verdicts, {books.pending + books.in_flight} waiting"
            + ("" if books.breaker == "closed" else f" (circuit {books.breaker})"),
            "label lag": f"{books.lag_median_s:.2f} s median, {books.lag_p95_s:.2f} s at 95 %",
            "failures": failures,
        }
        if self.status.frames:
            lines["asked"] = f"{100 * books.asked / self.status.frames:.3f} % of observations"
        if self.status.deaths:
            lines["deaths"] = ", ".join(f"{role} ×{n}" for role, n in sorted(self.status.deaths.items()))
        if not self.experiment.reward.judged:
            lines = {k: v for k, v in lines.items() if k == "deaths"}
        return lines

    def event(self, event: Event) -> None:
        """Something happened to a role: write it down and show it."""
        if event.what == "died":
            self.status.deaths[event.role] += 1
        self.directory.append_line(self.directory.events, asdict(event))
        if event.what == "started":
            return
        after = "" if event.recovered_s is None else f" after {event.recovered_s:.1f} s"
        self.display.say(f"{event.role} {event.what}{after}: {event.cause}")

    def note(self, what: str, cause: str = "") -> None:
        """Write down an event of the run itself."""
        self.directory.append_line(self.directory.events, asdict(Event(time.time(), "run", what, cause)))

    def accounts(self) -> dict[str, Any]:
        """The ledger: every fragment and every question accounted for."""
        books, experience = self.annotation.ledger(), self.replay.ledger()
        return {
            "experience": {**asdict(experience), "balanced": experience.balanced},
            "lost_rollouts": self.status.lost_fragments,
            "verdicts": {**asdict(books), "balanced": books.balanced},
            "deaths": dict(self.status.deaths),
            "balanced": experience.balanced and books.balanced,
        }

    # Checkpoints ----------------------------------------------------------------------------------------------------

    @property
    def checkpoint_due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self._saved >= self.experiment.checkpoint.every_s

    def save(self, roles: Mapping[str, Any], waiting: Sequence[pa.RecordBatch], fragments: Sequence[Fragment]) -> Path:
        """Write a checkpoint.

        Args:
            roles: state of each role.
            waiting: rows in the replay that were not learnt from yet, oldest first.
            fragments: what their actors said of them.
        """
        self.status.elapsed_s = self.elapsed_s
        tree = {
            "identity": self.experiment.identity(),
            "roles": dict(roles),
            "status": self.status.state_dict(),
            "annotation": self.annotation.state_dict(),
            "pairs": self.pairs.state_dict(),
            "pair_members": sorted(self._pair_members),
            "replay": self.replay.state_dict(),
            "waiting": [asdict(fragment) for fragment in fragments],
            "captions": self.caption_log,
            "caption_frequency": self.caption_frequency,
            "mlflow_run": self.tracker.run_id,
        }
        sink = pa.BufferOutputStream()
        if waiting:
            with pa.ipc.new_stream(sink, waiting[0].schema) as writer:
                for batch in waiting:
                    writer.write_batch(batch)
        path = checkpoint.save(
            self.directory.checkpoints,
            self.status.learnt_frames,
            tree,
            {"waiting.arrows": sink.getvalue().to_pybytes()} if waiting else None,
            self.experiment.checkpoint.keep,
        )
        self.directory.write_json(self.directory.ledger, self.accounts())
        self._saved = time.monotonic()
        return path

    def restore(self) -> tuple[dict[str, Any], list[tuple[Fragment, pa.RecordBatch]], str | None]:
        """Read the newest whole checkpoint: role states, waiting experience, and the MLflow run to go on with.

        Raises:
            UserError: there is none, or it is of another experiment.
        """
        _, tree, path = checkpoint.load(self.directory.checkpoints)
        if tree["identity"] != self.experiment.identity():
            raise UserError(
                f"{self.directory.root} was run with another configuration (identity {tree['identity']}, now "
                f"{self.experiment.identity()}): resume without overrides that change what is learnt, or start anew"
            )
        self.status.load_state_dict(tree["status"])
        self._elapsed_before = self.status.elapsed_s
        self.annotation.load_state_dict(tree["annotation"])
        self.pairs.load_state_dict(tree["pairs"])
        self._pair_members = set(tree["pair_members"])
        self.caption_log = [(int(i), str(t)) for i, t in tree["captions"]]
        self.captions = dict(self.caption_log)
        self.caption_frequency = dict(tree["caption_frequency"])
        self.verdict_log = list(self.annotation.verdicts.values())
        rows: list[pa.RecordBatch] = []
        if tree["waiting"]:
            rows = list(pa.ipc.open_stream((path / "waiting.arrows").read_bytes()))
        waiting = [(_fragment(raw), batch) for raw, batch in zip(tree["waiting"], rows, strict=True)]
        self.replay.load_state_dict(tree["replay"], waiting)
        return tree["roles"], waiting, tree["mlflow_run"] or None

    def close(self) -> None:
        """Close the logs and write the ledger."""
        self._verdicts.close()
        self._experience.close()
        self.directory.write_json(self.directory.ledger, self.accounts())


def question_ids(verdict: Verdict) -> list[int]:
    """Ids of the captions that a verdict is about."""
    from envs.captions import caption_id
    from rewards.questions import judged_texts

    return [caption_id(text) for text in judged_texts(verdict)]


def _fragment(raw: Mapping[str, Any]) -> Fragment:
    from envs.trajectory import EpisodeEnd

    return Fragment(**{**raw, "key": tuple(raw["key"]), "episodes": [EpisodeEnd(**e) for e in raw["episodes"]]})


def write_config(experiment: Experiment, directory: RunDirectory) -> None:
    """Write the resolved experiment, at once or not at all: without it a run is lost."""
    temporary = directory.config.with_suffix(".tmp")
    temporary.write_text(yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False))
    os.replace(temporary, directory.config)


@contextmanager
def graceful_stop(run: Run) -> Iterator[None]:
    """SIGTERM and Ctrl-C ask the run to save and stop; a second one is obeyed at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: Any) -> None:
        if run.stopping is not None:
            raise KeyboardInterrupt
        run.stopping = signal.Signals(number).name

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
