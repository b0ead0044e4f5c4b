"""`Acting`: env actors roll out whenever admission allows it; what they play goes into the replay and the books."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from actors.inference import InferenceLost
from cluster.crew import Crew
from cluster.events import RoleLost
from cluster.supervision import Supervised
from envs.storage.writers import Ack
from envs.trajectory import Fragment
from pipelines.environment.ground import IDLE_S, Ground
from pipelines.environment.inference import ServedPolicy
from pipelines.scaling.host import Elasticity
from pipelines.scaling.pressure import makers_pressure


class Acting:
    """The actors of a run, and what becomes of their rollouts.

    Attributes:
        actors: their roles, as many as there may ever be.
        crew: those of them that are wanted, and where they stand.
        elasticity: lets the crew grow and shrink.
    """

    def __init__(self, ground: Ground, actors: Sequence[Supervised], served: ServedPolicy | None) -> None:
        """Nobody has begun.

        Args:
            ground: of the run.
            actors: their roles.
            served: the policy's server; None: each actor has the policy itself.
        """
        experiment = ground.experiment
        self._ground, self._books, self._served, self.actors = ground, ground.books, served, actors
        self._version = [-1] * len(actors)  # of the weights that each has
        self._too_old = 0  # fragments, when the pressure was read last
        self.crew = Crew(actors, experiment.actors.count, self._knows_nothing, ground.books.event)
        self.elasticity = Elasticity(
            "env-actors",
            self.crew,
            experiment.scaling.actors,
            experiment.scaling.speed,
            self._pressure,
            ground.books.event,
            ground.admission.resize,
        )

    def begin_all(self) -> bool:
        """Start those that are wanted and not there yet; gives whether all are ready to act."""
        return all([self.crew.ready(index) for index in range(self.crew.wanted)])

    def leaving(self, nodes: Mapping[str, float]) -> None:
        """These nodes will go: nobody begins there, and who stands there leaves between two rollouts."""
        self.crew.leaving = nodes

    async def act(self, index: int) -> None:
        """Let one actor roll out for as long as the run goes on."""
        while not self._books.done:
            if not self.crew.ready(index):
                await asyncio.sleep(10 * IDLE_S)
            elif not self._ground.admission.admit():
                began = time.monotonic()
                await asyncio.sleep(IDLE_S)
                self._ground.waits.add("actors", time.monotonic() - began)
            elif (gathered := await self._rollout(index)) is not None:
                await self._arrived(*gathered)

    async def turn(self) -> list[Fragment]:
        """In lockstep: every actor that there is room for rolls out once; gives what they played, in their order."""
        while not self.begin_all():
            await asyncio.sleep(IDLE_S)
        actors = range(min(self._ground.admission.capacity, self.crew.wanted))
        # Taken in the order of the actors and not of their arrival: sums of floats depend on the order.
        new = [gathered for gathered in await asyncio.gather(*map(self._rollout, actors)) if gathered is not None]
        for gathered in new:
            await self._arrived(*gathered)
        return [fragment for fragment, _ in new]

    async def _rollout(self, index: int) -> tuple[Fragment, Any] | None:
        """One rollout of one actor; None, and counted as lost, where the actor died."""
        board = self._ground.board
        self._ground.admission.started()
        weights, server = board.newer_than(self._version[index]), None
        try:
            if self._served is not None:
                weights, server = None, await self._served.host()
            fragment, rows = await self.actors[index].call("rollout", weights, server, returns=2)
        except (RoleLost, InferenceLost):
            if self._served is not None:
                self._served.doubt()
            self._lost()
            self._version[index] = -1
            return None
        self._version[index] = fragment.policy_version
        return fragment, rows

    async def _arrived(self, fragment: Fragment, rows: Any) -> None:
        """Put a fragment into the replay and the books."""
        shares, admission = self._ground.shares, self._ground.admission
        stored = await shares.insert(fragment.key[0], fragment, rows)
        if stored is None:
            self._lost()
            return
        index, ack, standing = stored
        # One that its share had stored before it died is new to the books.
        if ack is Ack.STORED or (ack is Ack.DUPLICATE and self._books.awaits(fragment)):
            admission.finished()
            self._books.gathered(fragment)
        else:
            admission.lost()
        shares.stands(index, standing)

    def _lost(self) -> None:
        self._ground.admission.lost()
        self._books.status.lost_fragments += 1

    def _knows_nothing(self, index: int) -> None:
        """An actor's process begins: it has no weights yet."""
        self._version[index] = -1

    def _pressure(self) -> float:
        """How hard the actors are pressed since this was asked last."""
        shares = self._ground.waits.read(actors=self.crew.answering, learner=1)
        before, self._too_old = self._too_old, self._ground.shares.dropped
        return makers_pressure(shares["actors"], shares["learner"], self._too_old > before)
