"""The report as a page: one file with its style and its script within it, and nothing from elsewhere.

It follows the reader's light or dark setting, or the button; it prints; it can be read without scripts. A
Content-Security-Policy lets run the page's own script and style, by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from pipelines.errors import UserError
from pipelines.reports import books, curves, overview, rewards
from pipelines.reports.alarms import alarms
from pipelines.reports.captions import captions
from pipelines.reports.charts import COLOURS
from pipelines.reports.costs import costs
from pipelines.reports.data import Report, RunData
from pipelines.reports.films import ALL_BYTES, films
from pipelines.reports.markup import section, text
from pipelines.reports.places import places
from pipelines.reports.throughput import throughput
from pipelines.run_directory import RunDirectory
from pipelines.stored.records import Records, at, state

FILES = Path(__file__).parent


def write_report(directories: Sequence[RunDirectory], target: Path) -> None:
    """Write one page about one run, or about several side by side.

    Args:
        directories: the runs; what one of them lacks is said on the page.
        target: file to write, replaced at once or not at all.

    Raises:
        UserError: the page cannot be written.
    """
    page = render_page(directories)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(page, encoding="utf-8", errors="replace")
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"the report {target} cannot be written: {error.strerror}; mend that, then `guerdon report` makes it anew"
        ) from None


def render_page(directories: Sequence[RunDirectory], live: bool = False) -> str:
    """The page as text.

    Args:
        directories: the runs.
        live: whether it is served, and may ask the server for news.
    """
    report = Report.of(directories)
    records = [run.records for run in report.runs]
    title = " · ".join(dict.fromkeys(str(at(run.config, "task") or run.name) for run in records)) or "no run"
    style, script = _own("page.css"), _own("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        f"base-uri 'none'; form-action 'none'{'; connect-src ' + chr(39) + 'self' + chr(39) if live else ''}"
    )
    state_of_page = ' data-live="yes"' if live else ""
    return (
        f'<!doctype html>\n<html lang="en"{state_of_page}>\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title, 200)} · Guerdon</title>\n<style>{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#report">To the report</a>\n'
        f"<header><div><h1>{text(title, 200)}</h1><p>{text(_subtitle(records))}</p></div>"
        '<button type="button" class="theme" hidden>Dark or light</button></header>\n'
        f'<main id="report">\n{_body(report, live)}\n</main>\n'
        f"<footer>{''.join(section('Versions', overview.version_line))}</footer>\n"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _body(report: Report, live: bool) -> str:
    records, groups = [run.records for run in report.runs], report.groups
    several = len(records) > 1
    language = bool(records) and all(run.language for run in records)
    parts = [
        *([] if several or not records else section("", lambda: overview.tiles(records[0]))),
        *section("The runs" if several else "The run", lambda: overview.facts_table(records, groups)),
        *section(
            "Learning curves",
            lambda: curves.figures(groups, curves.LANGUAGE_LEARNING if language else curves.LEARNING),
        ),
        *section("Reward components over time", lambda: curves.component_figures(groups)),
    ]
    if not language:
        parts += section("Intrinsic against extrinsic", lambda: curves.figures(groups, curves.INTRINSIC))
        if any(run.judged for run in records):
            parts += section("Judges: share, lag, cost", lambda: curves.figures(groups, curves.JUDGE))
    parts += section(
        "Speed and staleness", lambda: curves.figures(groups, curves.LANGUAGE_SPEED if language else curves.SPEED)
    )
    parts += section("Evaluation", lambda: overview.evaluation(records))
    budget = [ALL_BYTES]
    colour = {member: index % COLOURS for index, group in enumerate(groups) for member in group.members}
    for place, run in enumerate(report.runs):
        told = "".join(_sections_of(run, budget, live))
        if several:
            name = f'<h2 class="run"><i class="key s{colour[place]}"></i>{text(run.records.name)}</h2>'
            told = f'<article aria-label="{text(run.records.name)}">{name}{told}</article>'
        parts.append(told)
    return "\n".join(part for part in parts if part)


def _sections_of(run: RunData, budget: list[int], live: bool) -> Iterator[str]:
    """What is told of each run by itself."""
    records = run.records
    told: list[str] = []  # first, since they find out what is missing
    if records.language:
        from pipelines.reports.answers import answers

        told += section("Answers, and where their reward came from", lambda: answers(run))
    else:
        told += section("Reward distribution", lambda: rewards.distribution(run))
        told += section("Where rewards came from", lambda: rewards.sources(run))
        told += section("Captions and verdicts", lambda: captions(records, run.evidence))
        told += section("Episodes, step by step", lambda: films(run, budget))
    told += section("Cost of judging", lambda: costs(run))
    yield from section("Alarms", lambda: alarms(run))
    if run.missing:
        items = "".join(f"<li>{text(one, 500)}</li>" for one in run.missing)
        heading = "<h2>What is missing</h2>"
        yield f'<section class="missing" aria-label="What is missing">{heading}<ul>{items}</ul></section>'
    yield from told
    yield from section("Ledger", lambda: books.ledger(records))
    yield from section("Failures by cause", lambda: books.failures(records))
    yield from section("Throughput by stage", lambda: throughput(records))
    yield from section("Deaths and other events", lambda: books.events(records))
    yield from section("Logs and dashboard", lambda: places(records, live))
    yield from section("Weights", lambda: overview.weights(run))
    yield from section("Settings", lambda: overview.settings(records))


def _subtitle(runs: Sequence[Records]) -> str:
    written = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    if len(runs) == 1:
        return f"{runs[0].name}, {state(runs[0])}, report of {written}"
    return f"{len(runs)} runs side by side, report of {written}"


@cache
def _own(name: str) -> str:
    """A file of the page's own."""
    return (FILES / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    """What a Content-Security-Policy knows a script or a style by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
