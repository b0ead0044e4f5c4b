"""Where the time went: seconds by stage, of all processes together, for each frame of an interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from pipelines.machines.profile import STAGES
from pipelines.reports.charts import Series, bar_chart, figure, thin
from pipelines.reports.markup import table, text
from pipelines.stored.records import Records

SECONDS = "seconds/"
POINTS = 40


def throughput(run: Records) -> str:
    """Microseconds a frame by stage: over time, and of the whole run; empty where none were counted."""
    counted = [row for row in run.rows if row.get("learnt_frames")]
    if not counted:
        return ""
    last = counted[-1]
    whole = {key.removeprefix(SECONDS): v for key, v in last.items() if key.startswith(SECONDS) and v > 0}
    if not whole:
        return ""
    frames, unit = last["learnt_frames"], run.unit[:-1]
    order = sorted(whole, key=lambda name: -whole[name])
    bars = [(name, 1e6 * whole[name] / frames) for name in order]
    lines = [Series(name, over_time(counted, name)) for name in order]
    drawing = figure(f"Time by stage (µs a {unit})", [one for one in lines if one.points], run.unit, 0)
    rows = [(name, *STAGES.get(name, ("", "")), f"{value:,.3g}") for name, value in bars]
    about = f"Time by stage over the whole run, µs a {unit}"
    return (
        f'<div class="pair">{drawing}<figure><figcaption>{text(about)}</figcaption>{bar_chart(bars, "µs", about)}'
        f"</figure></div>{table(('stage', 'by', 'what', f'µs a {unit}'), rows, (3,), label=about)}"
        '<p class="none">Seconds of all processes together; stages of different processes overlap.</p>'
    )


def over_time(rows: Sequence[Mapping[str, float]], name: str) -> list[tuple[float, float]]:
    """Microseconds a frame of one stage in each interval; where a resumed run went back there is no point."""
    key = SECONDS + name
    found = []
    places = [row for row in rows if key in row]
    size = max(1, len(places) // POINTS)
    for before, after in pairwise(places[::size]):
        frames, seconds = after["learnt_frames"] - before["learnt_frames"], after[key] - before[key]
        if frames > 0 and seconds >= 0:
            found.append((after["learnt_frames"], 1e6 * seconds / frames))
    return thin(found, POINTS)
