"""`Trajectory` and `Fragment`: the record of experience, in Arrow.

A trajectory is up to T consecutive steps of one episode: one Arrow row. What one actor gathered in one rollout is a
batch of such rows, and a fragment says whose they are and which captions were first seen in them. Rows store facts:
observations, actions, what the environment paid, which caption a step produced and how often it was seen before in
that episode. Rewards are views that are computed later, over verdicts (see rewards/views/).

Columns of a row of T steps:

| column | length | meaning |
|---|---|---|
| row_id, episode_id | 1 | identity; `actor/epoch/sequence/index` and `actor/epoch/env/episode` |
| actor, actor_epoch, sequence | 1 | who wrote it, for exactly-once accounting |
| env_index, first_step | 1 | which environment of the actor; position of the first step in the episode |
| policy_version_min, policy_version_max | 1 | weights that acted |
| observation.KEY | T+1 | the last one bootstraps |
| initial_state | 1 | recurrent state before the first step |
| action, behaviour_logprob | T | of the acting policy |
| env_reward, discount | T | discount is 0.0 only at a termination |
| caption_id, caption_count | T | caption of the step's outcome (0: none) and its count in the episode so far, from 1 |
| ended, success | 1 | whether the episode ends with this row; whether it was solved (NULL: does not say) |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.specs import EnvSpec

SCHEMA_VERSION = 1
OBSERVATION = "observation."


def schema_for(spec: EnvSpec, state_size: int) -> pa.Schema:
    """The Arrow schema of trajectories of an environment and a policy with `state_size` recurrent numbers."""

    def per_step(shape: tuple[int, ...], dtype: str) -> pa.DataType:
        value = pa.from_numpy_dtype(np.dtype(dtype))
        size = int(np.prod(shape, dtype=np.int64))
        return pa.large_list(pa.list_(value, size) if shape else value)

    fields = [
        ("row_id", pa.string()),
        ("episode_id", pa.string()),
        ("actor", pa.int32()),
        ("actor_epoch", pa.int32()),
        ("sequence", pa.int64()),
        ("env_index", pa.int32()),
        ("first_step", pa.int64()),
        ("policy_version_min", pa.int64()),
        ("policy_version_max", pa.int64()),
        *((OBSERVATION + key, per_step(a.shape or (1,), a.dtype)) for key, a in spec.observation.items()),
        ("initial_state", pa.list_(pa.float32(), state_size)),
        ("action", per_step(spec.action.shape, spec.action.dtype)),
        ("behaviour_logprob", pa.large_list(pa.float32())),
        ("env_reward", pa.large_list(pa.float32())),
        ("discount", pa.large_list(pa.float32())),
        ("caption_id", pa.large_list(pa.int64())),
        ("caption_count", pa.large_list(pa.int32())),
        ("ended", pa.bool_()),
    ]
    return pa.schema(
        [pa.field(name, kind, nullable=False) for name, kind in fields] + [pa.field("success", pa.bool_())],
        metadata={
            "guerdon_schema": "trajectory",
            "schema_version": str(SCHEMA_VERSION),
            "env_spec": spec.to_json(),
            "state_size": str(state_size),
        },
    )


def spec_of(schema: pa.Schema) -> tuple[EnvSpec, int]:
    """The environment spec and the recurrent state size that a stored schema names.

    Raises:
        ValueError: the schema is not one of trajectories, or of another version.
    """
    meta = {k.decode(): v.decode() for k, v in (schema.metadata or {}).items()}
    found = (meta.get("guerdon_schema"), meta.get("schema_version"))
    if found != ("trajectory", str(SCHEMA_VERSION)):
        raise ValueError(f"got data of kind and version {found}; expected ('trajectory', '{SCHEMA_VERSION}')")
    return EnvSpec.from_json(meta["env_spec"]), int(meta["state_size"])


def ragged(values: NDArray[Any], lengths: Sequence[int] | NDArray[np.int64]) -> pa.LargeListArray:
    """Concatenated steps `[S, …]` as one Arrow list per row, without copying `values`.

    Args:
        values: all rows' steps, one after another.
        lengths: steps of each row; they sum to S.
    """
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    flat: pa.Array = pa.array(np.ascontiguousarray(values).reshape(-1))
    if values.ndim > 1:
        flat = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))
    return pa.LargeListArray.from_arrays(pa.array(offsets), flat)


def unragged(column: pa.LargeListArray, shape: tuple[int, ...] = ()) -> NDArray[Any]:
    """The steps of a list column as one array `[S, *shape]`, a view of the Arrow buffer."""
    flat = column.flatten()
    if isinstance(flat, pa.FixedSizeListArray):
        flat = flat.flatten()
    values: NDArray[Any] = flat.to_numpy(zero_copy_only=True)
    return values.reshape(-1, *shape) if shape else values


@dataclass(frozen=True)
class EpisodeEnd:
    """What became of one episode, for displays and reports.

    Attributes:
        env_return: undiscounted sum of environment rewards.
        length_steps: steps in the episode.
        success: whether it was solved; None where the task does not say.
        truncated: whether it was cut off rather than over.
    """

    episode_id: str
    env_return: float
    length_steps: int
    success: bool | None
    truncated: bool


@dataclass(frozen=True)
class Fragment:
    """What one actor says of one rollout; the trajectories themselves travel beside it, as Arrow rows.

    Attributes:
        key: actor, actor epoch and sequence number: who wrote it, once.
        policy_version: weights that acted.
        frames: environment steps taken.
        rows: number of trajectories.
        captions: text by id, of captions that this actor (in this epoch) had not sent before.
        caption_steps: how many steps had a caption, and how often each id occurred in them.
        episodes: episodes that ended in this rollout.
        seconds: time by stage.
    """

    key: tuple[int, int, int]
    policy_version: int
    frames: int
    rows: int
    captions: Mapping[int, str]
    caption_steps: Mapping[int, int]
    episodes: Sequence[EpisodeEnd]
    seconds: Mapping[str, float] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """As plain JSON values, to be kept beside the rows."""
        plain = asdict(self)
        for name in ("captions", "caption_steps"):
            plain[name] = [[ident, value] for ident, value in plain[name].items()]
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Fragment:
        """What `to_plain` gave."""
        lists = {name: dict(plain[name]) for name in ("captions", "caption_steps")}
        episodes = [EpisodeEnd(**episode) for episode in plain["episodes"]]
        actor, epoch, sequence = plain["key"]
        return cls(**{**plain, **lists, "key": (actor, epoch, sequence), "episodes": episodes})


@dataclass(frozen=True)
class Trajectory:
    """One row of stored experience, as arrays.

    Attributes:
        observation: arrays `[T+1, …]` by key.
        columns: every other column, lists as arrays `[T]`.
    """

    observation: Mapping[str, NDArray[Any]]
    columns: Mapping[str, Any]

    @property
    def length(self) -> int:
        """T, the number of steps."""
        return len(self.columns["env_reward"])


def trajectories(batch: pa.RecordBatch) -> Iterator[Trajectory]:
    """The rows of a batch one by one."""
    spec, _ = spec_of(batch.schema)
    for index in range(batch.num_rows):
        row = batch.slice(index, 1)
        observation, columns = {}, {}
        for name in batch.schema.names:
            column = row.column(name)
            if name.startswith(OBSERVATION):
                key = name.removeprefix(OBSERVATION)
                observation[key] = unragged(column, spec.observation[key].shape)
            elif name == "action":
                columns[name] = unragged(column, spec.action.shape)
            elif isinstance(column, pa.LargeListArray):
                columns[name] = unragged(column)
            else:
                columns[name] = column[0].as_py()
        yield Trajectory(observation, columns)


class InvalidTrajectory(ValueError):
    """Experience that breaks the contract; the message names episode, column and step."""


def validate(batch: pa.RecordBatch) -> None:
    """Check lengths, finiteness and ranges of every row.

    Raises:
        InvalidTrajectory: names the episode, the column and the step.
    """
    spec, _ = spec_of(batch.schema)
    episodes = batch.column("episode_id")
    steps = batch.column("env_reward").value_lengths().to_numpy()

    def blame(row: int, column: str, step: int, problem: str) -> InvalidTrajectory:
        return InvalidTrajectory(f"episode {episodes[row].as_py()}, column {column!r}, step {step}: {problem}")

    def row_and_step(flat: int, lengths: NDArray[np.int64]) -> tuple[int, int]:
        ends = np.cumsum(lengths)
        row = int(np.searchsorted(ends, flat, side="right"))
        return row, flat - int(ends[row] - lengths[row])

    if len(steps) and steps.min() < 1:
        raise blame(int(steps.argmin()), "env_reward", 0, "got no steps; expected at least one")
    for name in batch.schema.names:
        column = batch.column(name)
        if not isinstance(column, pa.LargeListArray):
            continue
        expected = steps + 1 if name.startswith(OBSERVATION) else steps
        lengths = column.value_lengths().to_numpy()
        if (wrong := np.flatnonzero(lengths != expected)).size:
            row = int(wrong[0])
            raise blame(row, name, int(lengths[row]), f"got {lengths[row]} entries; expected {expected[row]}")
        values = unragged(column)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            flat = int(np.flatnonzero(~np.isfinite(values))[0]) // (len(values) // int(lengths.sum()))
            row, step = row_and_step(flat, lengths)
            raise blame(row, name, step, "got NaN or infinity; expected finite numbers: mend the environment")
    discount = unragged(batch.column("discount"))
    if (wrong := np.flatnonzero((discount < 0) | (discount > 1))).size:
        row, step = row_and_step(int(wrong[0]), steps)
        raise blame(row, "discount", step, f"got {discount[wrong[0]]}; expected 0 to 1")
    for key in spec.observation:
        if OBSERVATION + key not in batch.schema.names:
            raise InvalidTrajectory(f"column {OBSERVATION + key!r} is missing; the environment's spec names it")
