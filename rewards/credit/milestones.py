"""`Milestones`: what a step has achieved of a list of sub-goals, paid once, or as progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from rewards.columns import Column
from rewards.views.layout import LEVELS, Layout, Level
from rewards.views.part import Part, Stage, State, Table, Terms, require_order


class Milestones(Part):
    """Bonus: Σ_k 1[g_k is achieved now, for the first time in the episode]. Progress: share of g_1 … g_K achieved.

    What is achieved again is not paid again, or it would be farmed: the bonus of an episode is at most K. With `every`
    the bonus is less dense: what was achieved waits until the number achieved reaches a multiple of that, or all are.
    Progress counts the step itself, and so is of the state after it; interpolated, it also rises evenly between two
    achievements, and after the last one it stays.

    A label that is NULL achieves nothing; a step of which no label is known is NULL. Of a stretch of an episode that
    began elsewhere nobody here knows what was achieved before: what looks new is NULL there, and so is all progress,
    and any bonus that waits.
    Where an episode was cut, nobody knows how far the next achievement is: interpolated progress is NULL behind the
    last one here, unless all are achieved.

    Sources: CALM (the bonus of an option that ends; that it is paid once is chosen here), MiRA (progress, the target
    of its potential; that it is interpolated by the number of steps is chosen here), and A Practitioner's Guide to
    Multi-turn Agentic RL (Wang and Ammanabrolu 2025: rewards of turns, more or less dense).

    Attributes:
        achieved: names of columns of labels, one a sub-goal, all of steps or all of tokens.
        pay: what is written.
        every: achievements that are paid together; as many as there are sub-goals, or more: only who achieves all is
            paid.
        least: from where on a label says yes.
        to: name of the column it writes.
    """

    stage: ClassVar[Stage] = "credit"
    null: ClassVar[Literal["stays", "excluded", "declared"]] = "declared"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"calm": {"pay": "once"}, "mira": {"pay": "interpolated"}}
    example: ClassVar[Mapping[str, Any]] = {"achieved": ["key", "door"]}

    part: Literal["milestones"] = "milestones"
    achieved: tuple[str, ...] = Field(min_length=1)
    pay: Literal["once", "progress", "interpolated"] = "once"
    every: int = Field(1, ge=1)
    least: float = 0.5
    to: str = "milestones"

    @model_validator(mode="after")
    def _only_a_bonus_waits(self) -> Milestones:
        if self.every > 1 and self.pay != "once":
            raise ValueError(f"got every={self.every} with pay={self.pay!r}; expected `pay: once`, or every 1")
        return self

    @property
    def inputs(self) -> tuple[str, ...]:
        """The labels."""
        return self.achieved

    @property
    def output(self) -> str:
        """Name of the column it writes."""
        return self.to

    def level(self, levels: Mapping[str, Level]) -> Level:
        """That of the labels.

        Raises:
            ValueError: they differ, or are not of steps or tokens.
        """
        found = {levels[name] for name in self.achieved}
        if len(found) > 1:
            raise ValueError(f"got labels of {sorted(found, key=LEVELS.index)}; expected all of one level")
        require_order(self.achieved[0], own := found.pop())
        return own

    def _new(self, table: Table, layout: Layout, own: Level) -> NDArray[np.bool_]:
        """What is achieved for the first time `[K, N]`."""
        owner = layout.owner(own, "episode")
        first = np.full((len(self.achieved), layout.size("episode")), -1)
        labels = np.stack([table[name].valid & (table[name].values >= self.least) for name in self.achieved])
        goal, place = np.nonzero(labels)
        first[goal[::-1], owner[place[::-1]]] = place[::-1]  # of several, the first is written last
        new = np.zeros(labels.shape, np.bool_)
        goal, episode = np.nonzero(first >= 0)
        new[goal, first[goal, episode]] = True
        return new

    def _paid(self, new: NDArray[np.bool_], layout: Layout, own: Level) -> NDArray[np.bool_]:
        """Where the bonus of each achievement is paid `[K, N]`: at the next pay-day, that of the step included."""
        if self.every == 1:
            return new
        number = layout.so_far(new.sum(0), own)
        before = layout.before(number, 0.0, own)
        whole = (number == len(new)) & (before < len(new))
        pays = (number // self.every > before // self.every) | whole
        held = np.stack([layout.so_far(pays & (layout.so_far(one, own) > 0), own) > 0 for one in new])
        return np.stack([one & ~layout.before(one, False, own) for one in held])

    def apply(self, table: Table, state: State) -> Column:
        """Bonus or progress."""
        known = np.any([table[name].valid for name in self.achieved], axis=0)
        values = np.sum(list(self.attribute(table, {}, state).values()), axis=0)
        layout, own = table.nested(self), self.level(table.levels)
        if layout.began is not None:
            whole = layout.began[layout.owner(own, "episode")]
            looks_old = (values == 0) & (self.pay == "once") & (self.every == 1)
            known = known & (whole | looks_old)
        if self.pay == "interpolated":
            owner = layout.owner(own, "episode")
            highest = layout.extreme(values, own, "episode", largest=True)[owner]
            before = layout.before(values, 0.0, own)
            # The last achievement is where the highest progress is reached; between two it is known how it rises.
            known = known & (layout.ended[owner] | (before < highest) | (highest >= 1 - 1e-9))
            values = interpolated(values, layout, own)
        return Column(values.astype(np.float32), known)

    def describe(self, terms: Mapping[str, str]) -> str:
        """Bonus or progress over the labels."""
        names = ", ".join(terms[name] for name in self.achieved)
        together = f"; {self.every} at a time" if self.every > 1 else ""
        return {"once": f"first({names}{together})", "progress": f"progress({names})"}.get(
            self.pay, f"progress~({names})"
        )

    def attribute(self, table: Table, terms: Mapping[str, Terms], state: State) -> Terms:
        """What each label has paid."""
        layout, own = table.nested(self), self.level(table.levels)
        new = self._new(table, layout, own)
        if self.pay == "once":
            paid = self._paid(new, layout, own)
            return {name: paid[k].astype(np.float64) for k, name in enumerate(self.achieved)}
        return {name: layout.so_far(new[k], own) / len(new) for k, name in enumerate(self.achieved)}


def interpolated(progress: NDArray[np.float64], layout: Layout, level: Level) -> NDArray[np.float64]:
    """Progress that rises evenly from 0 before the first step over each change to the next, and then stays."""
    owner = layout.owner(level, "episode")
    start = layout.before(np.zeros(len(owner)), 1.0, level) > 0
    place = np.arange(len(owner)) + 2 * np.cumsum(start)  # room before each episode for where it starts from
    change = progress > layout.before(progress, 0.0, level)
    end = layout.last(level, "episode")
    at = np.concatenate([place[start] - 1, place[change | end]])
    value = np.concatenate([np.zeros(start.sum()), progress[change | end]])
    order = np.argsort(at, kind="stable")
    return np.interp(place, at[order], value[order]) if len(at) else progress
