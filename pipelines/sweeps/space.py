"""Search spaces out of text: `[a,b]`, `uniform(low,high)`, `loguniform(…)`, `randint(…)`, `choice(…)`; nothing is run.

A list is a grid: each of its values is tried. The others are drawn, `samples` times for each point of the grid.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from pipelines.errors import UserError

CALL = re.compile(r"\s*([a-z_]+)\s*\((.*)\)\s*", re.DOTALL)
INSIDE = 0.37  # where between its bounds a continuous axis is tried, beside them: 1..3 gives no whole number


@dataclass(frozen=True)
class Grid:
    """Each of some values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Choice:
    """One of some values, all as likely."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Uniform:
    """A number in [low, high); `log`: uniform in its logarithm."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class RandInt:
    """A whole number in [low, high)."""

    low: int
    high: int


Axis = Grid | Choice | Uniform | RandInt


def parse_axis(key: str, text: str) -> Axis | None:
    """The axis that a value stands for; None where it is a plain value.

    Args:
        key: of the value, for what is said.
        text: what stands right of the `=`.

    Raises:
        UserError: it is meant as an axis and is none: no values, values that are there twice, bounds that are no
            numbers or in the wrong order, a logarithm of what is not positive, or a distribution that is not known.
    """
    if text.lstrip().startswith("["):
        return Grid(_values(key, text, text))
    call = CALL.fullmatch(text)
    if call is None:
        return None
    name, inner = call[1], call[2]
    if name == "choice":
        whole = inner if inner.lstrip().startswith("[") else f"[{inner}]"
        return Choice(_values(key, whole, text))
    if name in ("uniform", "loguniform"):
        low, high = _bounds(key, text, inner)
        if name == "loguniform" and low <= 0:
            raise UserError(f"{key}: got {text!r}; expected bounds above 0, of which there are logarithms")
        return Uniform(low, high, name == "loguniform")
    if name == "randint":
        low, high = _bounds(key, text, inner)
        if low != int(low) or high != int(high):
            raise UserError(f"{key}: got {text!r}; expected whole numbers; uniform(low,high) draws others")
        return RandInt(int(low), int(high))
    raise UserError(
        f"{key}: got {text!r}; expected a list [a,b], uniform(low,high), loguniform(low,high), randint(low,high) or "
        "choice(a,b)"
    )


def parse_space(words: Sequence[str]) -> tuple[dict[str, Axis], list[str]]:
    """The axes by key among `key=value` words, and the other words.

    Raises:
        UserError: an axis is none (see `parse_axis`), a key comes twice, or there is no axis.
    """
    space: dict[str, Axis] = {}
    rest: list[str] = []
    seen: set[str] = set()
    for word in words:
        key, _, text = word.partition("=")
        if key in seen:
            raise UserError(f"got {key!r} twice; give it once")
        seen.add(key)
        axis = parse_axis(key, text)
        if axis is None:
            rest.append(word)
        else:
            space[key] = axis
    if not space:
        raise UserError("got nothing to search; expected a key with several values, such as seed=[1,2,3]")
    return space, rest


def points(space: Mapping[str, Axis], samples: int) -> int:
    """How many trials a space gives: `samples` for each point of its grid."""
    return samples * math.prod(len(axis.values) for axis in space.values() if isinstance(axis, Grid))


def corners(space: Mapping[str, Axis], limit: int = 256) -> Iterator[dict[str, Any]]:
    """Points by which a space is checked: every listed value, and of an interval its ends and one within.

    Each value comes at least once, with the first of the other axes; then their combinations, up to `limit`.
    """
    tried = {key: _tried(axis) for key, axis in space.items()}
    first = {key: values[0] for key, values in tried.items()}
    for key, values in tried.items():
        for value in values:
            yield {**first, key: value}
    for combination in itertools.islice(itertools.product(*tried.values()), limit):
        yield dict(zip(tried, combination, strict=True))


def word(key: str, value: Any) -> str:
    """`key=value` as the command line reads it back."""
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf, allow_unicode=True).removesuffix("\n")
    return f"{key}={text.removesuffix('...').strip()}"


def _tried(axis: Axis) -> tuple[Any, ...]:
    if isinstance(axis, Uniform):
        return axis.low, axis.low + INSIDE * (axis.high - axis.low), axis.high
    if isinstance(axis, RandInt):
        return tuple(dict.fromkeys((axis.low, axis.high - 1)))
    return axis.values


def _values(key: str, whole: str, text: str) -> tuple[Any, ...]:
    try:
        values = yaml.safe_load(whole)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise UserError(f"{key}: got {text!r}, which is not a list; quote what holds commas or brackets") from None
    if not isinstance(values, list) or not values:
        raise UserError(f"{key}: got {text!r}; expected one value at least")
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        raise UserError(f"{key}: got {text!r}; expected finite numbers")
    if len({repr(value) for value in values}) < len(values):
        raise UserError(f"{key}: got {text!r}; expected each value once")
    return tuple(values)


def _bounds(key: str, text: str, inner: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in inner.split(","))
    except ValueError:
        raise UserError(f"{key}: got {text!r}; expected two numbers, low and high") from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UserError(f"{key}: got {text!r}; expected finite numbers")
    if low >= high:
        raise UserError(f"{key}: got {text!r}; expected low < high")
    return low, high
