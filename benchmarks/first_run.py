"""`first-run`: what a newcomer does, in a fresh clone with an environment of its own, step by step and timed.

    python -m benchmarks.first_run                       from the clone to the end of the tutorial, then docs/results/
    python -m benchmarks.first_run work=DIR seconds=480  begin no step after so many seconds; again with the same
                                                         work= goes on
    python -m benchmarks.first_run work=DIR collect=true only write, from the steps that are done

The clone is of this checkout's commit, its caches are empty, and the pages are followed as they stand: `make train`
(shortened by `minutes=1`), what the README shows of the command line, the set-up of the tutorial, and each of its
blocks. What was confusing to a person who did the same by hand is in first_run_notes.yaml, with what was mended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.apparatus.pages import execute
from benchmarks.apparatus.training import CHECKOUT
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, Figure, Result, write_result

NAME = "first-run"
NOTES = Path(__file__).with_name("first_run_notes.yaml")
TUTORIAL_S = 1200.0  # "twenty minutes", says the tutorial
COMMANDS: tuple[tuple[str, str], ...] = (
    ("make train", 'make train ARGS="minutes=1"'),
    ("make train again", 'make train ARGS="minutes=0.5 seed=7"'),
    ("tutorial, set-up", '.ci/setup .venv ".[dev]"'),
)
PAGES = ("README.md", "docs/tutorial.md")
STEP_TIMEOUT_S = 3600.0


def walk(work: Path, done: int) -> Iterator[dict[str, Cell]]:
    """Every step after the first `done`, one row each."""
    clone, place = work / "guerdon", work / "mine"
    environment = fresh_environment(work, clone)
    number = 0
    commands = [("git clone", f"git clone --quiet {CHECKOUT} guerdon"), *COMMANDS]
    for name, command in commands:
        number += 1
        if number > done:
            begun = time.monotonic()
            ended = subprocess.run(
                ["bash", "-c", command],
                cwd=work if name == "git clone" else clone,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=STEP_TIMEOUT_S,
            )
            said = command.replace(str(CHECKOUT), "…")
            yield row(name, said, time.monotonic() - begun, ended.returncode, ended.stdout)
    for page in PAGES:
        where = place / Path(page).stem
        where.mkdir(parents=True, exist_ok=True)
        text = (clone / page).read_text(encoding="utf-8")
        before = max(0, done - number)
        for block in execute(text, where, environment, skip=before):
            first = next(line for line in block.block.text.splitlines() if line.strip())
            name = f"{page}, line {block.block.line}"
            one = row(name, first, block.seconds, block.code, block.printed)
            yield {**one, "ended": "output differs" if block.lost and not block.code else one["ended"]}
        number += len(list_of_steps(text))


def list_of_steps(page: str) -> list[int]:
    """Lines of the blocks of a page that are executed."""
    from benchmarks.apparatus.pages import FILE, blocks

    return [
        one.line
        for one in blocks(page)
        if not one.reason and (one.kind == "bash" or (one.kind == "python" and not FILE.match(one.text)))
    ]


def fresh_environment(work: Path, clone: Path) -> dict[str, str]:
    """As a newcomer has it: nothing of ours on the paths, empty caches, the clone's commands first on the path."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    path = [part for part in kept.get("PATH", "").split(os.pathsep) if not Path(part).is_relative_to(CHECKOUT)]
    cache = {"XDG_CACHE_HOME": str(work / "cache")}
    return {**kept, **cache, "PATH": os.pathsep.join([str(clone / ".venv/bin"), *path])}


def row(step: str, what: str, seconds: float, code: int, printed: str) -> dict[str, Cell]:
    """One step as it is kept."""
    last = next((line for line in reversed(printed.splitlines()) if line.strip()), "")
    return {
        "step": step,
        "what": what[:200],
        "seconds": round(seconds, 1),
        "ended": "ok" if code == 0 else f"code {code}: {last[:200]}",
    }


def collect(rows: Sequence[Mapping[str, Cell]], results: Path, beside: str) -> Result:
    """Write the result.

    Raises:
        UserError: nothing was done yet.
    """
    if not rows:
        raise UserError("no step is done yet; run it without collect=true")
    notes = yaml.safe_load(NOTES.read_text(encoding="utf-8"))
    tutorial = [float(one["seconds"] or 0) for one in rows if str(one["step"]).startswith("docs/tutorial.md")]
    whole = len(tutorial) == len(list_of_steps((CHECKOUT / "docs/tutorial.md").read_text(encoding="utf-8")))
    times = {str(one["step"]): float(one["seconds"] or 0) for one in rows}

    def one_value(value: float, unit: str) -> Figure:
        return Figure(value=value, unit=unit, low=None, high=None, n=1)

    figures = {
        "steps": one_value(len(rows), "steps"),
        "steps that did not end as the page says": one_value(sum(one["ended"] != "ok" for one in rows), "steps"),
        "tutorial, all of its blocks": one_value(sum(tutorial), "s"),
        "all steps": one_value(sum(times.values()), "s"),
    }
    figures |= {name: one_value(times[name], "s") for name, _ in COMMANDS if name in times}
    table: list[dict[str, Cell]] = [dict(one) for one in rows]
    table += [{"step": note["step"], "confusing": note["confusing"], "mended": note["mended"]} for note in notes]
    return write_result(
        results / f"{NAME}.json",
        NAME,
        "In a fresh clone with empty caches `make train`, what the README shows of the command line and each block of "
        f"the tutorial end as the pages say, and the blocks of the tutorial take less than {TUTORIAL_S / 60:.0f} "
        f"minutes together. {beside}".strip(),
        whole and all(one["ended"] == "ok" for one in rows) and sum(tutorial) < TUTORIAL_S,
        "python -m benchmarks.first_run",
        figures,
        table,
    )


def main(arguments: Sequence[str]) -> int:
    """The command; gives the exit code: 1 where a step did not end as the page says."""
    values: dict[str, Any] = parse(arguments)
    results, seconds = Path(values.pop("results", "docs/results")), float(values.pop("seconds", float("inf")))
    only, beside = values.pop("collect", False), str(values.pop("beside", ""))
    work = Path(values.pop("work", "") or tempfile.mkdtemp(prefix="first-run-")).resolve()
    if values:
        raise UserError(f"unknown key {next(iter(values))!r}; see the head of benchmarks/first_run.py")
    work.mkdir(parents=True, exist_ok=True)
    kept = work / "steps.jsonl"
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
    begun = time.monotonic()
    steps = walk(work, len(rows))
    while not only and time.monotonic() - begun < seconds:
        if (one := next(steps, None)) is None:
            break
        rows.append(one)
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(one) + "\n")
        print(f"{one['seconds']:8} s  {one['step']}: {one['what']}: {one['ended']}", flush=True)
    result = collect(rows, results, beside)
    print(f"{results / f'{NAME}.json'}: holds {result.holds}; the walk is below {work}")
    return 0 if all(one["ended"] == "ok" for one in rows) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"{NAME}: {error}")
