"""`ledger` and `check`: what the tables of a replay say of its experience, and whether the totals say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from learners.replay.ledger import Count, LedgerBroken, ReplayLedger
from learners.replay.tables import Slots

if TYPE_CHECKING:
    from learners.replay.state import State


def ledger(state: State, redelivered: int) -> ReplayLedger:
    """The books as the tables have them."""
    state.tallies.settle()
    rows = state.rows.used()
    held = rows[state.rows["wants"][rows] == 0]
    batches = state.batches.used()
    return ReplayLedger(
        accepted=state.accepted,
        live=Count(int((state.batches["rows"][batches] > 0).sum()), len(rows), int(state.rows["steps"][rows].sum())),
        held=Count(_fragments_held(state, held), len(held), int(state.rows["steps"][held].sum())),
        consumed=state.consumed,
        dropped={reason.value: count for reason, count in state.dropped.items()},
        duplicates=state.duplicates,
        fenced=state.fenced,
        samples=state.next_sample,
        sampled_items=state.sampled_items,
        sampled_rows=state.sampled_rows,
        redelivered=redelivered,
        unreleased=len(state.samples),
    )


def _fragments_held(state: State, held: Slots) -> int:
    """Fragments of which every row that lives is held."""
    owners, counts = np.unique(state.rows["batch"][held], return_counts=True)
    return int((state.batches["rows"][owners] == counts).sum())


def check(state: State) -> None:
    """Recompute every total from the tables.

    Raises:
        LedgerBroken: one is off.
    """
    books = ledger(state, 0)
    rows, items = state.rows.used(), state.items.used()
    waits, holds = items[~state.items["held"][items]], items[state.items["held"][items]]
    wants = np.bincount(state.unit.pieces(waits).row, minlength=state.rows.size)
    wants[rows[state.rows["open"][rows] >= 0]] += 1
    held = np.bincount(state.unit.pieces(holds).row, minlength=state.rows.size)
    pins = np.zeros(state.items.size, np.int64)
    for given in state.samples.values():
        np.add.at(pins, state.slots(given.ids), 1)
    waiting = rows[wants[rows] > 0]
    found = {
        "accepted": (books.accepted, sum(books.dropped.values(), books.live + books.consumed)),
        # A machine that died may have lost rows that came before others which it kept: their numbers stay unused.
        "rows accepted beyond the last number": (max(0, books.accepted.rows - state.next_row), 0),
        "rows sampled": (state.sampled_rows, int(state.rows["times"][rows].sum()) + state.gone_times),
        "wants": (state.rows["wants"][rows].tolist(), wants[rows].tolist()),
        "holds": (state.rows["holds"][rows].tolist(), held[rows].tolist()),
        "rows that nothing needs": (0, int(((wants + held)[rows] == 0).sum())),
        "pins": (state.items["pins"][items].tolist(), pins[items].tolist()),
        "held items without a sample": (0, int((pins[holds] == 0).sum())),
        "waiting items": (state.waiting_items, len(waits)),
        "waiting rows": (state.waiting_rows, len(waiting)),
        "waiting bytes": (state.waiting_bytes, int(state.rows["bytes"][waiting].sum())),
        "items by id": (len(state.item_slots), len(items)),
    }
    if off := [
        f"{name}: {got} on the books, {there} in the tables" for name, (got, there) in found.items() if got != there
    ]:
        raise LedgerBroken("; ".join(off))
