"""Rewards of stored steps: how they are distributed, which component and part paid them, and when."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.reports.charts import Series, columns_chart, figure
from pipelines.reports.data import RunData
from pipelines.reports.markup import details, table, text
from pipelines.reports.sampling import Sample
from pipelines.stored.records import number_text, percent_text

BINS, PERIODS = 24, 24

Column = tuple[float, float, float]


def distribution(run: RunData) -> str:
    """Histograms of what a step was paid, in all and by component; zeros and NULLs are counted apart."""
    sample = run.sample
    if sample is None:
        return '<p class="none">Without stored steps and a checkpoint, what each was paid is not known.</p>'
    parts = [histogram_figure("Reward of a step", sample.reward[sample.known], int((~sample.known).sum()))]
    for name, column in sample.components.items():
        if name != "caption_count":
            parts.append(
                histogram_figure(f"{name}, before the view", column.values[column.valid], int((~column.valid).sum()))
            )
    said = f"Of {sample.said}, by the reward view of the newest checkpoint."
    return f'<div class="charts">{"".join(parts)}</div><p class="none">{text(said)}</p>'


def sources(run: RunData) -> str:
    """What each component and part of the view put into the reward: in all, and over the time of storing."""
    sample = run.sample
    if sample is None:
        return ""
    size = np.abs(np.stack([values[sample.known] for values in sample.terms.values()])).sum(axis=1)
    total = float(size.sum())
    rows = []
    for (name, values), weight in zip(sample.terms.items(), size, strict=True):
        paid = values[sample.known]
        if np.any(paid):
            share = percent_text(float(weight) / total) if total else "–"
            rows.append((name, number_text(float(paid.mean())), share, percent_text(float((paid != 0).mean()))))
    drawing = figure("What paid, over the time of storing", _over_time(sample), "% of stored rows")
    shown = table(
        ("component or part", "mean a step", "share of size", "acts on"),
        rows,
        numbers=(1, 2, 3),
        note=f"Of {sample.said}. The terms of a step sum to its reward; the share is of their absolute values.",
        label="What each component and part put into the reward",
    )
    return f'<div class="pair"><div>{shown}</div>{drawing}</div>'


def _over_time(sample: Sample) -> list[Series]:
    """Mean of each term in each period of storing; lines that are 0 throughout are left out."""
    edges = np.minimum((sample.position * PERIODS).astype(int), PERIODS - 1)
    series = []
    for name, values in sample.terms.items():
        points = []
        for period in range(PERIODS):
            inside = (edges == period) & sample.known
            if inside.any():
                points.append((100 * (period + 0.5) / PERIODS, float(values[inside].mean())))
        if any(y for _, y in points):
            series.append(Series(name, points))
    return series


def histogram(values: NDArray[Any]) -> list[Column]:
    """Bars over the values that are not 0: lower edge, upper edge, how many; the edges span 99.8 % of them.

    Values beyond the edges are counted in the outermost bars, so the heights sum to how many there are.
    """
    moved = np.asarray(values, np.float64)
    moved = moved[moved != 0]
    if not len(moved):
        return []
    low, high = (float(q) for q in np.quantile(moved, (0.001, 0.999)))
    low, high = min(low, 0.0), max(high, 0.0)
    counts, edges = np.histogram(np.clip(moved, low, high), BINS, (low, high))
    return [(float(a), float(b), float(n)) for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)]


def histogram_figure(title: str, values: NDArray[Any], nulls: int, what: str = "steps") -> str:
    """A histogram with its title, what is not drawn, and a table.

    Args:
        title: of the figure.
        values: those that are not NULL.
        nulls: how many are.
        what: is counted.
    """
    if not len(values):
        return f'<figure><figcaption>{text(title)}</figcaption><p class="none">NULL everywhere.</p></figure>'
    zeros = int((values == 0).sum())
    low, middle, high = (float(q) for q in np.quantile(values, (0.01, 0.5, 0.99)))
    said = f"{len(values):,} values: {percent_text(zeros / len(values))} are 0 and not drawn"
    said += f"; NULL: {nulls:,}; mean {number_text(float(values.mean()))}, 1 % {number_text(low)}, "
    said += f"median {number_text(middle)}, 99 % {number_text(high)}"
    columns = histogram(values)
    drawing = columns_chart(columns, f"{title}: {said}")
    rows = [(f"{a:.3g} to {b:.3g}", f"{n:,.0f}") for a, b, n in columns if n]
    behind = details("Table", table(("value", what), rows, (1,), label=title)) if rows else ""
    return f'<figure><figcaption>{text(title)}</figcaption>{drawing}<p class="none">{text(said)}.</p>{behind}</figure>'
