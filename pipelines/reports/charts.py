"""Charts as SVG text: no library, and colours that follow the page's style sheet.

The page styles the classes `s0` … `s5` (series), `grid` and `tick`; so one drawing serves light, dark and print. A
figure is a chart with what stands around it: its title, a legend whose entries the page's script makes buttons, the
numbers as data for that script, and as a table for those who do not see the drawing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from pipelines.reports.markup import clean, data_block, details, table, text

WIDTH, HEIGHT = 380, 200
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 10, 24
COLOURS = 6
MAX_POINTS = 160  # more than the drawing can show apart
TABLE_ROWS = 12  # of the table behind a chart


@dataclass(frozen=True)
class Series:
    """One line: its name, finite points in the order of x, and, where there is an interval, low and high at each."""

    name: str
    points: Sequence[tuple[float, float]]
    interval: Sequence[tuple[float, float]] | None = None


def line_chart(
    series: Sequence[Series],
    low: float | None = None,
    high: float | None = None,
    percent: bool = False,
    label: str = "",
) -> str:
    """Lines over a common x axis, with bands where there are intervals.

    Args:
        series: the i-th is drawn in the i-th colour; one without points takes up its colour and draws nothing.
        low: where the y axis begins at the latest; None: where the data do.
        high: where it ends at the earliest.
        percent: label y in %.
        label: what the drawing shows, for those who do not see it.

    Returns:
        An `<svg>` element, or the empty string where there is no point at all.
    """
    drawn = [thin_series(one) for one in series]
    ys = [y for one in drawn for _, y in one.points] + [y for one in drawn for pair in one.interval or () for y in pair]
    if not ys:
        return ""
    bottom = min(ys) if low is None else min(low, *ys)
    top = max(ys) if high is None else max(high, *ys)
    ticks = nice_ticks(bottom, top)
    bottom, top = min(bottom, ticks[0]), max(top, ticks[-1])
    x_ticks = nice_ticks(0.0, max(x for one in drawn for x, _ in one.points), 4)
    right = x_ticks[-1]

    def px(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * x / right

    def py(y: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - bottom) / (top - bottom)

    parts = []
    for tick in ticks:
        shown = f"{100 * tick:g} %" if percent else short(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py(tick):.1f}" y2="{py(tick):.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{py(tick) + 3.5:.1f}" text-anchor="end">{shown}</text>')
    for tick in x_ticks:
        anchor = "end" if tick == right else "middle"
        parts.append(
            f'<text class="tick" x="{px(tick):.1f}" y="{HEIGHT - 7}" text-anchor="{anchor}">{short(tick)}</text>'
        )
    for index, one in enumerate(drawn):
        style = f"s{index % COLOURS}" + (" again" if index >= COLOURS else "")
        title = f"<title>{text(one.name, 80)}</title>"  # as in the data: the script finds lines by it
        if one.interval:
            edges = [(x, pair[1]) for (x, _), pair in zip(one.points, one.interval, strict=True)]
            edges += [(x, pair[0]) for (x, _), pair in zip(one.points, one.interval, strict=True)][::-1]
            path = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in edges)
            parts.append(f'<polygon class="band {style}" points="{path}"/>')
        if len(one.points) == 1:
            (x, y) = one.points[0]
            parts.append(f'<circle class="dot {style}" cx="{px(x):.1f}" cy="{py(y):.1f}" r="3">{title}</circle>')
        elif one.points:
            path = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in one.points)
            parts.append(f'<polyline class="line {style}" points="{path}">{title}</polyline>')
    about = f' aria-label="{escape(label)}"' if label else ""
    # What the script needs to find its way from a place in the drawing to a number.
    scale = f'data-right="{right:g}" data-bottom="{bottom:g}" data-top="{top:g}"'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"{about} {scale}>{"".join(parts)}</svg>'


def figure(
    title: str,
    series: Sequence[Series],
    unit: str,
    low: float | None = None,
    high: float | None = None,
    percent: bool = False,
) -> str:
    """A chart with its title, legend, data and table; the empty string where there is no point at all.

    Args:
        title: of the figure.
        series: as for `line_chart`.
        unit: of x.
        low: as for `line_chart`.
        high: as for `line_chart`.
        percent: as for `line_chart`.
    """
    ends = [f"{one.name} ends at {said(one.points[-1][1], percent)}" for one in series if one.points]
    drawing = line_chart(series, low, high, percent, f"{title}: {'; '.join(ends[:COLOURS])}")
    if not drawing:
        return ""
    legend = ""
    if len(series) > 1:
        items = []
        for index, one in enumerate(series):
            latest = said(one.points[-1][1], percent) if one.points else "–"
            name = f'<i class="key s{index % COLOURS}"></i>{text(one.name, 80)} <b>{text(latest)}</b>'
            items.append(f'<li data-series="{index}">{name}</li>')
        legend = f'<ul class="legend">{"".join(items)}</ul>'
    drawn = [thin_series(one) for one in series]
    data = {
        "unit": unit,
        "percent": percent,
        "series": [
            {
                "name": clean(one.name, 80),
                "x": [rounded(x) for x, _ in one.points],
                "y": [rounded(y) for _, y in one.points],
                **({"i": [[rounded(a), rounded(b)] for a, b in one.interval]} if one.interval else {}),
            }
            for one in drawn
        ],
    }
    behind = details("Table", _table_of(title, drawn, unit, percent))
    return (
        f'<figure class="chart"><figcaption>{text(title)}</figcaption>{drawing}'
        f'<p class="readout" aria-live="polite"></p>{legend}{behind}{data_block(data)}</figure>'
    )


def _table_of(title: str, series: Sequence[Series], unit: str, percent: bool) -> str:
    """A dozen points of each line; each line has places of its own."""
    rows = []
    for one in series:
        size = math.ceil(len(one.points) / TABLE_ROWS) or 1
        places = sorted({*range(0, len(one.points), size), len(one.points) - 1} if one.points else ())
        for place in places:
            x, y = one.points[place]
            pair = one.interval[place] if one.interval else None
            around = f"{said(pair[0], percent)} to {said(pair[1], percent)}" if pair else ""
            rows.append((one.name, f"{x:,.0f}", said(y, percent), around))
    head = ("of", unit, "value", "95 % interval")
    shown = 4 if any(row[3] for row in rows) else 3
    return table(head[:shown], [row[:shown] for row in rows], numbers=(1, 2, 3), label=title)


def said(value: float, percent: bool = False) -> str:
    """A value as a legend shows it."""
    return f"{100 * value:.3g} %" if percent else short(value)


def rounded(value: float) -> float:
    """Four digits: more cannot be seen, and would only make the page long."""
    return float(f"{value:.4g}")


def bar_chart(bars: Sequence[tuple[str, float]], unit: str, label: str = "") -> str:
    """Horizontal bars, one under another.

    Args:
        bars: name and size of each, not negative.
        unit: told behind each size.
        label: what the drawing shows, for those who do not see it.

    Returns:
        An `<svg>` element with bars of class `bar`, or the empty string where there are none.
    """
    if not bars:
        return ""
    height, left, width = 22, 120, 520
    most = max(size for _, size in bars) or 1.0
    parts = []
    for index, (name, size) in enumerate(bars):
        y, length = index * height, (width - left - 70) * size / most
        parts.append(f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect class="bar" x="{left}" y="{y + 4}" width="{max(length, 0.5):.1f}" height="{height - 8}"/>')
        parts.append(f'<text x="{left + length + 6:.1f}" y="{y + 15}">{size:.3g} {escape(unit)}</text>')
    about = f' aria-label="{escape(label)}"' if label else ""
    return f'<svg viewBox="0 0 {width} {height * len(bars)}" role="img"{about}>{"".join(parts)}</svg>'


def thin_series(one: Series, most: int = MAX_POINTS) -> Series:
    """A series of at most `most` points, its interval thinned alike."""
    if one.interval is None:
        return Series(one.name, thin(one.points, most))
    low = [(x, pair[0]) for (x, _), pair in zip(one.points, one.interval, strict=True)]
    high = [(x, pair[1]) for (x, _), pair in zip(one.points, one.interval, strict=True)]
    bounds = zip(thin(low, most), thin(high, most), strict=True)
    return Series(one.name, thin(one.points, most), [(a, b) for (_, a), (_, b) in bounds])


def columns_chart(columns: Sequence[tuple[float, float, float]], label: str) -> str:
    """A histogram: upright bars between edges.

    Args:
        columns: lower edge, upper edge and height of each bar, in the order of edges, without gaps.
        label: what the drawing shows, for those who do not see it.

    Returns:
        An `<svg>` element, or the empty string where there are none.
    """
    if not columns:
        return ""
    first, last, most = columns[0][0], columns[-1][1], max(height for _, _, height in columns) or 1.0
    ticks = nice_ticks(0.0, most, 4)
    span = (last - first) or 1.0

    def px(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (x - first) / span

    def py(y: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / ticks[-1]

    parts = []
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py(tick):.1f}" y2="{py(tick):.1f}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{py(tick) + 3.5:.1f}" text-anchor="end">{short(tick)}</text>'
        )
    for x, anchor in ((first, "start"), ((first + last) / 2, "middle"), (last, "end")):
        parts.append(f'<text class="tick" x="{px(x):.1f}" y="{HEIGHT - 7}" text-anchor="{anchor}">{short(x)}</text>')
    for low, high, height in columns:
        wide, tall = max(px(high) - px(low) - 1, 0.5), py(0) - py(height)
        parts.append(
            f'<rect class="bar" x="{px(low):.1f}" y="{py(height):.1f}" width="{wide:.1f}" height="{tall:.1f}">'
            f"<title>{short(low)} to {short(high)}: {height:,.0f}</title></rect>"
        )
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def thin(points: Sequence[tuple[float, float]], most: int = MAX_POINTS) -> list[tuple[float, float]]:
    """At most `most` points: means of neighbours, so that a noisy curve keeps its level."""
    size = math.ceil(len(points) / most) or 1
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers, 1, 2 or 5 times a power of ten apart, from at most `low` to at least `high`."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # a flat line still gets an axis around it
        pad = abs(low) / 2 or 0.5
        low, high = (low, low + 2 * pad) if low >= 0 else (low - pad, low + pad)
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def short(value: float) -> str:
    """A number as an axis shows it: 1.5 M, 200 k, 0.05."""
    for size, sign in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:.3g}"
