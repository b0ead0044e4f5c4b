"""Charts as SVG text: no library, and colours that follow the page's style sheet.

The page styles the classes `s0` … `s5` (series), `grid` and `tick`; so one drawing serves light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 380, 200
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 10, 24
COLOURS = 6
MAX_POINTS = 160  # more than the drawing can show apart


@dataclass(frozen=True)
class Series:
    """One line: its name, and finite points in the order of x."""

    name: str
    points: Sequence[tuple[float, float]]


def line_chart(
    series: Sequence[Series], low: float | None = None, high: float | None = None, percent: bool = False
) -> str:
    """Lines over a common x axis of frames.

    Args:
        series: the i-th is drawn in the i-th colour; one without points takes up its colour and draws nothing.
        low: where the y axis begins at the latest; None: where the data do.
        high: where it ends at the earliest.
        percent: label y in %.

    Returns:
        An `<svg>` element, or the empty string where there is no point at all.
    """
    lines = [thin(one.points) for one in series]
    ys = [y for line in lines for _, y in line]
    if not ys:
        return ""
    bottom = min(ys) if low is None else min(low, *ys)
    top = max(ys) if high is None else max(high, *ys)
    ticks = nice_ticks(bottom, top)
    bottom, top = min(bottom, ticks[0]), max(top, ticks[-1])
    x_ticks = nice_ticks(0.0, max(x for line in lines for x, _ in line), 4)
    right = x_ticks[-1]

    def px(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * x / right

    def py(y: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - bottom) / (top - bottom)

    parts = []
    for tick in ticks:
        label = f"{100 * tick:g} %" if percent else short(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py(tick):.1f}" y2="{py(tick):.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{py(tick) + 3.5:.1f}" text-anchor="end">{label}</text>')
    for tick in x_ticks:
        anchor = "end" if tick == right else "middle"
        parts.append(
            f'<text class="tick" x="{px(tick):.1f}" y="{HEIGHT - 7}" text-anchor="{anchor}">{short(tick)}</text>'
        )
    for index, (one, line) in enumerate(zip(series, lines, strict=True)):
        style = f"s{index % COLOURS}" + (" again" if index >= COLOURS else "")
        title = f"<title>{escape(one.name)}</title>"
        if len(line) == 1:
            (x, y) = line[0]
            parts.append(f'<circle class="dot {style}" cx="{px(x):.1f}" cy="{py(y):.1f}" r="3">{title}</circle>')
        elif line:
            path = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in line)
            parts.append(f'<polyline class="line {style}" points="{path}">{title}</polyline>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'


def bar_chart(bars: Sequence[tuple[str, float]], unit: str) -> str:
    """Horizontal bars, one under another.

    Args:
        bars: name and size of each, not negative.
        unit: told behind each size.

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
    return f'<svg viewBox="0 0 {width} {height * len(bars)}" role="img">{"".join(parts)}</svg>'


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
