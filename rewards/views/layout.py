"""`Layout`: how tokens, steps, episodes and groups nest in a batch, and arithmetic within them.

    group ⊃ episode ⊃ step ⊃ token

A step is a step of an environment, a turn of an agent, or, where a completion is looked at as a whole, all of it.
Columns of one level are flat, one behind another in the order of the batch: a part of a view works on any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Level = Literal["token", "step", "episode", "group"]
LEVELS: tuple[Level, ...] = ("token", "step", "episode", "group")
"""From fine to coarse."""

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Layout:
    """What belongs to what.

    Attributes:
        steps: of each episode `[E]`.
        group: number of each episode's group `[E]`, counted from 0 without gaps.
        tokens: of each step `[S]`; a step without tokens of its own has 0.
        ended: whether the last step of each episode ended it `[E]`; False where it was only cut, and goes on elsewhere.
        began: whether the first step of each episode began it `[E]`; False where what came before is elsewhere. None:
            all did.
    """

    steps: Ints
    group: Ints
    tokens: Ints
    ended: Bools
    began: Bools | None = None

    def __post_init__(self) -> None:
        """See that it fits together.

        Raises:
            ValueError: counts that do not fit, empty episodes, or groups with gaps in their numbers.
        """
        for name, kind in (("steps", np.int64), ("group", np.int64), ("tokens", np.int64), ("ended", np.bool_)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        if not (len(self.steps) == len(self.group) == len(self.ended)):
            raise ValueError(
                f"got {len(self.steps)} episodes, groups of {len(self.group)} and ends of {len(self.ended)}; "
                "expected one of each an episode"
            )
        if self.began is not None:
            object.__setattr__(self, "began", np.asarray(self.began, np.bool_))
            if len(self.began) != len(self.steps):
                raise ValueError(f"got beginnings of {len(self.began)} episodes; expected of {len(self.steps)}")
        if (self.steps < 1).any():
            raise ValueError(f"got an episode of {self.steps.min()} steps; expected at least one")
        if len(self.tokens) != self.steps.sum():
            raise ValueError(f"got tokens of {len(self.tokens)} steps; expected of {self.steps.sum()}")
        if (self.tokens < 0).any():
            raise ValueError(f"got a step of {self.tokens.min()} tokens; expected 0 or more")
        if len(self.group) and not self._without_gaps():
            raise ValueError(f"got groups {sorted(set(self.group.tolist()))}; expected 0, 1, … without gaps")

    def _without_gaps(self) -> bool:
        low, high = int(self.group.min()), int(self.group.max())
        return low == 0 and high < len(self.group) and bool(np.bincount(self.group).all())

    @classmethod
    def of(
        cls,
        steps: ArrayLike,
        group: ArrayLike | None = None,
        tokens: ArrayLike | None = None,
        ended: ArrayLike | None = None,
        began: ArrayLike | None = None,
    ) -> Layout:
        """A layout with what is usual: each episode a group of its own, no tokens, all episodes whole."""
        lengths = np.asarray(steps, np.int64)
        return cls(
            lengths,
            np.arange(len(lengths)) if group is None else np.asarray(group, np.int64),
            np.zeros(int(lengths.sum()), np.int64) if tokens is None else np.asarray(tokens, np.int64),
            np.ones(len(lengths), np.bool_) if ended is None else np.asarray(ended, np.bool_),
            None if began is None else np.asarray(began, np.bool_),
        )

    def size(self, level: Level) -> int:
        """How many there are."""
        return self._sizes[level]

    @cached_property
    def _sizes(self) -> dict[Level, int]:
        return {
            "token": int(self.tokens.sum()),
            "step": len(self.tokens),
            "episode": len(self.steps),
            "group": int(self.group.max()) + 1 if len(self.group) else 0,
        }

    @cached_property
    def _up(self) -> dict[Level, Ints]:
        """Of each token its step, of each step its episode, of each episode its group."""
        return {
            "token": np.repeat(np.arange(len(self.tokens)), self.tokens),
            "step": np.repeat(np.arange(len(self.steps)), self.steps),
            "episode": self.group,
        }

    def owner(self, fine: Level, coarse: Level) -> Ints:
        """Of each `fine` thing, the number of the `coarse` one that it is in `[size(fine)]`; read-only.

        Raises:
            ValueError: `coarse` is finer than `fine`.
        """
        if (fine, coarse) not in self._owners:
            low, high = LEVELS.index(fine), LEVELS.index(coarse)
            if high < low:
                raise ValueError(f"got {fine} in {coarse}; expected the finer level first: {' ⊂ '.join(LEVELS)}")
            found = np.arange(self.size(fine)) if low == high else self._up[fine]
            for level in LEVELS[low + 1 : high]:
                found = self._up[level][found]
            found = found.view()
            found.flags.writeable = False  # every part of a view reads the same one
            self._owners[fine, coarse] = found
        return self._owners[fine, coarse]

    @cached_property
    def _owners(self) -> dict[tuple[Level, Level], Ints]:
        return {}

    def last(self, fine: Level, coarse: Level) -> Bools:
        """Which `fine` things are the last of their `coarse` one `[size(fine)]`; groups have no order."""
        owner = self.owner(fine, coarse)
        return np.append(owner[1:] != owner[:-1], True)[: len(owner)]

    def final(self, level: Level = "step") -> Bools:
        """Which steps or tokens end their episode `[size(level)]`: the last ones, but where it was only cut."""
        found: Bools = self.last(level, "episode") & self.ended[self.owner(level, "episode")]
        return found

    def before(self, values: NDArray[Any], fill: Any, level: Level = "step") -> NDArray[Any]:
        """Of each step or token, the value of the one before it in its episode; `fill` at the first."""
        return np.where(self._first(level), fill, np.concatenate([values[:1], values[:-1]]))

    def _first(self, level: Level) -> Bools:
        """Which steps or tokens are the first of their episode `[size(level)]`."""
        return np.append(True, self.last(level, "episode")[:-1])[: self.size(level)]

    def told(self, level: Level = "step") -> Bools:
        """Of which steps or tokens it is known what came before them `[size(level)]`: the one before, or the beginning.

        It is not of the first of an episode that began elsewhere.
        """
        if self.began is None:
            return np.ones(self.size(level), np.bool_)
        found: Bools = ~self._first(level) | self.began[self.owner(level, "episode")]
        return found

    def place(self, level: Level = "step") -> Ints:
        """Of each step or token, how many come before it in its episode `[size(level)]`."""
        owner = self.owner(level, "episode")
        counts = np.bincount(owner, minlength=len(self.steps))
        found: Ints = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]
        return found

    def after(self, values: NDArray[Any], fill: Any, level: Level = "step") -> NDArray[Any]:
        """Of each step or token, the value of the one after it in its episode; `fill` at the last."""
        return np.where(self.last(level, "episode"), fill, np.concatenate([values[1:], values[-1:]]))

    def so_far(self, values: NDArray[Any], level: Level = "step") -> NDArray[np.float64]:
        """Sums of values of steps or tokens from the start of their episode to each, its own included."""
        total = np.cumsum(values, dtype=np.float64)
        start = self._first(level)
        before = np.concatenate([[0.0], total])[np.flatnonzero(start)]
        found: NDArray[np.float64] = total - before[np.cumsum(start) - 1]
        return found

    def total(self, values: NDArray[Any], fine: Level, coarse: Level) -> NDArray[np.float64]:
        """Sums of `fine` values within each `coarse` thing `[size(coarse)]`."""
        weights = np.asarray(values, np.float64)
        return np.bincount(self.owner(fine, coarse), weights, self.size(coarse)).astype(np.float64, copy=False)

    def extreme(self, values: NDArray[Any], fine: Level, coarse: Level, largest: bool) -> NDArray[np.float64]:
        """The largest or smallest of `fine` values within each `coarse` thing; ∓∞ where there is none."""
        found = np.full(self.size(coarse), -np.inf if largest else np.inf)
        (np.maximum if largest else np.minimum).at(found, self.owner(fine, coarse), values)
        return found

    def padded(self, values: NDArray[Any], level: Level = "step", fill: float = 0.0) -> NDArray[Any]:
        """Values of tokens or steps as `[longest, E]`, time first, with `fill` behind what is shorter."""
        row, column = self._cells(level)
        grid = np.full((int(row.max(initial=-1)) + 1, len(self.steps)), fill, values.dtype)
        grid[row, column] = values
        return grid

    def flat(self, grid: NDArray[Any], level: Level = "step") -> NDArray[Any]:
        """The inverse of `padded`."""
        return grid[self._cells(level)]

    def _cells(self, level: Level) -> tuple[Ints, Ints]:
        return self.place(level), self.owner(level, "episode")
