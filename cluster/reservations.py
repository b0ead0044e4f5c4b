"""`Reservation`: room for the processes of a role, held as a Ray placement group until they are done with it.

A process that dies is started again in the room it had. Room on a node that is lost is asked for anew: Ray would look
for it by itself, but without a pause, so that its control store has time for nothing else until there is some (Ray's
pull request 65007). Room on a node that drains must be given back as well, because nothing can be started there.
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Any, ClassVar

import ray
from ray.util.placement_group import PlacementGroup, placement_group, placement_group_table, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy, PlacementGroupSchedulingStrategy

from cluster.deadlines import within
from cluster.placement import NODE_ID, Ask, amounts

LOST = "RESCHEDULING"  # what Ray calls it
ANSWER_S = 5.0  # Ray's control store answers in milliseconds, or is away, and would be waited for without end
AGAIN_S = 15.0  # after it did not answer, until it is asked again: whoever looks has more to do, such as to save


class Reservation:
    """Room for `ask.count` processes; each takes the bundle of its number."""

    _ask_at: ClassVar[float] = 0.0  # there is one control store, and it is asked about all rooms

    def __init__(self, ask: Ask) -> None:
        """Nothing is asked for until the first process takes its place.

        Args:
            ask: what for. Where nothing is to be set aside, no group is needed.
        """
        self.ask = ask
        self.renewed = 0  # how often all of it was given back: what was to begin in it before does not
        self._group: PlacementGroup | None = None
        self._users: set[int] = set()
        self._said = ""  # by Ray, when it answered last

    @property
    def ident(self) -> str:
        """Ray's id of the room that was asked for; empty where none was."""
        return "" if self._group is None else str(self._group.id.hex())

    @property
    def lost(self) -> bool:
        """Whether room that was there has gone with its node: what was to begin in it does not."""
        return self._state() == LOST

    def begin(self) -> None:
        """Ask for the room, without waiting for it; anew where it is lost."""
        if self.lost:
            self.renew()
        if self._group is None and self.ask.bundle:
            # Room on a given node is set aside as well: others would take it, for whom there is room elsewhere.
            labels = {**self.ask.labels, **({} if self.ask.node is None else {NODE_ID: self.ask.node})}
            selectors = [labels] * self.ask.count if labels else None
            self._group = placement_group(
                [dict(self.ask.bundle)] * self.ask.count,
                strategy=self.ask.strategy,
                name=f"{self.ask.role}-{os.urandom(4).hex()}",
                bundle_label_selector=selectors,
            )

    @property
    def placed(self) -> bool:
        """Whether the room is there; asks for it where nobody has yet."""
        if (state := self._state()) in ("", LOST):
            self.begin()
            state = self._state()
        return self._group is None or state == "CREATED"

    def take(self, index: int) -> dict[str, Any]:
        """Options of a Ray actor that is to stand in bundle `index`."""
        self.begin()
        self._users.add(index)
        bundle = self.ask.bundle
        options: dict[str, Any] = {"num_cpus": bundle.get("CPU", 0.0), "num_gpus": bundle.get("GPU", 0.0)}
        if "memory" in bundle:
            options["memory"] = int(bundle["memory"])
        if rest := {name: amount for name, amount in bundle.items() if name not in ("CPU", "GPU", "memory")}:
            options["resources"] = rest
        if self._group is not None:
            options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(self._group, index)
        elif self.ask.node is not None:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(self.ask.node, soft=False)
        elif self.ask.labels:
            options["label_selector"] = dict(self.ask.labels)
        return options

    def give_back(self, index: int) -> None:
        """The process in bundle `index` is done; the room is given back with the last one."""
        self._users.discard(index)
        if not self._users:
            self.renew()

    def renew(self) -> None:
        """Give all the room back; the next process asks for other."""
        self._users.clear()
        self.renewed += 1
        self._said = ""
        group, self._group = self._group, None
        if group is not None and ray.is_initialized():
            remove_placement_group(group)

    def _state(self) -> str:
        """What Ray says of the room, or said last where it does not answer; nothing where none was asked for."""
        if self._group is not None and time.monotonic() >= Reservation._ask_at:
            try:
                self._said = str(within(ANSWER_S, partial(placement_group_table, self._group)).get("state", ""))
            except TimeoutError:
                Reservation._ask_at = time.monotonic() + AGAIN_S
        return self._said

    def __str__(self) -> str:
        return f"{self.ask.role}: {self.ask.count} × {amounts(self.ask.bundle)}"


class Room:
    """One bundle of a reservation."""

    def __init__(self, reservation: Reservation, index: int = 0) -> None:
        """Bundle `index`."""
        self.reservation, self._index = reservation, index

    def take(self) -> dict[str, Any]:
        """Options of the Ray actor that is to stand here."""
        return self.reservation.take(self._index)

    def give_back(self) -> None:
        """Its process is done."""
        self.reservation.give_back(self._index)
