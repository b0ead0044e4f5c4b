"""Semi-online rollouts: a policy goes along recorded trajectories with its own words in the history.

As long as a step does what the expert did, the next recorded observation is what would have come of it, whatever else
the policy wrote beside the action. Where it does not, the expert's step takes its place in the history (a patch), and
the policy goes on from there; after more mismatches than there are patches the rollout ends.

    patches = 0      ends at the first mismatch, which is how policies are evaluated
    patches = None   always goes on

Source: UI-S1, Semi-online Reinforcement Learning (Lu et al. 2025; 2 patches in its released script). What thoughts a
patch has, none or some that were written for it, is up to who brings the expert's steps.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bools = NDArray[np.bool_]
Steps = NDArray[Any]


class Act(Protocol):
    """A policy over recorded observations."""

    def __call__(self, step: int, rows: NDArray[np.int64], history: Steps) -> Steps:
        """What is done `[R, …]` at a step of some trajectories, after what stands in their histories `[R, step, …]`."""
        ...


class Matches(Protocol):
    """Whether steps do the same."""

    def __call__(self, done: Steps, expert: Steps) -> Bools:
        """Of each of R steps `[R, …]`."""
        ...


class Rollouts(NamedTuple):
    """What a policy has done along trajectories.

    Attributes:
        done: its own steps `[B, T, …]`; nothing of them counts where `reached` is False.
        history: what stands in the history, patches in the place of mismatches `[B, T, …]`.
        reached: which steps were played `[B, T]`.
        match: which of them do what the expert did `[B, T]`.
    """

    done: Steps
    history: Steps
    reached: Bools
    match: Bools


def follow(act: Act, expert: Steps, lengths: ArrayLike, matches: Matches, patches: int | None = 2) -> Rollouts:
    """Roll a policy out along trajectories, all at once.

    Args:
        act: the policy; asked only about rollouts that still go on.
        expert: recorded steps `[B, T, …]`.
        lengths: steps of each trajectory, at most T `[B]`.
        matches: compares a step with the expert's.
        patches: mismatches of a rollout that are repaired; None: all.

    Raises:
        ValueError: lengths that do not fit, or fewer than no patches.
    """
    ends = np.asarray(lengths, np.int64)
    number, longest = expert.shape[:2]
    if ends.shape != (number,) or (ends < 1).any() or (ends > longest).any():
        raise ValueError(f"got lengths of shape {ends.shape} for steps {expert.shape[:2]}; expected [B], from 1 to T")
    if patches is not None and patches < 0:
        raise ValueError(f"got {patches} patches; expected 0 or more, or None for as many as there are mismatches")
    done, history = np.zeros_like(expert), np.zeros_like(expert)
    reached, match = np.zeros((number, longest), np.bool_), np.zeros((number, longest), np.bool_)
    left = np.full(number, longest if patches is None else patches)
    for step in range(longest):
        rows = np.flatnonzero((left >= 0) & (step < ends))
        if not len(rows):
            break
        done[rows, step] = act(step, rows, history[rows, :step])
        same = matches(done[rows, step], expert[rows, step])
        reached[rows, step], match[rows, step] = True, same
        history[rows, step] = done[rows, step]
        wrong = rows[~same]
        history[wrong, step] = expert[wrong, step]
        left[wrong] -= 1
    return Rollouts(done, history, reached, match)
