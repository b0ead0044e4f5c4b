"""`recover`: decisions are applied again, and settled with the rows where a crash came between the two."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from envs.storage.store import Store
from learners.replay.arrival import arrived, placed, steps_of
from learners.replay.journal import Frame, Journal, Kind
from learners.replay.ledger import REASONS, DropReason
from learners.replay.shelf import Shelf
from learners.replay.snapshots import restore, snapshot
from learners.replay.state import State


def recover(store: Store, journal: Journal, state: State, shelf: Shelf, decide: Callable[[Frame], None]) -> None:
    """Make an empty state what it was when the last owner of the directory ended, however it did.

    Args:
        store: of the rows.
        journal: of the decisions.
        state: that is empty.
        shelf: of the rows.
        decide: writes a decision and applies it.

    Raises:
        ValueError: it was written with other settings.
        OSError: the disk is full, or failed.
    """
    config = state.config
    for frame in journal.recovered:
        if frame.kind is Kind.SNAPSHOT:
            restore(state, frame)
        else:
            state.apply(frame)
    if not journal.recovered:
        journal.begin_anew(snapshot(state))  # the settings
    journal.recovered = []
    unneeded, stored = [], set()
    for entry in store:
        batch = state.batch_slots.get(entry.key)
        if batch is None and entry.meta["first_row"] >= state.next_row:  # stored, and then came the crash
            rows, version = store.read(entry.position), entry.meta["policy_version"]
            steps = steps_of(rows, config.steps_column)
            frame = arrived(config, entry.key, rows, steps, entry.meta["first_row"], version)
            decide(placed(frame, entry.position))
            batch = state.batch_slots[entry.key]
        elif batch is None:
            unneeded.append(entry.position)  # the decision that it is not was made, and then came the crash
            continue
        stored.add(batch)
        shelf.metas[batch] = entry.meta["meta"]
    used = state.batches.used()
    unused = used[state.batches["rows"][used] == 0]
    state.garbage[:] = unused[np.argsort(state.batches["first"][unused])].tolist()  # the oldest first
    for batch in [batch for batch in state.garbage if batch not in stored]:
        state.garbage.remove(batch)
        state.forget_batch(batch)
    lost = [b for b in state.batches.used().tolist() if b not in stored and state.batches["rows"][b]]
    if lost:
        numbers = np.concatenate([state.rows["number"][state.batch_rows[b][shelf.lives(b)]] for b in lost])
        decide(Frame(Kind.GIVE_UP, (REASONS.index(DropReason.LOST), 1), (numbers,)))
        for batch in lost:
            state.garbage.remove(batch)
            state.forget_batch(batch)
    if unneeded:
        store.drop(unneeded)
