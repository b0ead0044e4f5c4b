"""`Ground`: what the loops of one distributed run in environments have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cluster.weights import WeightsBoard
from learners.admission import Admission
from pipelines.driver.news import News
from pipelines.driver.shares import Shares
from pipelines.environment.run import Run
from pipelines.experiment import Experiment
from pipelines.scaling.pressure import Waits
from rewards.verdicts import Verdict

IDLE_S = 0.02  # how often a loop that has nothing to do looks again


@dataclass(frozen=True)
class Ground:
    """Whatever more than one loop reads or changes.

    Attributes:
        books: of the run.
        shares: of the replay.
        admission: how many rollouts may be begun.
        board: the newest weights.
        news: what roles have been told of captions, verdicts and reward models, the last by reference.
        waits: how long actors and learner waited for each other.
    """

    books: Run
    shares: Shares
    admission: Admission
    board: WeightsBoard
    news: News
    waits: Waits

    @property
    def experiment(self) -> Experiment:
        """What is run."""
        return self.books.experiment

    def news_for(self, name: str, epoch: int) -> tuple[dict[int, str], list[Verdict], Any]:
        """Captions, verdicts and a reward model (or None) that a role has not been told of yet; see `News.of`."""
        return self.news.of(name, epoch, self.books.verdicts.caption_log, self.books.verdicts.counted)
