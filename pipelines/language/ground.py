"""`Ground`: what the loops of one distributed language run have in common."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.weights import WeightsBoard
from learners.admission import Admission
from pipelines.driver.loops import Bell
from pipelines.driver.shares import Shares
from pipelines.language.delivery import Delivery
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.run import LanguageRun
from pipelines.scaling.pressure import Waits

IDLE_S = 0.01  # how often a loop that waits for a process looks again
NEWS_S = 0.1  # how long a loop that waits for another one listens before it looks by itself


@dataclass(frozen=True)
class Ground:
    """Whatever more than one loop reads or changes.

    Attributes:
        books: of the run.
        shares: of the replay.
        admission: how many groups may be begun.
        board: the newest weights.
        delivery: brings them to engines.
        news: rings when a group can be drawn, an update was made, or rows were stored.
        waits: how long engines and learner waited for each other.
    """

    books: LanguageRun
    shares: Shares
    admission: Admission
    board: WeightsBoard
    delivery: Delivery
    news: Bell
    waits: Waits

    @property
    def experiment(self) -> LanguageExperiment:
        """What is run."""
        return self.books.experiment
