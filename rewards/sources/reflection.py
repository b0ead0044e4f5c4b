"""Reflections on attempts: what they are worth, and a memory that later attempts read.

After an attempt was judged, the policy writes guidance: what to do otherwise on this task. Its reward is what the next
attempts gain by it,

    r_g = mean_k score(attempt k after guidance g) − score(attempt that was reflected on),

so that several pieces of guidance on one attempt are a group. What was written is kept by task, and the best of it
stands before later attempts.

Source: RubricEM, Meta-RL with Rubric-guided Policy Decomposition beyond Verifiable Rewards (Li et al. 2026), where
attempts are judged by rubrics and both policies share a backbone. The form of the reward and what is forgotten are
chosen here.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np

from rewards.columns import Column


def improvement(before: Column, after: Column) -> Column:
    """Mean gain over the attempt that was reflected on, of each piece of guidance `[P, G]`.

    NULL attempts are in no mean. A gain is NULL where no later attempt is known, or the first one is not.

    Args:
        before: scores of the attempts that were reflected on `[P]`.
        after: of the attempts after each piece of guidance `[P, G, K]`.

    Raises:
        ValueError: shapes that do not fit.
    """
    if after.values.ndim != 3 or before.values.shape != after.values.shape[:1]:
        raise ValueError(
            f"got scores of shapes {before.values.shape} and {after.values.shape}; expected [P] and [P, G, K]"
        )
    count = after.valid.sum(-1)
    mean = np.where(after.valid, after.values, 0.0).sum(-1) / np.maximum(count, 1)
    return Column(mean - before.values[:, None], (count > 0) & before.valid[:, None])


class GuidanceMemory:
    """Guidance by task: the best of each, of the tasks that were written about last.

    Attributes:
        tasks: how many are remembered; then the one that was not written about for the longest is forgotten.
        each: pieces of guidance of a task; then the one with the least gain is forgotten, the older one of equals.
    """

    def __init__(self, tasks: int = 1000, each: int = 4) -> None:
        """Remember nothing.

        Raises:
            ValueError: room for nothing.
        """
        if tasks < 1 or each < 1:
            raise ValueError(f"got room for {tasks} tasks and {each} pieces of guidance each; expected at least 1")
        self.tasks, self.each = tasks, each
        self._kept: OrderedDict[str, list[tuple[float, str]]] = OrderedDict()

    def __len__(self) -> int:
        """Tasks that are remembered."""
        return len(self._kept)

    def write(self, task: str, guidance: str, gain: float | None = None) -> None:
        """Keep guidance.

        Args:
            task: what it is about.
            guidance: the text.
            gain: see `improvement`; None where nobody has tried it: it then counts as guidance that gained nothing.

        Raises:
            ValueError: a gain that is not finite.
        """
        if gain is not None and not math.isfinite(gain):
            raise ValueError(f"got gain={gain}; expected a finite number, or None where it is not known")
        kept = self._kept.setdefault(task, [])
        kept.append((gain or 0.0, guidance))
        if len(kept) > self.each:
            kept.remove(min(kept, key=lambda one: one[0]))
        self._kept.move_to_end(task)
        if len(self._kept) > self.tasks:
            self._kept.popitem(last=False)

    def read(self, task: str, most: int = 1) -> tuple[str, ...]:
        """The guidance on a task that gained most, the newer one of equals first; nothing of a task that is unknown."""
        newest_first = self._kept.get(task, [])[::-1]
        return tuple(text for _, text in sorted(newest_first, key=lambda one: -one[0])[:most])
