"""`Run`: the books of one run in an environment: experience, captions, and by `VerdictBooks` the verdicts on them.

Both runners move experience; everything that they must remember about it is here, so that a run reports, checkpoints
and resumes in the same way wherever it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from envs.trajectory import Fragment
from pipelines.display import EXPERIENCE, Display
from pipelines.driver.accounts import experience, imbalance
from pipelines.driver.books import NEVER, Books
from pipelines.driver.verdict_wait import Waited
from pipelines.environment.status import RunStatus
from pipelines.experiment import Experiment
from pipelines.judging.verdict_books import VerdictBooks
from pipelines.mirror.mirror import Mirror, NoMirror
from pipelines.run_directory import RunDirectory
from pipelines.stages import SECONDS
from pipelines.trust.watching import OF_EPISODES, Suspicion, check_gold, of_episodes
from rewards.monitors.suite import Alarm


class Run(Books):
    """One run, from its first frame to its report."""

    subject = EXPERIENCE
    experiment: Experiment
    status: RunStatus

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
        check_gold(experiment.monitors, OF_EPISODES, experiment.judged)
        super().__init__(experiment, directory, display, RunStatus())
        self.queues: dict[str, float] = {}  # what waits in places that these books do not keep, by name
        self._accepted: dict[tuple[int, int], int] = {}  # next sequence number by actor and epoch
        self.caption_frequency: dict[int, int] = {}
        self.reward_model: dict[str, float] = {}
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
        self.status.learnt({**metrics, **shares}, self.clock.seconds)
        seen = of_episodes(metrics, fragments, self.experiment.monitors.gold or "return")
        self.stopping = self.stopping or self.watch.observe(seen, self.status.updates)

    def _suspected(self, alarm: Alarm) -> None:
        """A monitor asks for the quarantine of who judges."""
        self.verdicts.suspected(lambda judge: Suspicion(judge, f"{alarm.monitor}: {alarm.message}"))

    # Reporting ------------------------------------------------------------------------------------------------------

    def _look_around(self, ended: bool) -> None:
        self.verdicts.look_around(ended=ended)

    def _numbers(self) -> dict[str, float]:
        return {
            **self.verdicts.numbers(),
            "ledger/imbalance": imbalance(self.verdicts.imbalance, self.shares),
            **{f"queue/{name}": value for name, value in self.queues.items()},
            **{f"reward_model/{k}": v for k, v in self.reward_model.items()},
        }

    def _lines(self) -> dict[str, str]:
        lines = self.watch.line | self._deaths_line()
        if self.experiment.reward.judged:
            lines = self.verdicts.lines(self.status.frames) | lines
            if self.experiment.verdict_wait_s:
                over = self.status.verdict_waits_over
                lines["waits for verdicts"] = f"{self.status.verdict_wait_s:.1f} s, {over} batches went on without all"
        return lines

    def _report_soon(self) -> None:
        self._reported = NEVER

    def accounts(self) -> dict[str, Any]:
        """The ledger: every fragment and every question accounted for."""
        verdicts, stored = self.verdicts.accounts(), experience(self.shares)
        return {
            "experience": stored,
            "lost_rollouts": self.status.lost_fragments,
            "verdict_waits": {"seconds": self.status.verdict_wait_s, "went_on_without": self.status.verdict_waits_over},
            **verdicts,
            "deaths": dict(self.status.deaths),
            "balanced": stored["balanced"] and verdicts["balanced"],
        }

    # Checkpoints ----------------------------------------------------------------------------------------------------

    def _tree(self) -> dict[str, Any]:
        return {
            **self.verdicts.state_dict(),
            "accepted": [[*writer, following] for writer, following in self._accepted.items()],
            "caption_frequency": self.caption_frequency,
        }

    def _take(self, tree: Mapping[str, Any]) -> None:
        self.verdicts.load_state_dict(tree)
        self.caption_frequency = dict(tree["caption_frequency"])
        self._accepted = {(actor, epoch): following for actor, epoch, following in tree["accepted"]}

    # Ends -----------------------------------------------------------------------------------------------------------

    def mirrored_by(self, mirror: Mirror | NoMirror) -> None:
        """See `Books.mirrored_by`."""
        super().mirrored_by(mirror)
        self.verdicts.mirrored_by(mirror)

    def _close_verdicts(self) -> None:
        self.verdicts.close()
