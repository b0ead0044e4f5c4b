"""`TrainBatch`: what a learner eats, and the way from Arrow rows to it.

Rows are trajectories of different lengths. They lie one behind another in flat tensors, so that no network ever
works on padding; the returns alone are computed on padded, time-major `[T, R]` tensors, which `pad` and `unpad` make
and unmake.

    rows       a0 a1 a2 | b0 b1            flat [N], lengths [3, 2]
    padded     a0 b0 / a1 b1 / a2 ·        [T, R], time runs down
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from envs.trajectory import OBSERVATION, spec_of

StepView = Callable[[pa.RecordBatch], NDArray[Any]]
"""Computes one number for each step of the rows of a batch: `[N]`, row by row."""


@dataclass(frozen=True)
class TrainBatch:
    """R trajectories of N steps in all, laid one behind another.

    The tensors may be views of stored experience, which can be read-only memory: never write into them.

    Attributes:
        observation: by key `[S, …]`, S = N + R: each row has one observation more than steps, to bootstrap from.
        lengths: steps of each row, `[R]`.
        initial_state: recurrent state before the first step of each row, `[R, H]`.
        action: `[N, …]`.
        behaviour_logprob: log-probability of the action under the policy that acted, `[N]`.
        reward: what the reward view says of each step, `[N]`.
        discount: 0 at a termination and 1 elsewhere (before the learner's gamma), `[N]`.
        policy_version_min: oldest weights that acted in each row, `[R]`.
        policy_version_max: newest weights that acted in each row, `[R]`.
        row_ids: identity of each row.
        weight: how much each step counts in the losses, `[N]`; None: all the same.
    """

    observation: Mapping[str, Tensor]
    lengths: Tensor
    initial_state: Tensor
    action: Tensor
    behaviour_logprob: Tensor
    reward: Tensor
    discount: Tensor
    policy_version_min: Tensor
    policy_version_max: Tensor
    row_ids: Sequence[str]
    weight: Tensor | None = None

    @property
    def frames(self) -> int:
        """N, the number of environment steps."""
        return len(self.reward)

    @property
    def rows(self) -> int:
        """R, the number of trajectories."""
        return len(self.lengths)

    def to(self, device: torch.device) -> TrainBatch:
        """The batch on `device`; itself where it is there already.

        To a GPU it goes by pinned memory on a stream of its own, so that a batch can be copied while another is learnt
        from; when this returns it has arrived.
        """
        if self.reward.device == device:
            return self
        if device.type != "cuda":
            return self._moved(lambda value: value.to(device))
        stream = torch.cuda.Stream(device)
        with torch.cuda.stream(stream):
            moved = self._moved(lambda value: value.pin_memory().to(device, non_blocking=True))
        stream.synchronize()
        return moved

    def _moved(self, move: Callable[[Tensor], Tensor]) -> TrainBatch:
        return TrainBatch(
            observation={key: move(value) for key, value in self.observation.items()},
            lengths=move(self.lengths),
            initial_state=move(self.initial_state),
            action=move(self.action),
            behaviour_logprob=move(self.behaviour_logprob),
            reward=move(self.reward),
            discount=move(self.discount),
            policy_version_min=move(self.policy_version_min),
            policy_version_max=move(self.policy_version_max),
            row_ids=self.row_ids,
            weight=None if self.weight is None else move(self.weight),
        )

    def select(self, rows: Tensor) -> TrainBatch:
        """The rows of the given indices `[r]`, in that order."""
        steps, positions = row_index(rows, self.lengths), row_index(rows, self.lengths + 1)
        return TrainBatch(
            observation={key: value[positions] for key, value in self.observation.items()},
            lengths=self.lengths[rows],
            initial_state=self.initial_state[rows],
            action=self.action[steps],
            behaviour_logprob=self.behaviour_logprob[steps],
            reward=self.reward[steps],
            discount=self.discount[steps],
            policy_version_min=self.policy_version_min[rows],
            policy_version_max=self.policy_version_max[rows],
            row_ids=[self.row_ids[int(row)] for row in rows],
            weight=None if self.weight is None else self.weight[steps],
        )


def build_batch(
    batches: Sequence[pa.RecordBatch], reward: StepView | None = None, weight: StepView | None = None
) -> TrainBatch:
    """A training batch out of stored rows.

    One Arrow batch is viewed without a copy, several are copied once.

    Args:
        batches: rows of `envs.trajectory.schema_for(...)`, all of one schema.
        reward: the reward view, called once for each Arrow batch; None: what the environment paid.
        weight: how much each step counts in the losses; None: all the same.

    Raises:
        ValueError: no rows; schemas differ; a view returned another shape than `[N]` or a number that is not finite.
    """
    batches = [batch for batch in batches if batch.num_rows]
    if not batches:
        raise ValueError("got no rows; expected at least one: ask the replay whether it can sample first")
    schema = batches[0].schema
    for batch in batches[1:]:
        if not batch.schema.equals(schema, check_metadata=True):
            raise ValueError(f"got rows of schema\n{batch.schema}\nbeside rows of schema\n{schema}\nin one batch")
    spec, state_size = spec_of(schema)

    def column(name: str) -> Tensor:
        return _tensor([_flat(batch.column(name)) for batch in batches])

    rewards = column("env_reward") if reward is None else _viewed("reward", reward, batches)
    lengths = _tensor([batch.column("env_reward").value_lengths() for batch in batches])
    return TrainBatch(
        observation={
            key: column(OBSERVATION + key).reshape(-1, *(array.shape or (1,)))
            for key, array in spec.observation.items()
        },
        lengths=lengths,
        initial_state=column("initial_state").reshape(len(lengths), state_size),
        action=column("action").reshape(-1, *spec.action.shape),
        behaviour_logprob=column("behaviour_logprob"),
        reward=rewards,
        discount=column("discount"),
        policy_version_min=column("policy_version_min"),
        policy_version_max=column("policy_version_max"),
        row_ids=[name for batch in batches for name in batch.column("row_id").to_pylist()],
        weight=None if weight is None else _viewed("weight", weight, batches),
    )


def _flat(column: pa.Array) -> pa.Array:
    """The numbers of a column, without its lists."""
    while isinstance(column, (pa.LargeListArray, pa.FixedSizeListArray)):
        column = column.flatten()
    return column


def _tensor(parts: Sequence[pa.Array]) -> Tensor:
    """Arrow numbers as one tensor `[N]`: a view of a single part, a copy of several."""
    if len(parts) == 1:
        # DLPack, because torch warns of every NumPy array that is read-only, as all of Arrow's are.
        return from_dlpack(parts[0])
    return torch.from_numpy(np.concatenate([part.to_numpy(zero_copy_only=True) for part in parts]))


def _viewed(name: str, view: StepView, batches: Sequence[pa.RecordBatch]) -> Tensor:
    """What `view` says of every step, float32 `[N]`, checked."""
    parts = []
    for batch in batches:
        steps = len(_flat(batch.column("env_reward")))
        values = np.asarray(view(batch), np.float32)
        if values.shape != (steps,):
            raise ValueError(f"the {name} view returned shape {values.shape}; expected one number a step, ({steps},)")
        if not np.isfinite(values).all():
            step = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(
                f"the {name} view returned {values[step]} at step {step} of {steps}; expected finite numbers: "
                "let the view say what a missing verdict is worth, or give the step weight 0"
            )
        parts.append(values)
    # A copy always: the view may have handed out memory that it keeps or that is read-only.
    return torch.from_numpy(np.concatenate(parts))


def step_index(lengths: Tensor) -> Tensor:
    """Where each step of flat rows lies in a time-major array.

    Args:
        lengths: steps of each row, `[R]`.

    Returns:
        `[N]`: time · R + row, for rows one behind another.
    """
    rows = len(lengths)
    row = torch.arange(rows, device=lengths.device).repeat_interleave(lengths)
    start = lengths.cumsum(0) - lengths
    return (torch.arange(len(row), device=lengths.device) - start[row]) * rows + row


def acting_index(lengths: Tensor) -> Tensor:
    """Where the observations that were acted on lie among all, leaving out the last of each row.

    Args:
        lengths: steps of each row, `[R]`; it has one observation more.

    Returns:
        `[N]`, indices into `[S]`.
    """
    row = torch.arange(len(lengths), device=lengths.device).repeat_interleave(lengths)
    return torch.arange(len(row), device=lengths.device) + row


def row_index(rows: Tensor, lengths: Tensor) -> Tensor:
    """Where the entries of the chosen rows lie in flat rows, `[n]`.

    Args:
        rows: indices of the chosen rows, `[r]`.
        lengths: entries of every row, `[R]`.
    """
    start = (lengths.cumsum(0) - lengths)[rows]
    chosen = lengths[rows]
    shift = (start - (chosen.cumsum(0) - chosen)).repeat_interleave(chosen)
    return torch.arange(len(shift), device=lengths.device) + shift


def pad(flat: Tensor, lengths: Tensor, fill: float = 0.0) -> tuple[Tensor, Tensor]:
    """Flat rows as time-major padded rows.

    Args:
        flat: entries of all rows, one row behind another, `[N, …]`.
        lengths: entries of each row, `[R]`.
        fill: what stands where a row has ended.

    Returns:
        The padded rows `[T, R, …]`, T the longest row, and the mask `[T, R]`, True where a row has an entry.
    """
    rows, longest = len(lengths), int(lengths.max())
    padded = flat.new_full((longest * rows, *flat.shape[1:]), fill)
    padded[step_index(lengths)] = flat
    mask = torch.arange(longest, device=lengths.device)[:, None] < lengths
    return padded.view(longest, rows, *flat.shape[1:]), mask


def unpad(padded: Tensor, lengths: Tensor) -> Tensor:
    """Time-major padded rows as flat rows, the inverse of `pad`.

    Args:
        padded: `[T, R, …]`.
        lengths: entries of each row, `[R]`.

    Returns:
        `[N, …]`, one row behind another.
    """
    return padded.reshape(-1, *padded.shape[2:])[step_index(lengths)]
