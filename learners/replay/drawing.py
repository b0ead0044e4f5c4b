"""Which items a sample is made of, which are too old for it, and which items rows belong to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from envs.storage.writers import Ack, Key
from learners.replay.shelf import Shelf
from learners.replay.state import State
from learners.replay.tables import Slots

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_NONE = np.zeros(0, np.int64)


def too_stale(state: State, learner_version: int) -> Slots:
    """Items that wait and are further behind than `max_staleness` allows.

    Args:
        state: of the replay.
        learner_version: version of the weights that are about to learn.
    """
    limit, table = state.config.max_staleness, state.items
    if limit is None:
        return _NONE
    items = table.used()
    stale: Slots = items[~table["held"][items] & (learner_version - table["version"][items] > limit)]
    return stale


def draw(state: State, size: int, rng: np.random.Generator, samples: int = 1) -> tuple[Slots, Floats]:
    """Items by the sampler, and how probable each was; each at most once where it may be sampled only so many times.

    Args:
        state: of the replay.
        size: items; there may be fewer.
        rng: where chance comes from.
        samples: that are drawn, one behind another; more than one only where an item may be sampled without limit.
    """
    sampler, config = state.sampler, state.config
    if config.max_times_sampled is None or config.sampler in ("fifo", "lifo"):
        return sampler.draw(size, rng, samples)
    slots, probabilities = np.zeros(0, np.int64), np.zeros(0)
    while len(slots) < size and len(sampler):
        drawn, chances = sampler.draw(size - len(slots), rng)
        drawn, first = np.unique(drawn, return_index=True)
        sampler.remove(drawn)
        slots, probabilities = np.append(slots, drawn), np.append(probabilities, chances[first])
    sampler.add(slots, state.items["priority"][slots])
    return slots, probabilities


def items_of_rows(state: State, shelf: Shelf, ids: Sequence[str], values: Floats) -> tuple[Ints, Floats]:
    """Ids of the items that hold rows, and the highest value of their rows.

    Args:
        state: of the replay.
        shelf: says which rows live.
        ids: `row_id` of the rows; those that are gone are passed over.
        values: one each.

    Raises:
        ValueError: no row of that id was ever accepted.
    """
    worth, named = np.full(state.rows.size, -np.inf), []
    for ident, value in zip(ids, values.tolist(), strict=True):
        try:
            actor, epoch, sequence, index = map(int, ident.split("/"))
            known = min(actor, epoch, sequence, index) >= 0
        except ValueError:
            known = False
        if not known or state.writers.judge(Key(actor, epoch, sequence)) is Ack.STORED:
            raise ValueError(
                f"got row {ident!r}; expected the row_id of a row that was accepted, 'actor/epoch/sequence/index'"
            )
        batch = state.batch_slots.get((actor, epoch, sequence))
        if batch is None:
            continue
        if index >= (size := len(state.batch_rows[batch])):
            raise ValueError(f"got row {ident!r}; expected an index below {size}, the rows of that insert")
        if shelf.lives(batch)[index]:
            slot = state.batch_rows[batch][index]
            worth[slot] = max(worth[slot], value)
            named.append(slot)
    items = state.unit.holders(np.array(named, np.int64))
    pieces = state.unit.pieces(items)
    found = np.full(len(items), -np.inf)
    np.maximum.at(found, pieces.item, worth[pieces.row])
    held = found > -np.inf
    return state.items["id"][items[held]], found[held]
