"""`Subjects`: stored trajectories as reward functions see them: one record a step, a row, or an episode.

| kind | identity | columns, by the names of arguments |
|---|---|---|
| step | `EPISODE:STEP` | its scalars (`action`, …), `caption`, `step`, facts of the row, `observation_KEY` |
| row | `row_id` | arrays `[T]`, `captions`, facts of the row, `observation_KEY` `[T+1, …]` |
| episode | `episode_id` | the same over all rows of a whole episode |

`observation_KEY` of a step is what the step led to. Only columns that are asked for are read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from envs.specs import EnvSpec
from envs.trajectory import OBSERVATION, spec_of, unragged

KINDS = ("step", "row", "episode")
IDENTITY = ("row_id", "episode_id", "first_step", "policy_version_max", "env_reward", "ended")
NAMED_DIFFERENTLY = "observation_"  # arguments cannot have a dot in their names
UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # a caption whose text was lost: it judges like no other


def names(kind: str, schema: pa.Schema) -> tuple[str, ...]:
    """The columns that a reward function of a kind can ask for.

    Raises:
        ValueError: there are no such subjects in stored trajectories.
    """
    if kind not in KINDS:
        raise ValueError(f"got subject {kind!r}; stored trajectories have captions, {'s, '.join(KINDS)}s")
    found = [_argument(name) for name in schema.names]
    return (*found, *(("caption", "step") if kind == "step" else ("captions",)))


@dataclass(frozen=True)
class Subjects:
    """N subjects of one kind.

    Attributes:
        ids: `[N]` strings, each once.
        policy_versions: that acted `[N]`.
        left_out: episodes that are not whole, and so cannot be judged.
    """

    kind: str
    ids: pa.Array
    policy_versions: NDArray[np.int64]
    left_out: int
    _rows: tuple[_Rows, ...]
    _starts: NDArray[np.int64]

    def __len__(self) -> int:
        """N."""
        return len(self.ids)

    def columns(self, start: int, stop: int) -> dict[str, list[Any]]:
        """Columns of the subjects from `start` to `stop`, as `RewardFunction.answer` takes them."""
        found: dict[str, list[Any]] = {}
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        for part, begin in zip(self._rows[first:], self._starts[first:], strict=True):
            if begin >= stop:
                break
            for name, values in part.columns(max(start - begin, 0), min(stop - begin, len(part))).items():
                found.setdefault(name, []).extend(values)
        return found


def subjects_of(
    kind: str, batches: Sequence[pa.RecordBatch], captions: Mapping[int, str], arguments: Collection[str]
) -> Subjects:
    """All subjects of a kind in stored trajectories.

    Args:
        kind: "step", "row" or "episode".
        batches: of one schema.
        captions: text by id.
        arguments: names of the columns that will be asked for.

    Raises:
        ValueError: there are no such subjects, or the batches are no trajectories.
    """
    if not batches:
        raise ValueError("got no stored experience; expected at least one batch")
    names(kind, batches[0].schema)
    spec, _ = spec_of(batches[0].schema)
    left_out = 0
    if kind == "episode":
        wanted = [name for name in batches[0].schema.names if name in IDENTITY or _argument(name) in arguments]
        wanted += ["caption_id"] if "captions" in arguments and "caption_id" not in wanted else []
        batches, left_out = _whole_episodes([batch.select(wanted) for batch in batches])
    read = [_Rows(kind, batch, spec, captions, frozenset(arguments)) for batch in batches if batch.num_rows]
    empty = pa.array([], pa.string())
    return Subjects(
        kind,
        pa.concat_arrays([part.ids for part in read]) if read else empty,
        np.concatenate([part.policy_versions for part in read]) if read else np.zeros(0, np.int64),
        left_out,
        tuple(read),
        np.cumsum([0, *(len(part) for part in read)])[: len(read)],
    )


class _Rows:
    """The subjects in one batch of rows; rows of one episode are neighbours where episodes are meant."""

    def __init__(
        self, kind: str, batch: pa.RecordBatch, spec: EnvSpec, captions: Mapping[int, str], arguments: frozenset[str]
    ) -> None:
        self._kind, self._batch, self._spec, self._captions, self._arguments = kind, batch, spec, captions, arguments
        steps = batch.column("env_reward").value_lengths().to_numpy()
        self._step_starts = np.concatenate([[0], np.cumsum(steps)])
        self._row_of_step = np.repeat(np.arange(batch.num_rows), steps)
        versions = batch.column("policy_version_max").to_numpy()
        match kind:
            case "step":
                first = batch.column("first_step").to_numpy()
                within = np.arange(len(self._row_of_step)) - self._step_starts[:-1][self._row_of_step]
                self._step = first[self._row_of_step] + within
                episodes = batch.column("episode_id").take(pa.array(self._row_of_step))
                number = pc.cast(pa.array(self._step), pa.string())
                self.ids = pc.binary_join_element_wise(episodes, number, ":")
                self._row_starts = np.arange(len(self.ids) + 1)
                self.policy_versions = versions[self._row_of_step]
            case "row":
                self.ids = batch.column("row_id")
                self._row_starts = np.arange(batch.num_rows + 1)
                self.policy_versions = versions
            case _:
                encoded = batch.column("episode_id").dictionary_encode()
                self.ids = encoded.dictionary
                self._row_starts = np.searchsorted(encoded.indices.to_numpy(), np.arange(len(self.ids) + 1))
                self.policy_versions = versions[self._row_starts[1:] - 1]

    def __len__(self) -> int:
        return len(self.ids)

    def columns(self, start: int, stop: int) -> dict[str, list[Any]]:
        """Columns of the subjects from `start` to `stop`."""
        asked = [name for name in names(self._kind, self._batch.schema) if name in self._arguments]
        return {name: self._column(name, start, stop) for name in asked}

    def _column(self, name: str, start: int, stop: int) -> list[Any]:
        if name == "step" and self._kind == "step":
            return self._step[start:stop].tolist()  # type: ignore[no-any-return]
        if name in ("caption", "captions"):
            ids = self._column("caption_id", start, stop)
            if self._kind == "step":
                return [self._text(ident) for ident in ids]
            return [[self._text(ident) for ident in one.tolist()] for one in ids]
        if name.startswith(NAMED_DIFFERENTLY):
            return self._observations(name.removeprefix(NAMED_DIFFERENTLY), start, stop)
        column = self._batch.column(name)
        if not isinstance(column, pa.LargeListArray):
            return self._facts(column, start, stop)
        values = unragged(column, self._spec.action.shape if name == "action" else ())
        if self._kind == "step":
            return values[start:stop].tolist()  # type: ignore[no-any-return]
        cuts = self._step_starts[self._row_starts[start : stop + 1]]
        return [values[a:b] for a, b in pairwise(cuts)]

    def _facts(self, column: pa.Array, start: int, stop: int) -> list[Any]:
        """A fact of rows: each step has its row's, each episode its last row's."""
        if self._kind == "step":
            return column.take(pa.array(self._row_of_step[start:stop])).to_pylist()  # type: ignore[no-any-return]
        return column.take(pa.array(self._row_starts[start + 1 : stop + 1] - 1)).to_pylist()  # type: ignore[no-any-return]

    def _observations(self, key: str, start: int, stop: int) -> list[Any]:
        array = self._spec.observation[key]
        values = unragged(self._batch.column(OBSERVATION + key), array.shape or (1,))
        if self._kind == "step":  # row r holds one observation more than steps: its first one led to by no step
            steps = np.arange(start, stop)
            return list(values[steps + self._row_of_step[start:stop] + 1])
        starts = self._step_starts + np.arange(len(self._step_starts))
        found = []
        for subject in range(start, stop):
            first, last = self._row_starts[subject], self._row_starts[subject + 1]
            parts = [values[starts[row] : starts[row + 1] - (row + 1 < last)] for row in range(first, last)]
            found.append(parts[0] if len(parts) == 1 else np.concatenate(parts))
        return found

    def _text(self, ident: int) -> str:
        return self._captions.get(ident, UNKNOWN) if ident else ""


def _argument(column: str) -> str:
    """The argument that a column is given to."""
    return column.replace(OBSERVATION, NAMED_DIFFERENTLY, 1) if column.startswith(OBSERVATION) else column


def _whole_episodes(batches: Sequence[pa.RecordBatch]) -> tuple[list[pa.RecordBatch], int]:
    """Rows of whole episodes, in order, and how many episodes are not whole."""
    facts = pa.Table.from_batches([b.select(["episode_id", "first_step", "ended"]) for b in batches])
    steps = np.concatenate([b.column("env_reward").value_lengths().to_numpy() for b in batches])
    encoded = facts.column("episode_id").combine_chunks().dictionary_encode()
    episode, first = encoded.indices.to_numpy(), facts.column("first_step").to_numpy()
    order = np.lexsort((first, episode))
    episode, first, steps = episode[order], first[order], steps[order]
    ended = facts.column("ended").to_numpy()[order]
    begins = np.concatenate([[True], episode[1:] != episode[:-1]])
    fits = np.concatenate([[True], first[1:] == first[:-1] + steps[:-1]])
    fits = np.where(begins, first == 0, fits)
    last = np.concatenate([begins[1:], [True]])
    whole = np.logical_and.reduceat(fits & (ended | ~last), np.flatnonzero(begins))
    rows = order[whole[np.cumsum(begins) - 1]]
    if not rows.size:
        return [], len(whole)
    chosen = pa.Table.from_batches(batches).take(pa.array(rows)).combine_chunks()
    return chosen.to_batches(), int(len(whole) - whole.sum())
