"""Runs of one recipe that differ in their seed are one group: a curve over them, with an interval.

The interval is Student's t over seeds, at each point of a grid that all seeds of the group have reached: the mean lies
within it with 95 % confidence where seeds are independent and not too skewed. With one seed there is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.overrides import dotted
from pipelines.reports.charts import MAX_POINTS
from pipelines.stored.records import Records

OF_NO_CONSEQUENCE = ("name", "seed", "tracking", "checkpoint", "report_every_s", "record_mb", "stall_timeout_s")
"""Settings by which runs of one recipe may differ: where they go, and how often they say how they do."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Group:
    """Runs of one recipe.

    Attributes:
        name: for people.
        runs: in the order given.
        members: their positions among all runs.
    """

    name: str
    runs: tuple[Records, ...]
    members: tuple[int, ...]


@dataclass(frozen=True)
class Band:
    """A curve over seeds.

    Attributes:
        points: mean at each x.
        interval: low and high at each x; None where one seed is all there is.
        seeds: how many there are.
    """

    points: tuple[tuple[float, float], ...]
    interval: tuple[tuple[float, float], ...] | None
    seeds: int


def group_runs(runs: Sequence[Records]) -> list[Group]:
    """Runs whose settings differ in nothing but seed and book-keeping, together; in the order of their first runs.

    A run whose settings are not known, or whose seed is in its group already, is a group by itself.
    """
    found: list[list[int]] = []
    keys: list[str] = []
    seeds: list[set[object]] = []
    for position, run in enumerate(runs):
        key = _key(run.config)
        seed = run.config.get("seed")
        fits = [i for i, known in enumerate(keys) if key and known == key and seed not in seeds[i]]
        if fits:
            found[fits[0]].append(position)
            seeds[fits[0]].add(seed)
        else:
            found.append([position])
            keys.append(key)
            seeds.append({seed})
    names = _names([runs[members[0]] for members in found])
    return [
        Group(
            name if len(members) == 1 else f"{name} × {len(members)} seeds",
            tuple(runs[i] for i in members),
            (*members,),
        )
        for name, members in zip(names, found, strict=True)
    ]


def band(curves: Sequence[Points], low: float | None = None, high: float | None = None) -> Band:
    """The mean of several curves and its 95 % interval, on a grid from the latest beginning to the earliest end.

    Args:
        curves: of one seed each, x not falling; those without a point are left out.
        low: what the quantity cannot be below; the interval is cut there.
        high: what it cannot exceed.
    """
    known = [np.array(curve, np.float64) for curve in curves if len(curve)]
    if len(known) < 2:
        return Band(tuple((float(x), float(y)) for x, y in known[0]) if known else (), None, len(known))
    from scipy.stats import t as student  # slow to import, and a report of one run does without

    first, last = max(c[0, 0] for c in known), min(c[-1, 0] for c in known)
    if last < first:
        return Band((), None, len(known))
    most = min(MAX_POINTS, max(len(c) for c in known))
    grid = np.unique(np.linspace(first, last, most))
    values = np.stack([np.interp(grid, c[:, 0], c[:, 1]) for c in known])
    mean = values.mean(axis=0)
    half = student.ppf(0.975, len(known) - 1) * values.std(axis=0, ddof=1) / np.sqrt(len(known))
    below = mean - half if low is None else np.maximum(mean - half, low)
    above = mean + half if high is None else np.minimum(mean + half, high)
    return Band(
        tuple(zip(grid.tolist(), mean.tolist(), strict=True)),
        tuple(zip(below.tolist(), above.tolist(), strict=True)),
        len(known),
    )


def differences(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Dotted settings in which runs differ, with the value of each run; None where it has none."""
    flat = [dict(dotted(config)) for config in configs]
    keys = dict.fromkeys(key for one in flat for key in one)
    found = {key: [one.get(key) for one in flat] for key in keys if key.split(".")[0] not in OF_NO_CONSEQUENCE}
    return {key: values for key, values in found.items() if len({json.dumps(v, default=str) for v in values}) > 1}


def _names(firsts: Sequence[Records]) -> list[str]:
    """A name for each group: the recipe's, with what tells it from others of that name."""
    names = [str(run.config.get("name") or run.name) for run in firsts]
    if len(firsts) == 1:
        return [firsts[0].name]
    told = []
    for i, run in enumerate(firsts):
        same = [j for j, name in enumerate(names) if name == names[i]]
        if len(same) == 1:
            told.append(names[i])
            continue
        apart = differences([firsts[j].config for j in same])
        place = same.index(i)
        said = ", ".join(f"{key}={values[place]}" for key, values in list(apart.items())[:2])
        told.append(f"{names[i]}, {said}" if said else run.name)
    return [name if told.count(name) == 1 else f"{name} ({firsts[i].name})" for i, name in enumerate(told)]


def _key(config: Mapping[str, Any]) -> str:
    kept = {key: value for key, value in config.items() if key not in OF_NO_CONSEQUENCE}
    return json.dumps(kept, sort_keys=True, default=str) if kept else ""
