"""Windows: the stretches of stored episodes that offline learning draws.

Rows are cut where a rollout ended, which says nothing about the episode. So the rows of an episode are put together
again, and cut into windows of one length. A window that does not begin an episode is preceded by `burn_in` steps that
only warm up the memory and are not learnt from (Kapturowski et al. 2019, R2D2): the recurrent state that is stored with
a row is that of the network that acted, and means nothing to another one.

    rows      [0 1 2 3][4 5 6 7][8 9]        one episode of 10 steps
    windows   [0 1 2 3 4][· · 5 6 7 8 9]     length 5, burn-in 2

Draws are numbered and a function of seed and number alone: a learner that was restarted goes on where it was, with
every window drawn once in each pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from learners.batch import TrainBatch, acting_index

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """W windows over rows that were sorted by episode and step.

    Attributes:
        rows: the rows' numbers as they were given, in the order of episodes and steps, `[R]`.
        start: where each of them begins, counted in steps over all rows in that order, `[R]`.
        begin: where each window begins in the same count, burn-in included, `[W]`.
        end: where it ends, `[W]`.
        burn_in: its first steps that are not learnt from, `[W]`.
        episode: number of its episode, by first appearance, `[W]`.
    """

    rows: Ints
    start: Ints
    begin: Ints
    end: Ints
    burn_in: Ints
    episode: Ints

    def __len__(self) -> int:
        """W."""
        return len(self.begin)

    @property
    def steps(self) -> int:
        """Steps that are learnt from in one pass."""
        return int((self.end - self.begin - self.burn_in).sum())

    def of(self, episodes: NDArray[np.bool_]) -> Windows:
        """The windows of some episodes: those where `episodes[episode]` is True."""
        keep = episodes[self.episode]
        return replace(
            self,
            begin=self.begin[keep],
            end=self.end[keep],
            burn_in=self.burn_in[keep],
            episode=self.episode[keep],
        )

    def covering(self, window: int) -> tuple[Ints, int]:
        """The rows that a window lies in, as they were numbered, and the steps to skip in the first of them."""
        first, last = np.searchsorted(self.start, [self.begin[window], self.end[window] - 1], side="right") - 1
        return self.rows[first : last + 1], int(self.begin[window] - self.start[first])


def windows_of(episode: Ints, first_step: Ints, steps: Ints, length: int, burn_in: int) -> Windows:
    """Cut stored rows into windows.

    A gap in an episode (rows that were evicted) ends a stretch like the end of the episode; what follows begins with an
    empty memory and, where it is not the episode's beginning, cannot be preceded by a burn-in.

    Args:
        episode: number of each row's episode, `[R]`.
        first_step: position of its first step in the episode, `[R]`.
        steps: how many steps it has, `[R]`.
        length: steps of a window that are learnt from, at most.
        burn_in: steps before them, at most.
    """
    order = np.lexsort((first_step, episode))
    episode, first_step, steps = episode[order], first_step[order], steps[order]
    start = np.cumsum(steps) - steps
    follows = np.zeros(len(order), np.bool_)
    follows[1:] = (episode[1:] == episode[:-1]) & (first_step[1:] == first_step[:-1] + steps[:-1])
    heads = np.flatnonzero(~follows)
    stretch = np.append(start[heads], steps.sum())
    begin, end, warm, owner = [], [], [], []
    for low, high, number in zip(stretch[:-1].tolist(), stretch[1:].tolist(), episode[heads].tolist(), strict=True):
        for learnt in range(low, high, length):
            begin.append(max(low, learnt - burn_in))
            end.append(min(learnt + length, high))
            warm.append(learnt - begin[-1])
            owner.append(number)
    return Windows(order, start, *(np.array(column, np.int64) for column in (begin, end, warm, owner)))


def draw(number: int, size: int, population: int, seed: int) -> Ints:
    """What draw `number` takes out of `population` windows, `[size]`: each once in every pass, shuffled anew.

    Args:
        number: 0, 1, 2, …
        size: how many are taken.
        population: how many there are.
        seed: of the order.
    """
    taken = np.arange(number * size, (number + 1) * size)
    chosen = np.empty(size, np.int64)
    for turn in np.unique(taken // population):
        here = taken // population == turn
        order = np.random.default_rng([seed, int(turn)]).permutation(population)
        chosen[here] = order[taken[here] % population]
    return chosen


def join(
    batch: TrainBatch,
    rows: Sequence[int],
    skip: Sequence[int],
    steps: Sequence[int],
    burn_in: Sequence[int],
    state_size: int,
) -> TrainBatch:
    """Whole windows out of the rows that they lie in.

    Args:
        batch: the rows of the first window, then those of the second, …; those of one window follow each other in time.
        rows: how many rows belong to each window, `[W]`.
        skip: steps to leave out at the beginning of each, `[W]`.
        steps: steps of each, `[W]`.
        burn_in: the first of them that are not learnt from, `[W]`.
        state_size: recurrent numbers of the policy that learns; its memory is empty at the beginning of a window.

    Returns:
        One row a window; weights say what is learnt from.
    """
    counts, lengths, warm = (torch.as_tensor(column, dtype=torch.int64) for column in (rows, steps, burn_in))
    first = counts.cumsum(0) - counts  # row of the batch with which each window begins
    row_start = batch.lengths.cumsum(0) - batch.lengths
    begin = row_start[first] + torch.as_tensor(skip, dtype=torch.int64)
    within = torch.arange(int(lengths.sum())) - (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
    taken = begin.repeat_interleave(lengths) + within
    acting = acting_index(batch.lengths)
    # One observation more than steps: the one that the last step led to, which lies behind the one it was taken in.
    seen = torch.empty(len(taken) + len(lengths), dtype=torch.int64)
    seen[acting_index(lengths)] = acting[taken]
    seen[(lengths + 1).cumsum(0) - 1] = acting[begin + lengths - 1] + 1
    weight = torch.ones(len(taken)) if batch.weight is None else batch.weight[taken]
    last = counts.cumsum(0) - 1
    return TrainBatch(
        observation={key: value[seen] for key, value in batch.observation.items()},
        lengths=lengths,
        initial_state=torch.zeros(len(lengths), state_size),
        action=batch.action[taken],
        behaviour_logprob=batch.behaviour_logprob[taken],
        reward=batch.reward[taken],
        discount=batch.discount[taken],
        policy_version_min=batch.policy_version_min[first],
        policy_version_max=batch.policy_version_max[last],
        row_ids=[batch.row_ids[int(row)] for row in first],
        weight=torch.where(within < warm.repeat_interleave(lengths), 0.0, weight),
    )
