"""`guerdon tune`: how many actors, environments and threads this machine wants, found by short trials of the recipe.

What is learnt stays what it is: frames in an update are kept, so where actors have more environments an update has
fewer rollouts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import yaml
from rich.console import Console

from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.machines.machine import cores
from pipelines.machines.trial import trial

WARM_UP_S = 3.0
WINDOW_S = 5.0
WORTH = 1.03  # a setting has to be better by more than trials differ among themselves


@dataclass(frozen=True)
class Setting:
    """What is tuned.

    Attributes:
        actors: processes that act.
        environments: of each.
        batch_fragments: rollouts in an update.
        learner_threads: threads of numerical libraries in the learner.
    """

    actors: int
    environments: int
    batch_fragments: int
    learner_threads: int

    @classmethod
    def of(cls, experiment: Experiment) -> Setting:
        """That of a recipe."""
        actors = experiment.actors
        return cls(actors.count, actors.environments, experiment.batch_fragments, experiment.learner_threads)

    def overrides(self) -> dict[str, int]:
        """As `guerdon train` takes them."""
        names = ("actors.count", "actors.environments", "batch_fragments", "learner_threads")
        return dict(zip(names, astuple(self), strict=True))

    def neighbours(self, most: int, learners: int = 1) -> Iterator[Setting]:
        """What is worth trying next, the likeliest first; frames in an update stay the same.

        Args:
            most: cores of the machine.
            learners: that share the rollouts of an update, which stay a multiple of it.
        """
        for actors in (2 * self.actors, self.actors + 1, self.actors - 1):
            if 1 <= actors <= 2 * most:
                yield replace(self, actors=actors)
        if self.batch_fragments % 2 == 0 and self.batch_fragments // 2 % learners == 0:
            yield replace(self, environments=2 * self.environments, batch_fragments=self.batch_fragments // 2)
        if self.environments % 2 == 0:
            yield replace(self, environments=self.environments // 2, batch_fragments=2 * self.batch_fragments)
        for threads in (2 * self.learner_threads, self.learner_threads // 2):
            if 1 <= threads <= most:
                yield replace(self, learner_threads=threads)


def climb(
    start: Setting,
    neighbours: Callable[[Setting], Iterator[Setting]],
    measure: Callable[[Setting], float],
    remaining_s: Callable[[], float],
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Setting, dict[Setting, float]]:
    """Go to better neighbours while there are any and time is left.

    Args:
        start: measured first.
        neighbours: of a setting.
        measure: how good a setting is; raises UserError where it cannot be run.
        remaining_s: seconds left; nothing is begun that would take longer than the longest trial so far.
        clock: in seconds.

    Returns:
        The best setting, and how good each was that was tried; NaN where it could not be run.
    """
    tried: dict[Setting, float] = {}
    longest = 0.0

    def quality(setting: Setting) -> float:
        nonlocal longest
        began = clock()
        tried[setting] = float("nan")
        tried[setting] = measure(setting)
        longest = max(longest, clock() - began)
        return tried[setting]

    best, score = start, quality(start)
    moved = True
    while moved:
        moved = False
        for candidate in neighbours(best):
            if candidate in tried:
                continue
            if remaining_s() < longest:
                return best, tried
            try:
                found = quality(candidate)
            except UserError:
                continue  # too many for the memory, say: not a setting for this machine
            if found > WORTH * score:
                best, score, moved = candidate, found, True
                break
    return best, tried


def tune(recipe: Sequence[str], experiment: Experiment, minutes: float, to: Path) -> Setting:
    """Find a setting and write it to a file for `guerdon train RECIPE settings=FILE`.

    Args:
        recipe: words for `guerdon train`.
        experiment: what they come to.
        minutes: how long it may take.
        to: the file.

    Raises:
        UserError: the recipe itself cannot be run.
    """
    if minutes <= 0:
        raise UserError(f"minutes: got {minutes:g}; expected more than 0")
    console, most = Console(), cores()
    ends = time.monotonic() + 60 * minutes
    learners = math.lcm(experiment.learners, *experiment.scaling.learners.around(experiment.learners))

    def measure(setting: Setting) -> float:
        words = [*recipe, *(f"{key}={value}" for key, value in setting.overrides().items())]
        seen = trial(words, WARM_UP_S, WINDOW_S)
        shown = ", ".join(f"{key}={value}" for key, value in setting.overrides().items())
        console.print(f"{seen.frames_per_s:10,.0f} frames/s  {shown}", highlight=False, soft_wrap=True)
        return seen.frames_per_s

    start = Setting.of(experiment)
    best, tried = climb(start, lambda s: s.neighbours(most, learners), measure, lambda: ends - time.monotonic())
    to.parent.mkdir(parents=True, exist_ok=True)
    head = f"# {' '.join(recipe)} on {most} cores: {tried[best]:,.0f} frames/s, {tried[start]:,.0f} before\n"
    to.write_text(head + yaml.safe_dump(best.overrides(), sort_keys=False), encoding="utf-8")
    console.print(
        f"{tried[best] / tried[start]:.2f} times the recipe's own; use it with settings={to}", highlight=False
    )
    return best
