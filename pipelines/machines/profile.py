"""`guerdon profile`: where the time of a frame goes, by stage and by process, as a table and a picture."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipelines.errors import UserError
from pipelines.machines.trial import Trial, trial
from pipelines.reports.charts import bar_chart

# Who does each stage, and what it is. Stages of one process follow each other, those of several overlap.
STAGES: dict[str, tuple[str, str]] = {
    "step": ("actor", "environments step, captions are made and counted"),
    "infer": ("actor", "the policy chooses actions"),
    "write": ("actor", "steps are written as Arrow rows"),
    "sample": ("replay", "a batch is drawn, as the runner waits for it"),
    "reward": ("learner, beside", "rewards of a batch"),
    "collate": ("learner, beside", "Arrow rows become tensors"),
    "copy": ("learner, beside", "tensors go to the learner's device"),
    "wait": ("learner", "waits for a batch that is not ready"),
    "forward": ("learner", "policy, values and returns"),
    "backward": ("learner", "gradients and Adam"),
    "publish": ("learner", "weights are packed"),
    "annotate": ("reward trainer", "the reward model is trained"),
}
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1d1d1f}
svg{width:100%}text{font-size:11px;fill:#1d1d1f}.bar{fill:#2b5c8a}h2{font-size:1.05rem;margin-top:2rem}
@media(prefers-color-scheme:dark){body{background:#1d1d1f;color:#f5f5f7}text{fill:#f5f5f7}.bar{fill:#6aa5dd}}"""


def profile(words: Sequence[str], seconds: float, warm_up: float, to: Path) -> Trial:
    """Train for a while, print where the time of a frame went, and write the picture.

    Args:
        words: recipe and overrides, as `guerdon train` takes them.
        seconds: length of the window.
        warm_up: seconds of learning before it.
        to: of the picture, an HTML file.

    Raises:
        UserError: the run could not be measured.
    """
    if seconds <= 0:
        raise UserError(f"seconds: got {seconds:g}; expected more than 0")
    seen = trial(words, warm_up, seconds)
    console = Console()
    for table in tables(seen):
        console.print(table)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(page(" ".join(words), seen), encoding="utf-8")
    console.print(f"{headline(seen)}; picture: {to}", soft_wrap=True)
    return seen


def headline(seen: Trial) -> str:
    """Frames a second, and what a frame costs."""
    age = "" if seen.weight_age is None else f", weights {seen.weight_age:.1f} versions old when they acted"
    spent = sum(seen.processors.values())
    return f"{seen.frames_per_s:,.0f} frames/s over {seen.window_s:.0f} s, {spent:.1f} µs of processor a frame{age}"


def stage_rows(stages: Mapping[str, float]) -> list[tuple[str, str, str, float]]:
    """Stage, who does it, what it is and microseconds a frame, in the order of a frame's way."""
    known = [(name, *STAGES[name], stages[name]) for name in STAGES if name in stages]
    return known + [(name, "", "", value) for name, value in stages.items() if name not in STAGES]


def tables(seen: Trial) -> list[Table]:
    """The tables by stage and by process."""
    by_stage = Table("stage", "by", "what", "µs a frame", title="stages (those of different processes overlap)")
    for name, by, what, value in stage_rows(seen.stages):
        by_stage.add_row(name, by, what, f"{value:.2f}")
    total = sum(seen.processors.values()) or 1.0
    by_process = Table("process", "µs of processor a frame", "share", "MB", title="processes")
    for role, value in sorted(seen.processors.items(), key=lambda item: -item[1]):
        by_process.add_row(role, f"{value:.2f}", f"{value / total:.0%}", f"{seen.memory_mb[role]:,.0f}")
    for table in (by_stage, by_process):
        for column in table.columns:
            if column.header not in ("stage", "by", "what", "process"):
                column.justify = "right"
    return [by_stage, by_process]


def page(title: str, seen: Trial) -> str:
    """The same as a page with two pictures; without scripts, and without anything from elsewhere."""
    shown = re.sub(r"[<>&\"]", "", title)
    by_stage = bar_chart([(name, value) for name, _, _, value in stage_rows(seen.stages)], "µs")
    by_process = bar_chart(sorted(seen.processors.items(), key=lambda item: -item[1]), "µs")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{shown} · Guerdon</title>'
        f"<style>{STYLE}</style></head><body><h1>{shown}</h1><p>{headline(seen)}</p>"
        f"<h2>Time by stage, µs a frame</h2>{by_stage}<h2>Processor by process, µs a frame</h2>{by_process}"
        "</body></html>\n"
    )
