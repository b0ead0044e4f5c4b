"""Metrics over experience, a line for each recipe, with an interval where a recipe has several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.reports.charts import Series, figure
from pipelines.reports.markup import text
from pipelines.reports.seeds import Group, band
from pipelines.stored.records import Records

MOST_COMPONENTS = 12


@dataclass(frozen=True)
class Curve:
    """One chart: a metric, its title and what bounds its axis."""

    key: str
    title: str
    low: float | None = None
    high: float | None = None
    percent: bool = False
    needs_judge: bool = False


LEARNING = (
    Curve("episode_return", "Episode return (mean of last 100)"),
    Curve("success_rate", "Task success (of last 100)", 0, 1, percent=True),
    Curve("episode_length", "Episode length (steps, mean of last 100)", 0),
    Curve("learner/entropy", "Policy entropy (nats)", 0),
)
INTRINSIC = (
    Curve("learner/reward_intrinsic", "Intrinsic reward a step, as trained on"),
    Curve("learner/reward_extrinsic", "Extrinsic reward a step, as trained on"),
)
JUDGE = (
    Curve("annotated_share", "Judged share of captioned steps", 0, 1, percent=True, needs_judge=True),
    Curve("judge/lag_s", "Label lag, median (s)", 0, needs_judge=True),
    Curve("judge/tokens", "Tokens read and written by judges", 0, needs_judge=True),
    Curve("judge/failed", "Questions that ended without a value", 0, needs_judge=True),
)
SPEED = (
    Curve("frames_per_s", "Frames/s", 0),
    Curve("learner/policy_lag_mean", "Staleness: age of weights when acting, mean (versions)", 0),
    Curve("learner/policy_lag_max", "Staleness: age of weights when acting, oldest (versions)", 0),
)
LANGUAGE_LEARNING = (
    Curve("episode_return", "Reward (mean of an update)"),
    Curve("success_rate", "pass@1 on the test split", 0, 1, percent=True),
    Curve("episode_length", "Tokens an answer", 0),
    Curve("learner/entropy", "Policy entropy (nats)", 0),
    Curve("learner/kl", "KL to the reference (nats)"),
    Curve("learner/groups_without_signal", "Share of groups in which all earned the same", 0, 1, percent=True),
)
LANGUAGE_SPEED = (
    Curve("frames_per_s", "Tokens/s", 0),
    Curve("learner/staleness_max", "Staleness: oldest answer of an update (versions)", 0),
    Curve("judge/pending", "Verdicts that are waited for", 0),
)


def figures(groups: Sequence[Group], curves: Sequence[Curve]) -> str:
    """A chart for each curve that has data, and the names of those that have none."""
    charts, without = [], []
    unit = groups[0].runs[0].unit if groups else "frames"
    for curve in curves:
        series = [_series(group, curve) for group in groups]
        drawing = figure(curve.title, series, unit, curve.low, curve.high, curve.percent)
        if drawing:
            charts.append(drawing)
        else:
            without.append(curve.title)
    note = f'<p class="none">Without data: {text(", ".join(without))}.</p>' if without else ""
    if not charts:
        return note
    over = f"Over {unit} learnt from."
    if any(len(group.runs) > 1 for group in groups):
        over += " Where a recipe has several seeds: their mean, and its 95 % interval (Student's t over seeds)."
    thinned = [f"{run.name}: each {run.every:,}-th" for group in groups for run in group.runs if run.every > 1]
    over += f" Of long metrics a part of the lines was read ({', '.join(thinned)})." if thinned else ""
    return f'<div class="charts">{"".join(charts)}</div><p class="none">{text(over)}</p>{note}'


def component_figures(groups: Sequence[Group]) -> str:
    """Every reward component over time, as the learner was given it: a chart for each recipe."""
    charts = []
    for group in groups:
        prefix = "learner/reward_"
        keys = dict.fromkeys(key for run in group.runs for row in run.rows for key in row)
        names = [key for key in keys if key.startswith(prefix) and key != "learner/reward_nulls"][:MOST_COMPONENTS]
        series = [
            Series(key.removeprefix(prefix), one.points, one.interval)
            for key in names
            if (one := band([points(run, Curve(key, key)) for run in group.runs])).points
        ]
        title = "Reward components" if len(groups) == 1 else group.name
        charts.append(figure(title, series, group.runs[0].unit))
    shown = [chart for chart in charts if chart]
    if not shown:
        return '<p class="none">No update has been made yet.</p>'
    note = "Mean contribution of each component to the reward, as trained on."
    if all(group.runs[0].language for group in groups):
        note = "Mean value of each component over the answers of an update."
    return f'<div class="charts">{"".join(shown)}</div><p class="none">{note}</p>'


def _series(group: Group, curve: Curve) -> Series:
    one = band([points(run, curve) for run in group.runs], curve.low, curve.high)
    return Series(group.name, one.points, one.interval)


def points(run: Records, curve: Curve) -> list[tuple[float, float]]:
    """A curve's points, without numbers that only stand for nothing having happened yet."""
    if curve.needs_judge and not run.judged:
        return []
    if curve.key == "learner/reward_intrinsic" and run.source == "extrinsic":
        return []
    rows = run.rows
    if curve.key == "judge/lag_s":
        rows = [row for row in rows if row.get("judge/ok", 0) + row.get("judge/failed", 0) > 0]
    if curve.key == "frames_per_s":
        rows = [row for row in rows if row.get("updates", 0) > 1]
    return [(row["learnt_frames"], row[curve.key]) for row in rows if curve.key in row]
