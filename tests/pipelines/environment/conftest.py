"""What the loops of a run have in common, with processes that answer as they are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cluster.events import RoleLost
from cluster.weights import WeightsBoard
from learners.admission import Admission, Config
from pipelines.driver.news import News
from pipelines.driver.shares import Shares
from pipelines.environment.ground import Ground
from pipelines.scaling.pressure import Waits


class Scripted:
    """A role whose calls end as its script says: with an answer, or with its death."""

    running, fresh, node, room = True, False, None, None  # it is there, and has answered
    deadline_s = 60.0

    def __init__(self, name: str, *script: Any) -> None:
        self.name, self.epoch, self.calls = name, 0, []
        self._script = list(script)

    async def call(self, method: str, *args: Any, returns: int = 1, deadline_s: float | None = None) -> Any:
        self.calls.append((method, *args))
        answer = self._script.pop(0)
        if answer is RoleLost:
            self.epoch += 1
            raise RoleLost(f"{self.name}: killed at {method}")
        return answer


@pytest.fixture
def ground(small, books, tmp_path) -> Callable[..., Ground]:
    """A run's common ground: `ground({"reward.source": …}, share=Scripted(…))`."""

    def make(values: dict[str, Any] | None = None, share: Scripted | None = None) -> Ground:
        run = books(small(values), tmp_path / "run")
        admission = Admission(Config(batch=2, max_staleness=1, concurrency=2))
        shares = Shares([share or Scripted("replay-0")], None, admission.dropped)
        return Ground(run, shares, admission, WeightsBoard(), News(), Waits(lambda: 0.0))

    return make


@pytest.fixture
def scripted() -> type[Scripted]:
    """A role whose calls end as its script says: `scripted("learner", answer, RoleLost, …)`."""
    return Scripted
