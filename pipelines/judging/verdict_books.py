"""`VerdictBooks`: the captions of a run, what is asked about them, what was answered, and whose answers count.

A verdict counts where it is of the run's reward version and its judge is believed. Both can change while a run goes on:
`guerdon switch` gives it another reward version, canaries and monitors put a judge into quarantine, and people take it
out again. What was stored stays as it is; who holds a reward model is told to begin it anew with what counts now.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import pyarrow as pa

from envs.storage.errors import StoreBusy
from envs.trajectory import Fragment
from pipelines.errors import UserError
from pipelines.experiment import COMPONENT, Experiment
from pipelines.growing import Growing, pairs, rows_of
from pipelines.judging.belief import Belief
from pipelines.judging.quarantine import Evidence
from pipelines.mirror.mirror import Mirror, NoMirror
from pipelines.reward_stage import reward_model_for
from pipelines.run_directory import RunDirectory
from pipelines.stored.switch import requested_switch
from rewards.annotation.ledger import AnnotationLedger
from rewards.annotation.silence import silence
from rewards.budget import Budget
from rewards.judges.constancy import ConstancyDetector
from rewards.judges.judge import Answer, Question, QuestionKind
from rewards.pairs import Config as PairConfig
from rewards.pairs import PairSampler
from rewards.questions import caption_question, judged_ids
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Status, Verdict, to_arrow


class VerdictBooks:
    """What a run knows from its judges.

    Attributes:
        reward_version: of the verdicts that count.
        annotation: what was asked, and what became of it.
        post: how a question goes out; a runner may know better than the ledger.
        budget: of the judge, where there is a limit.
        belief: whose verdicts count.
        captions: text by id.
        caption_log: the same, in the order in which they came.
        counted: the verdicts that count, in the order in which they came.
    """

    def __init__(
        self,
        experiment: Experiment,
        directory: RunDirectory,
        judge_fingerprint: str,
        note: Callable[[str, str], None],
        say: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        """Empty books, over the verdicts that the directory has.

        Args:
            experiment: what is run.
            directory: of the run; locked by the caller.
            judge_fingerprint: of the judge, or empty.
            note: writes down an event and its cause.
            say: tells people.
            changed: is called when others are believed than before.

        Raises:
            UserError: another process owns the verdicts, or they are not what they should be.
        """
        self.reward_version = experiment.reward_version(judge_fingerprint)
        self.post: Callable[[Question, int], object] = self._post
        self.budget: Budget | None = None
        self.belief = Belief(experiment, directory, note, say, self._believed_others)
        self.captions: dict[int, str] = {}
        self.caption_log: list[tuple[int, str]] = []
        self.counted: list[Verdict] = []
        self._experiment, self._directory = experiment, directory
        self._note, self._say, self._changed = note, say, changed
        self.annotation = self._empty_ledger()
        self._anew = False  # whether the reward has become another one
        self._refused: float | None = None  # the switch that was refused last, by its time
        self._former: list[dict[str, Any] | AnnotationLedger] = []  # books of reward versions that are asked no more
        self._constancy = ConstancyDetector()
        self._silent = False  # whether people were told that the judge says next to nothing
        self._pairs = PairSampler(PairConfig(seed=experiment.seed))
        self._remembered: dict[str, Verdict] = {}  # stored after the checkpoint: they are not asked for, or paid, again
        self._annotated: set[int] = set()  # captions that a verdict with a value is about
        self._settled: set[int] = set()  # captions that any final verdict is about
        self._packed_captions = Growing(pairs)
        self._stored = self._own_verdicts() if experiment.judged else None

    def _empty_ledger(self) -> AnnotationLedger:
        self._packed_verdicts: Growing[Verdict] = Growing(to_arrow)
        return AnnotationLedger(
            self._experiment.annotation.model_copy(update={"seed": self._experiment.seed}),
            component=COMPONENT,
            reward_version=self.reward_version,
            clock=time.monotonic,
            prices=self._experiment.prices,
        )

    def _own_verdicts(self) -> VerdictStore:
        """The run's verdicts; of captions that nobody has seen, none are taken from others."""

        def known(kind: str, subjects: pa.Array) -> pa.Array:
            return pa.array([kind != "caption" or int(s) in self.captions for s in subjects.to_pylist()])

        try:
            return VerdictStore(self._directory.verdicts, known=known)
        except StoreBusy:
            raise UserError(f"another process is judging {self._directory.root}; wait for it, or stop it") from None
        except ValueError as error:
            raise UserError(f"{self._directory.verdicts} cannot be gone on with: {error}") from None

    # Questions and answers ------------------------------------------------------------------------------------------

    def _post(self, question: Question, policy_version: int) -> None:
        self.annotation.ask(question, policy_version)

    def asks_through(
        self, post: Callable[[Question, int], object], forget: Callable[[str], None], fingerprint: str
    ) -> None:
        """From now on questions go out by `post`, to the judge of this fingerprint; `forget` drops what it said."""
        if not self.is_judged_elsewhere:
            self.post = post
        self.belief.judged_by(fingerprint, forget)
        self._hold()

    def ask(self, fragment: Fragment) -> None:
        """Take in a fragment's captions, and ask about the new ones."""
        new = {ident: text for ident, text in fragment.captions.items() if ident not in self.captions}
        self.captions.update(new)
        self.caption_log.extend(new.items())
        reward = self._experiment.reward
        if not reward.judged:
            return
        questions: list[Question] = []
        if reward.source == "ranking":
            self._pairs.observe(new)
            questions = self._pairs.sample(reward.pairs_per_fragment)
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
        assert self._stored is not None
        self._stored.put(to_arrow(verdicts))
        self._concluded(verdicts)
        for verdict in verdicts:
            asked = Question(verdict.subject, cast(QuestionKind, verdict.subject_kind), (verdict.text,))
            if problem := self._constancy.observe(asked, Answer(verdict.status, verdict.value)):
                self._suspect(problem)

    def _suspect(self, problem: str) -> None:
        self._note("suspicious judge", problem)
        self._say(problem)

    def annotated(self, fragment: Fragment) -> tuple[int, int]:
        """Steps of a fragment with a caption, and those of them whose caption has been judged by now."""
        steps = fragment.caption_steps
        return sum(steps.values()), sum(times for ident, times in steps.items() if ident in self._annotated)

    def unsettled(self, fragments: Iterable[Fragment]) -> int:
        """Captions of fragments on which a final verdict may still come; none while the judge is in quarantine."""
        if self.annotation.held:
            return 0
        return len({ident for fragment in fragments for ident in fragment.caption_steps} - self._settled)

    # Whose verdicts count -------------------------------------------------------------------------------------------

    def _concluded(self, verdicts: Sequence[Verdict]) -> None:
        """Let verdicts count. What was on its way when the run was switched is stored, and is not of this reward."""
        for verdict in verdicts:
            if verdict.reward_version == self.reward_version and self.belief.believes(verdict.judge_fingerprint):
                self.counted.append(verdict)
                ids = judged_ids(verdict)
                self._settled.update(ids)
                if verdict.status is Status.OK:
                    self._annotated.update(ids)

    def _begin_with_what_is_known(self) -> None:
        """Let the verdicts of this reward version count, and no others."""
        self.counted, self._annotated, self._settled = [], set(), set()
        if self.is_judged_elsewhere and self._stored is not None:
            self._concluded(self._stored.verdicts(COMPONENT, self.reward_version))
        else:
            self._concluded(list(self.annotation.verdicts.values()))

    def reward_begins_anew(self) -> bool:
        """Whether the verdicts that count are others than before: the run was switched, or a judge is not believed.

        Whoever holds a reward model begins it anew, with `caption_log` and `counted`.
        """
        anew, self._anew = self._anew, False
        return self._switched() or anew

    def suspected(self, found: Callable[[str], Evidence]) -> None:
        """Something speaks against whoever judges now, if anybody is still believed; `found` puts it into words."""
        if self.belief.judge:
            self.quarantine(found(self.belief.judge))

    def quarantine(self, found: Evidence) -> None:
        """A judge failed its canaries, or a monitor suspects it: it is not believed until a person lifts that."""
        self.belief.quarantine(found, self.reward_version)

    def _believed_others(self) -> None:
        self._anew = True
        self._changed()
        self._hold()
        self._begin_with_what_is_known()

    def look_around(self, ended: bool = False) -> None:
        """Take in what others have left since: their verdicts, and who is in quarantine; see that the judge speaks.

        Args:
            ended: whether nothing more will come.
        """
        if self._stored is not None:
            self._stored.collect()
            self.belief.look()
        if not self._silent and (problem := silence(self.annotation.ledger(), ended)) is not None:
            self._silent = True
            self._suspect(problem)

    def _hold(self) -> None:
        """A judge in quarantine is not asked, and not paid: its questions wait."""
        self.annotation.held = self.belief.forbids_asking

    def _switched(self) -> bool:
        """Go on with another reward version, if `guerdon switch` has asked for one: its verdicts are those that count.

        From now on the run itself asks nothing more, not even what was waiting: what comes new is judged by whoever
        made that version (`guerdon reannotate`).
        """
        if self._stored is None:
            return False
        try:
            asked = requested_switch(self._directory)
            if asked is None or asked.time == self._refused or asked.reward_version == self.reward_version:
                self._hear_others()
                return False
            source = self._experiment.reward.source
            model = reward_model_for(self._experiment.reward)
            if model is None or asked.kind != model.question_kind:
                self._refused = asked.time
                raise UserError(
                    f"reward version {asked.reward_version} judges a {asked.kind}; reward.source={source} learns from "
                    "another kind: it is left alone"
                )
        except UserError as error:
            self._say(str(error))
            return False
        self.reward_version, self.post = asked.reward_version, self._judged_elsewhere
        dropped = self.annotation.close()
        if self.annotation.ledger().asked:
            self._former.append(self.annotation)
        self.annotation = self._empty_ledger()
        self._begin_with_what_is_known()
        known = f"{len(self.counted):,} verdicts"
        self._note("switched", f"to reward version {self.reward_version}: {known}, {dropped:,} questions are not asked")
        self._say(f"goes on with reward version {self.reward_version}, {known}")
        return True

    @property
    def is_judged_elsewhere(self) -> bool:
        """Whether the run was switched to a reward version that others judge."""
        return self.post == self._judged_elsewhere

    def _judged_elsewhere(self, question: Question, policy_version: int) -> None:
        """Nothing is asked: others judge."""

    def _hear_others(self) -> None:
        """After a switch: take in what others have judged since; the reward model goes on with it."""
        if not self.is_judged_elsewhere or self._stored is None:
            return
        known = {verdict.subject for verdict in self.counted}
        if any(v.reward_version == self.reward_version and v.subjects > len(known) for v in self._stored.versions()):
            found = self._stored.verdicts(COMPONENT, self.reward_version)
            self._concluded([verdict for verdict in found if verdict.subject not in known])

    # What is told ---------------------------------------------------------------------------------------------------

    def numbers(self) -> dict[str, float]:
        """For the line of metrics."""
        books = self.annotation.ledger()
        return {
            "judge/asked": books.asked,
            "judge/ok": books.ok,
            "judge/failed": sum(books.failures.values()),
            "judge/pending": books.pending + books.in_flight,
            "judge/lag_s": books.lag_median_s,
            "judge/requests": books.batches,
            "judge/tokens": books.tokens,
            "judge/cost": books.cost,
            "judge/quarantined": len(self.belief.barred),
            "queue/questions": books.pending,
            "queue/in_flight": books.in_flight,
            **{f"judge/failed/{status}": n for status, n in books.failures.items()},
            **({} if self.budget is None else {f"budget/left/{of}": share for of, share in self.budget.left().items()}),
        }

    @property
    def imbalance(self) -> int:
        """Questions that the ledger misses, or has twice."""
        return self.annotation.ledger().imbalance

    def lines(self, frames: int) -> dict[str, str]:
        """For the display of a run that has gathered so many frames."""
        books = self.annotation.ledger()
        lines = {
            "judge": f"{books.batches} requests, {books.ok} verdicts, {books.pending + books.in_flight} waiting"
            + ("" if books.breaker == "closed" else f" (circuit {books.breaker})"),
            "label lag": f"{books.lag_median_s:.2f} s median, {books.lag_p95_s:.2f} s at 95 %",
            "failures": ", ".join(f"{k} {v}" for k, v in books.failures.items()) or "none",
        }
        if by_fallback := sum(n for judge, n in books.judges.items() if judge in self.belief.fallback_judges):
            lines["fallback"] = f"{by_fallback} of the verdicts"
        if self.belief.barred:
            lines["quarantine"] = f"not believed: {', '.join(sorted(self.belief.barred))}"
        if frames:
            lines["asked"] = f"{100 * books.asked / frames:.3f} % of observations"
        return lines

    def accounts(self) -> dict[str, Any]:
        """The ledger: every question accounted for."""
        books = self.annotation.ledger()
        former = [_former_books(one) for one in self._former]
        return {
            "verdicts": {**asdict(books), "balanced": books.balanced},
            "former_verdicts": former,
            **self.belief.accounts(),
            "balanced": books.balanced and all(one["balanced"] for one in former),
        }

    # What is kept ---------------------------------------------------------------------------------------------------

    def mirrored_by(self, mirror: Mirror | NoMirror) -> None:
        """From now on a copy of the verdicts is kept."""
        if self._stored is not None:
            mirror.copy_verdicts = self._stored.copy_to

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        verdicts = self._packed_verdicts.packed(self.annotation.verdicts.values())
        return {
            "reward_version": self.reward_version,
            "annotation": {**self.annotation.state_dict(with_verdicts=False), "verdicts": verdicts},
            "former": [_former_books(one) for one in self._former],
            **self.belief.state_dict(),
            "pairs": self._pairs.state_dict(),
            "captions": self._packed_captions.packed(self.caption_log),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what a checkpoint kept; what was stored after it is neither asked for, nor paid, again."""
        if state["reward_version"] != self.reward_version:  # it had been switched
            self.reward_version, self.post = state["reward_version"], self._judged_elsewhere
            self.annotation = self._empty_ledger()
        saved = state["annotation"]
        self.annotation.load_state_dict({**saved, "verdicts": rows_of(saved["verdicts"])})
        self._pairs.load_state_dict(state["pairs"])
        self.caption_log = [(int(i), str(t)) for i, t in rows_of(state["captions"])]
        self.captions = dict(self.caption_log)
        self._packed_captions, self._packed_verdicts = Growing(pairs), Growing(to_arrow)  # of other lists from now on
        self._former = list(state.get("former", []))
        self._anew = self.belief.load_state_dict(state)
        self._begin_with_what_is_known()
        if self._stored is not None:
            stored = self._stored.verdicts(COMPONENT, self.reward_version)
            known = self.annotation.verdicts
            self._remembered = {v.subject: v for v in stored if v.status is Status.OK and v.subject not in known}
            self._concluded(self.annotation.recall_pending(self._remembered))

    def close(self) -> None:
        """Take in what others have left, and let go of the verdicts."""
        if self._stored is not None:
            self._stored.collect()
            self._stored.close()


def _former_books(found: dict[str, Any] | AnnotationLedger) -> dict[str, Any]:
    """The books of a reward version that is asked no more; what a dead process had asked counts as dropped."""
    if isinstance(found, AnnotationLedger):
        books = found.ledger()
        return {"reward_version": found.reward_version, **asdict(books), "balanced": books.balanced}
    return {**found, "in_flight": 0, "dropped": found["dropped"] + found["in_flight"]}
