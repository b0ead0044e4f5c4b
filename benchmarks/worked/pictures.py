"""Pictures of worked examples: curves of several seeds as a mean and a band, and points of a front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = ("#d55e00", "#0072b2", "#009e73", "#999999")


def panels(number: int, width: float = 4.6) -> tuple[Any, list[Any]]:
    """A figure with that many panels side by side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, number, figsize=(width * number, 3.6), squeeze=False, layout="constrained")
    for axis in axes[0]:
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, list(axes[0])


def lines(axis: Any, curves: Mapping[str, Sequence[tuple[Sequence[float], Sequence[float]]]]) -> None:
    """A line for each name: the mean over its curves, and all of them between its edges.

    Args:
        axis: of matplotlib.
        curves: by name, of each seed places and values; those of one name share their places.
    """
    for colour, (name, seeds) in zip(COLOURS, curves.items(), strict=False):
        values = np.array([value for _, value in seeds])
        places = np.asarray(seeds[0][0])
        axis.plot(places, values.mean(0), color=colour, linewidth=1.8, label=name)
        axis.fill_between(places, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0)


def save(figure: Any, path: Path) -> None:
    """Write the picture and forget it."""
    from matplotlib import pyplot

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, facecolor="white")
    pyplot.close(figure)
