"""What a report reads of stored experience: a sample, so that ten million steps cost no more than a few thousand.

Batches are chosen evenly over all that is stored, and steps evenly within them; the newest batches are read for
episodes. What was left out is said in `Sample.said`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.storage.store import Position, Store, open_store
from envs.trajectory import OBSERVATION
from pipelines.reward_stage import RewardStage, layout_of
from pipelines.run_directory import RunDirectory
from rewards.columns import Column
from rewards.views.view import REWARD

BATCHES, ROWS = 256, 2048
ROWS_OBSERVED = 192  # where rewards are made from observations, which are long
NEWEST_ROWS = 4096
NEWEST_BATCHES = 512


@dataclass(frozen=True)
class Sample:
    """Rewards of stored steps, as the newest checkpoint's view sees them; S steps in the order of storing.

    Attributes:
        reward: `[S]`.
        known: `[S]`, False where the reward is NULL.
        terms: what each component and part put into the reward, `[S]` each.
        components: what the view read, `[S]` each.
        position: `[S]`, from 0 (stored first) to 1 (last).
        rows: sampled.
        all_rows: stored.
    """

    reward: NDArray[np.float32]
    known: NDArray[np.bool_]
    terms: Mapping[str, NDArray[np.float64]]
    components: Mapping[str, Column]
    position: NDArray[np.float64]
    rows: int
    all_rows: int

    @property
    def said(self) -> str:
        """How much of what is stored this is."""
        steps = f"{len(self.reward):,} steps"
        if self.rows == self.all_rows:
            return f"all {steps} that are stored, in {self.rows:,} rows"
        return f"a sample of {steps}: {self.rows:,} of the {self.all_rows:,} stored rows, evenly"


def sample_rewards(directory: RunDirectory, stage: RewardStage) -> Sample | None:
    """Rewards of a sample of what is stored; None where nothing is, or rewards are not of steps.

    Args:
        directory: the run.
        stage: the reward view of its newest checkpoint.

    Raises:
        OSError, ValueError: what is stored cannot be read.
    """
    bare = stage.novelty is None and not stage.config.observed  # it reads no observations
    most = ROWS if bare else ROWS_OBSERVED
    pieces: list[tuple[float, pa.RecordBatch]] = []
    stores = [open_store(path) for path in directory.shards()]
    try:
        places = [(store, stored) for store in stores for stored in store if stored.rows]
        total = sum(stored.rows for _, stored in places)
        if not total:
            return None
        chosen = [places[i] for i in np.unique(np.linspace(0, len(places) - 1, BATCHES).astype(int))]
        each = max(1, most // len(chosen))
        before = dict(zip(map(id, (s for _, s in places)), np.cumsum([0, *(s.rows for _, s in places)]), strict=False))
        for store, stored in chosen:
            batch = store.read(stored.position)
            if bare:
                batch = batch.select([name for name in batch.schema.names if not name.startswith(OBSERVATION)])
            rows = np.unique(np.linspace(0, stored.rows - 1, min(each, stored.rows)).astype(int))
            pieces.append((float(before[id(stored)]) / total, batch.take(pa.array(rows))))
        return _rewards(pieces, stage, total)
    finally:
        for store in stores:
            store.close()


def _rewards(pieces: list[tuple[float, pa.RecordBatch]], stage: RewardStage, total: int) -> Sample | None:
    rewards, known, positions, rows = [], [], [], 0
    terms: dict[str, list[NDArray[np.float64]]] = {}
    components: dict[str, list[Column]] = {}
    sizes: list[int] = []
    for position, piece in pieces:
        columns, layout = stage.columns(piece), layout_of(piece)
        result = stage.view.apply(columns, layout, learn=False)
        size = len(columns["extrinsic"].values)
        if len(result.reward) != size:
            return None  # rewards of whole rows or episodes: there is nothing to tell of a step
        for name, values in stage.view.attribute(columns, layout)[REWARD].items():
            # A term that first comes later was 0 before, and one that does not come again is 0 from here.
            terms.setdefault(name, [np.zeros(n) for n in sizes]).append(np.asarray(values, np.float64))
        for name, column in columns.items():
            components.setdefault(name, []).append(column)
        sizes.append(size)
        for known_terms in terms.values():
            if len(known_terms) < len(sizes):
                known_terms.append(np.zeros(size))
        rewards.append(result.reward)
        known.append(result.weight > 0)
        positions.append(np.full(size, position))
        rows += piece.num_rows
    return Sample(
        reward=np.concatenate(rewards),
        known=np.concatenate(known),
        terms={name: np.concatenate(values) for name, values in terms.items()},
        components={
            name: Column(np.concatenate([c.values for c in found]), np.concatenate([c.valid for c in found]))
            for name, found in components.items()
        },
        position=np.concatenate(positions),
        rows=rows,
        all_rows=total,
    )


def newest_batches(directory: RunDirectory) -> tuple[list[pa.RecordBatch], bool]:
    """The newest batches of a run, oldest first, share by share; and whether there are older ones.

    Raises:
        OSError, ValueError: what is stored cannot be read.
    """
    found: list[pa.RecordBatch] = []
    older = False
    paths = directory.shards()
    for path in paths:
        with open_store(path) as store:
            kept, cut = _newest(store, NEWEST_ROWS // len(paths), NEWEST_BATCHES // len(paths))
            found += kept
            older = older or cut
    return found, older


def _newest(store: Store, most_rows: int, most_batches: int) -> tuple[list[pa.RecordBatch], bool]:
    rows = 0
    chosen: list[Position] = []
    places = list(store)
    for stored in reversed(places):
        if chosen and (rows + stored.rows > most_rows or len(chosen) == most_batches):
            break
        rows += stored.rows
        chosen.append(stored.position)
    return [store.read(position) for position in reversed(chosen)], len(chosen) < len(places)
