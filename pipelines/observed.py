"""`Observed`: columns of what a step led to, for views: an entry of an observation, or a function of steps.

    reward.observed='{depth: blstats.12, nearness: "my_lab.goals:nearness"}'

They are computed when a batch is drawn, from what is stored, as all of a view is: another one can be asked of old
experience. A function gets `Steps` and gives one number of each step, NaN where it has nothing to say, which is NULL.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from envs.specs import ArraySpec, EnvSpec
from envs.trajectory import OBSERVATION, spec_of, unragged
from rewards.columns import Column


class Steps(NamedTuple):
    """N steps, one row of experience behind another.

    Attributes:
        before: what was seen before each step, by key of the observation `[N, …]`.
        action: what was done `[N, …]`.
        after: what was seen after it `[N, …]`.
        lengths: steps of each row; they sum to N. A row is a stretch of one episode, from anywhere in it.
    """

    before: Mapping[str, NDArray[Any]]
    action: NDArray[Any]
    after: Mapping[str, NDArray[Any]]
    lengths: NDArray[np.int64]


Function = Callable[[Steps], ArrayLike]


def outcomes(rows: pa.RecordBatch) -> dict[str, NDArray[Any]]:
    """The observation that each step led to, by key `[N, …]`: all but the first of each row.

    Raises:
        ValueError: they are no rows of experience.
    """
    return {key: _seen(rows, key, spec, first=True) for key, spec in spec_of(rows.schema)[0].observation.items()}


def steps_of(rows: pa.RecordBatch) -> Steps:
    """The steps of all rows."""
    spec, _ = spec_of(rows.schema)
    before = {key: _seen(rows, key, array, first=False) for key, array in spec.observation.items()}
    action = unragged(rows.column("action"), spec.action.shape)
    return Steps(before, action, outcomes(rows), rows.column("env_reward").value_lengths().to_numpy())


class Observed:
    """The columns of one experiment."""

    def __init__(self, wanted: Mapping[str, str]) -> None:
        """Columns by name, from `KEY`, `KEY.INDEX` (`KEY.0.3` of a matrix) or `module:function`.

        Raises:
            ValueError: a function that is not there.
        """
        self._entries = {name: text for name, text in wanted.items() if ":" not in text}
        self._functions = {name: _function(name, text) for name, text in wanted.items() if ":" in text}

    def check(self, spec: EnvSpec) -> None:
        """See that an environment shows what is read, and ask functions of two steps of zeros.

        Raises:
            ValueError: there is no such entry, or a function raises, or gives something else than a number a step.
        """
        for name, text in self._entries.items():
            _place(name, text, spec.observation)
        if self._functions:
            seen = {key: np.zeros((2, *(a.shape or (1,))), a.dtype) for key, a in spec.observation.items()}
            action = np.zeros((2, *spec.action.shape), spec.action.dtype)
            self._asked(Steps(seen, action, seen, np.array([2])))

    def __call__(self, rows: pa.RecordBatch) -> dict[str, Column]:
        """The columns of all steps of all rows, `[N]` each.

        Raises:
            ValueError: as `check`.
        """
        if not self._entries and not self._functions:
            return {}
        spec, _ = spec_of(rows.schema)
        found = {}
        for name, text in self._entries.items():
            key, index = _place(name, text, spec.observation)
            seen = _seen(rows, key, spec.observation[key], first=True)
            found[name] = _column(seen.reshape(len(seen), -1)[:, index])
        return found | (self._asked(steps_of(rows)) if self._functions else {})

    def _asked(self, steps: Steps) -> dict[str, Column]:
        found = {}
        for name, function in self._functions.items():
            try:
                values = np.asarray(function(steps), np.float32)
            except Exception as error:  # whatever the user's own code raises
                raise ValueError(f"column {name!r}: its function raised {type(error).__name__}: {error}") from error
            if values.shape != (len(steps.action),) or np.isinf(values).any():
                raise ValueError(
                    f"column {name!r}: its function gave shape {values.shape} for {len(steps.action)} steps; expected "
                    "one finite number of each, and NaN where there is none"
                )
            found[name] = _column(values)
        return found


def _seen(rows: pa.RecordBatch, key: str, spec: ArraySpec, first: bool) -> NDArray[Any]:
    """An observation of each step `[N, …]`; of each row's T + 1 without the first, or without the last."""
    lengths = rows.column("env_reward").value_lengths().to_numpy() + 1
    ends = np.cumsum(lengths)
    keep = np.ones(int(lengths.sum()), np.bool_)
    keep[ends - lengths if first else ends - 1] = False
    found: NDArray[Any] = unragged(rows.column(OBSERVATION + key), spec.shape or (1,))[keep]
    return found


def _column(values: NDArray[Any]) -> Column:
    return Column(values.astype(np.float32), np.isfinite(values))


def _place(name: str, text: str, observation: Mapping[str, ArraySpec]) -> tuple[str, int]:
    """Key and flat index of an entry."""
    key = text
    indices: list[int] = []
    while key not in observation and key.rpartition(".")[2].isdigit():
        key, _, last = key.rpartition(".")
        indices.insert(0, int(last))
    if key not in observation:
        raise ValueError(f"column {name!r}: got {text!r}; expected an observation out of {', '.join(observation)}")
    shape = observation[key].shape
    if len(indices) != len(shape) or any(i >= size for i, size in zip(indices, shape, strict=True)):
        example = ".".join([key, *("0" for _ in shape)])
        raise ValueError(f"column {name!r}: got {text!r} of shape {list(shape)}; expected one entry, such as {example}")
    return key, int(np.ravel_multi_index(tuple(indices), shape)) if shape else 0


def _function(name: str, path: str) -> Function:
    module, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"column {name!r}: {path!r} cannot be imported: {error}") from None
    if not callable(found):
        raise ValueError(f"column {name!r}: got {path!r}, which is {found!r}; expected a function of Steps")
    made: Function = found
    return made
