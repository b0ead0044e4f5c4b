"""The pictures of reports in README, documents and gallery, taken of real runs in a real browser.

    python -m benchmarks.report_pictures                       the three runs, some minutes each, then their pictures
    python -m benchmarks.report_pictures only=[arithmetic]     of these runs alone
    python -m benchmarks.report_pictures main=RUN nethack=RUN  of runs that are there already

Other keys: minutes (of each run that is made; by default 6), work (where they are kept, and found again).
docs/pictures/pictures.json says of each picture which run it shows and what repeats that run.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.apparatus.browser import Browser
from benchmarks.apparatus.training import CHECKOUT, train
from pipelines.errors import UserError
from pipelines.language.stored import is_language
from pipelines.overrides import parse
from pipelines.reports.page import write_report
from pipelines.run_directory import RunDirectory, stored_experiment

PICTURES = CHECKOUT / "docs" / "pictures"
LIST = PICTURES / "pictures.json"
COLOURS = 64  # of a picture: pages are drawn in few


def head(browser: Browser, name: str) -> str:
    """The first screens of the page."""
    browser.prefer("light")
    take(browser, name, "body", 1330)
    return "The head of the report: what the run is, and its learning curves."


def film(browser: Browser, name: str) -> str:
    """An episode at a step that was paid, in the dark theme."""
    browser.prefer("dark")
    browser.ask("document.querySelectorAll('figure.film [data-go=event]').forEach((b) => b.click())")
    take(browser, name, "figure.film")
    return "An episode, stepped through: the map, what the step was paid, and the verdict behind it."


def answers(browser: Browser, name: str) -> str:
    """Answers, some of them open."""
    browser.prefer("light")
    browser.ask("document.querySelectorAll('.answer').forEach((one, i) => { one.open = i % 4 === 0; })")
    take(browser, name, "section[aria-label^=Answers]")
    return "Answers with the verdict on each and the credit of each token."


@dataclass(frozen=True)
class Shown:
    """A run and the pictures of its report."""

    recipe: str
    pictures: dict[str, Callable[[Browser, str], str]]


RUNS = {
    "main": Shown("main", {"report-run": head, "report-episode": film}),
    "nethack": Shown("nethack-score", {"report-nethack": head, "report-nethack-episode": film}),
    "arithmetic": Shown("rlvr", {"report-arithmetic": head, "report-answers": answers}),
}


def main(arguments: Sequence[str]) -> None:
    """Make what runs there are not, and take the pictures."""
    values: dict[str, Any] = parse(arguments)
    minutes, work = float(values.pop("minutes", 6.0)), Path(str(values.pop("work", "runs/report-pictures")))
    chosen = values.pop("only", None) or list(RUNS)
    given = {name: str(values.pop(name)) for name in RUNS if name in values}
    if values or not set(chosen) <= set(RUNS):
        raise UserError(f"got {list(arguments)}; expected only=[…] of {', '.join(RUNS)}, minutes=, work=, or NAME=RUN")
    kept = json.loads(LIST.read_text(encoding="utf-8")) if LIST.exists() else {}
    for name in chosen:
        shown = RUNS[name]
        directory = RunDirectory.existing(given[name], Path("runs")) if name in given else played(shown, work, minutes)
        kept.update(pictures_of(directory, shown, minutes))
    LIST.write_text(json.dumps(dict(sorted(kept.items())), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def played(shown: Shown, work: Path, minutes: float) -> RunDirectory:
    """The run, made here where there is none yet."""
    runs = work / shown.recipe
    try:
        found = RunDirectory.existing("last", runs)
    except UserError:
        return train(shown.recipe, {"tracking.enabled": False}, runs, minutes)
    print(f"{found.root} is there already; for another one, remove it or give work=")
    return found


def pictures_of(directory: RunDirectory, shown: Shown, minutes: float) -> dict[str, dict[str, str]]:
    """Take the pictures of a run; gives what is said of each.

    Raises:
        SystemExit: the browser complained of the page.
    """
    said = {}
    with Browser(width=1160, height=900) as browser, tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        write_report([directory], page)
        for name, act in shown.pictures.items():
            browser.open(page.as_uri())
            command = f"guerdon train {shown.recipe} runner=distributed minutes={minutes:g}"
            said[name] = {"shows": act(browser, name), "run": run_told(directory), "command": command}
        if browser.problems:
            raise SystemExit("\n".join(browser.problems))
    return said


def run_told(directory: RunDirectory) -> str:
    """What a run is, in one sentence."""
    last = list(directory.lines(directory.metrics))[-1]
    if is_language(directory):
        return f"{last['updates']:,.0f} updates in {last['elapsed_s'] / 60:.1f} minutes, one seed."
    task = stored_experiment(directory).task
    return f"{task}, {last['learnt_frames']:,.0f} frames in {last['elapsed_s'] / 60:.1f} minutes, one seed."


def take(browser: Browser, name: str, selector: str, most_height: int = 1400) -> None:
    """One picture of an element, in few colours."""
    path = PICTURES / f"{name}.png"
    browser.picture(path, selector, most_height=most_height)
    image = Image.open(io.BytesIO(path.read_bytes())).convert("RGB")
    image.quantize(COLOURS).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1024} kB, {image.width} x {image.height}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"report_pictures: {error}")
