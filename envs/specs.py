"""What an environment sees and accepts: typed, shaped, without any framework.

Specs are plain data. They travel as JSON in the metadata of the stored experience, so that a file can be
read without the environment that wrote it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ArraySpec:
    """Shape and dtype of one observation array of one step."""

    shape: tuple[int, ...]
    dtype: str

    def __post_init__(self) -> None:
        """Refuse dtypes that Arrow buffers cannot carry without a copy."""
        if np.dtype(self.dtype).kind not in "iuf":
            raise ValueError(
                f"got an observation of dtype {self.dtype!r}; expected an integer or float dtype "
                "(booleans as uint8): convert it in the environment"
            )

    @property
    def size(self) -> int:
        """Number of elements of one step."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Discrete:
    """One choice out of `n`."""

    n: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one action."""
        return ()

    @property
    def dtype(self) -> str:
        """Dtype in which actions are stored."""
        return "int64"

    def contains(self, action: Any) -> bool:
        """Whether `action` is legal."""
        return 0 <= int(action) < self.n


@dataclass(frozen=True)
class MultiDiscrete:
    """Several independent choices; `nvec[k]` options for the k-th."""

    nvec: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one action."""
        return (len(self.nvec),)

    @property
    def dtype(self) -> str:
        """Dtype in which actions are stored."""
        return "int64"

    def contains(self, action: Any) -> bool:
        """Whether `action` is legal."""
        values = np.asarray(action)
        return bool(values.shape == self.shape and np.all(values >= 0) and np.all(values < np.asarray(self.nvec)))


@dataclass(frozen=True)
class Box:
    """A real vector; actions outside `[low, high]` are clipped by the environment's adapter."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one action."""
        return (len(self.low),)

    @property
    def dtype(self) -> str:
        """Dtype in which actions are stored."""
        return "float32"

    def contains(self, action: Any) -> bool:
        """Whether `action` has the right shape and is finite."""
        values = np.asarray(action)
        return bool(values.shape == self.shape and np.all(np.isfinite(values)))


ActionSpec = Discrete | MultiDiscrete | Box


@dataclass(frozen=True)
class EnvSpec:
    """Everything a policy and a store must know of an environment."""

    observation: Mapping[str, ArraySpec]
    action: ActionSpec
    action_names: tuple[str, ...] = field(default=())

    def to_json(self) -> str:
        """The spec as JSON with sorted keys, the same text for equal specs."""
        action = {"kind": type(self.action).__name__, **vars(self.action)}
        observation = {k: {"shape": list(v.shape), "dtype": v.dtype} for k, v in self.observation.items()}
        return json.dumps(
            {"observation": observation, "action": action, "action_names": list(self.action_names)}, sort_keys=True
        )

    @classmethod
    def from_json(cls, text: str) -> EnvSpec:
        """Read what `to_json` wrote.

        Raises:
            ValueError: the action kind is unknown.
        """
        raw = json.loads(text)
        kinds: dict[str, type[Discrete] | type[MultiDiscrete] | type[Box]] = {
            "Discrete": Discrete,
            "MultiDiscrete": MultiDiscrete,
            "Box": Box,
        }
        action = dict(raw["action"])
        kind = action.pop("kind")
        if kind not in kinds:
            raise ValueError(f"got an action spec of kind {kind!r}; expected one of {sorted(kinds)}")
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in action.items()}
        return cls(
            observation={k: ArraySpec(tuple(v["shape"]), v["dtype"]) for k, v in raw["observation"].items()},
            action=kinds[kind](**fields),
            action_names=tuple(raw["action_names"]),
        )


Observation = Mapping[str, NDArray[Any]]
