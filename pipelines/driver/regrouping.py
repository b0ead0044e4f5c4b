"""`Regrouping`: learners that share each batch begin again on purpose: a node will go, or room for more has come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

from cluster.events import Event
from cluster.placement import Ask
from cluster.reservations import Reservation, Room
from cluster.supervision import Supervised
from pipelines.driver.learner_group import LearnerGroup
from pipelines.driver.seats import Seat
from pipelines.experiment import Experiment
from pipelines.language.experiment import LanguageExperiment
from pipelines.scaling.asks import rooms, shared_room
from pipelines.scaling.attendance import Group
from pipelines.scaling.membership import Membership, sizes_of

GROW_S = 1.0  # how often it is asked whether there is room for more learners


def learners_of(
    experiment: Experiment | LanguageExperiment,
    ask: Ask,
    parts: int,
    make: Callable[[int, Callable[[int], Seat], Room], Supervised],
    on_event: Callable[[Event], None],
) -> LearnerGroup:
    """The learners of a run, none of them started.

    Args:
        experiment: says how many, and within what bounds.
        ask: what the fewest ask a cluster for.
        parts: what a batch is shared out in, evenly.
        make: the role of one, see `LearnerGroup`.
        on_event: told who leaves and joins.
    """
    fewest, most = experiment.scaling.learners.around(experiment.learners)
    return LearnerGroup(
        make,
        Membership(sizes_of(fewest, most, parts), experiment.scaling.speed.settle_s, time.monotonic),
        rooms(ask, most) if fewest < most else shared_room(ask),
        experiment.stall_timeout_s,
        on_event,
    )


class Regrouping:
    """Saves before learners begin again, so that they go on from where they are."""

    def __init__(
        self,
        learner: LearnerGroup,
        save: Callable[[], Awaitable[None]],
        learning: asyncio.Lock,
        went_back: Callable[[], object],
    ) -> None:
        """Watch over a group.

        Args:
            learner: the group.
            save: writes a checkpoint.
            learning: held while an update is made.
            went_back: told, with `learning` held, that the group has begun again.
        """
        self._learner, self._save, self._learning, self._went_back = learner, save, learning, went_back

    def groups(self) -> list[Group]:
        """Who leaves a node together: each for itself where learners come and go, else all."""
        if self._learner.elastic:
            return [Group(role.name, [role], partial(self._move, only=role)) for role in self._learner.roles]
        return [Group("learner", self._learner.roles, self._move)]

    async def _move(self, to: Reservation, only: Supervised | None = None) -> None:
        await self._save()
        async with self._learning:
            self._learner.move("its node will go", to, only)
            self._went_back()

    async def attend(self) -> None:
        """Where learners come and go: when room for more has come, save, and begin again with them."""
        while self._learner.elastic:
            await asyncio.sleep(GROW_S)
            if self._learner.may_grow():
                await self._save()
                async with self._learning:
                    if self._learner.may_grow():
                        self._learner.grow()
                        self._went_back()
