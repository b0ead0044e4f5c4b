"""`snapshot` and `restore`: all that a replay knows as one frame, with which a journal begins anew."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.storage.writers import Writers
from learners.replay.config import Config
from learners.replay.journal import Frame, Kind
from learners.replay.ledger import REASONS, Count
from learners.replay.sample import Given
from learners.replay.state import State
from learners.replay.tables import Slots

Ints = NDArray[np.int64]

_TOTALS = (
    "next_row",
    "next_item",
    "next_sample",
    "released",
    "sampled_items",
    "sampled_rows",
    "gone_times",
    "duplicates",
    "fenced",
    "waiting_items",
    "waiting_rows",
    "waiting_bytes",
    "most_rows",
    "most_bytes",
)


def snapshot(state: State) -> Frame:
    """Everything, as one frame; entries refer to each other by their place in it."""
    state.tallies.settle()
    batches, rows, items = state.batches.used(), state.rows.used(), state.items.used()
    rows = rows[np.argsort(state.rows["number"][rows])]
    items = items[np.argsort(state.items["id"][items])]
    batches = batches[np.argsort(state.batches["first"][batches])]
    place_of_row = _places(rows, state.rows.size)
    columns = {f"batch.{name}": state.batches[name][batches] for name in state.batches.names}
    columns |= {f"row.{name}": state.rows[name][rows] for name in state.rows.names}
    columns |= {f"item.{name}": state.items[name][items] for name in state.items.names}
    columns["row.batch"] = _places(batches, state.batches.size)[columns["row.batch"]]
    # A row that goes on may have gone before the one that it follows: nothing needs the link then.
    follows = columns["row.next"]
    columns["row.next"] = np.where(follows >= 0, place_of_row[follows], -1)
    columns["item.row"] = place_of_row[columns["item.row"]]
    listed = state.tables.members
    members = [listed[item] for item in items.tolist()] if listed else []
    columns["members"] = place_of_row[_joined(members)]
    columns["members.count"] = np.array([len(rows) for rows in members], np.int64)
    samples = list(state.samples.values())
    columns["sample.version"] = np.array([given.learner_version for given in samples], np.int64)
    columns["sample.population"] = np.array([given.population for given in samples], np.int64)
    columns["sample.count"] = np.array([len(given.ids) for given in samples], np.int64)
    columns["sample.ids"] = _joined([given.ids for given in samples])
    columns["sample.probabilities"] = _joined([given.probabilities for given in samples], np.float64)
    columns["highest_priority"] = np.array([state.highest_priority])
    text = {"columns": list(columns), "writers": state.writers.rows(), "settings": settings(state.config)}
    numbers = (
        *(getattr(state, name) for name in _TOTALS),
        *(part for count in _counts(state) for part in (count.fragments, count.rows, count.frames)),
    )
    arrays = (np.frombuffer(json.dumps(text).encode(), np.uint8), *columns.values())
    return Frame(Kind.SNAPSHOT, numbers, arrays)


def _counts(state: State) -> list[Count]:
    return [state.accepted, state.consumed, *(state.dropped.get(reason, Count()) for reason in REASONS)]


def restore(state: State, frame: Frame) -> None:
    """Make a state that is empty what it was when the frame was made.

    Raises:
        ValueError: it was made under other settings.
    """
    text = json.loads(frame.arrays[0].tobytes())
    if text["settings"] != settings(state.config):
        raise ValueError(
            f"the replay on disk was written with {text['settings']}; got {settings(state.config)}: resume with the "
            "same settings, or give the replay another directory"
        )
    columns = dict(zip(text["columns"], frame.arrays[1:], strict=True))
    state.writers = Writers(text["writers"])
    for name, value in zip(_TOTALS, frame.numbers, strict=False):  # the counts come behind them
        setattr(state, name, value)
    rest = frame.numbers[len(_TOTALS) :]
    counts = [Count(*rest[at : at + 3]) for at in range(0, len(rest), 3)]
    state.accepted, state.consumed = counts[:2]
    state.dropped = {reason: count for reason, count in zip(REASONS, counts[2:], strict=True) if count != Count()}
    state.highest_priority = float(columns["highest_priority"][0])
    for table, name in ((state.batches, "batch"), (state.rows, "row"), (state.items, "item")):
        table.add(len(columns[f"{name}.{table.names[0]}"]))  # slots of an empty table are the places
        for column in table.names:
            table[column][: len(table)] = columns[f"{name}.{column}"]
    _restore_items(state, columns)
    parts = _split(columns["sample.ids"], columns["sample.count"])
    chances = _split(columns["sample.probabilities"], columns["sample.count"])
    facts = zip(columns["sample.version"].tolist(), columns["sample.population"].tolist(), parts, chances, strict=True)
    for number, given in enumerate(facts, state.released):
        state.samples[number] = Given(*given)


def _restore_items(state: State, columns: dict[str, NDArray[Any]]) -> None:
    items, rows = state.items.used(), state.rows.used()
    if members := _split(columns["members"], columns["members.count"]):
        state.tables.unite(items, members)
    state.item_slots = dict(zip(state.items["id"][items].tolist(), items.tolist(), strict=True))
    for batch in state.batches.used().tolist():
        state.batch_slots[state.key(batch)] = batch
        state.batch_rows[batch] = np.full(int(state.batches["size"][batch]), -1, np.int64)
        if not state.batches["rows"][batch]:
            state.garbage.append(batch)
    for row, batch, index in zip(
        rows.tolist(), state.rows["batch"][rows].tolist(), state.rows["index"][rows].tolist(), strict=True
    ):
        state.batch_rows[batch][index] = row
    state.open_rows = rows[state.rows["open"][rows] >= 0]
    state.unit.rebuild()
    waits = items[~state.items["held"][items]]
    state.sampler.add(waits, state.items["priority"][waits])
    state.remover.add(waits, state.items["priority"][waits])
    state.remover.sampled(waits, state.items["times"][waits])


def settings(config: Config) -> dict[str, Any]:
    """The part of the settings that frames cannot be understood without."""
    return config.model_dump(
        include={"unit", "length", "stride", "group_size", "max_times_sampled", "steps_column"}, mode="json"
    )


def _places(slots: Slots, size: int) -> Ints:
    places = np.full(size, -1, np.int64)
    places[slots] = np.arange(len(slots))
    return places


def _joined(parts: list[NDArray[Any]], dtype: type = np.int64) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def _split(values: NDArray[Any], counts: Ints) -> list[NDArray[Any]]:
    """What `_joined` put together."""
    return np.split(values, np.cumsum(counts)[:-1]) if len(counts) else []
