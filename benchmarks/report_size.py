"""How long and how large the report of a long run is, in steps that are stored: a run made for it, of ten million.

Rows of a short run of `catch` are stored over and over under names of their own, its metrics are continued, and
captions that are hostile and many are judged.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from benchmarks.apparatus.browser import Browser, find_browser
from envs.storage.store import Config, Store
from envs.storage.writers import Key
from pipelines.errors import UserError
from pipelines.overrides import apply, parse
from pipelines.recipes.catch import catch
from pipelines.reports.page import write_report
from pipelines.results import Figure, Result, write_result
from pipelines.run_directory import RunDirectory
from pipelines.stored.stored_experience import stored_rows
from pipelines.train import train
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Status, Verdict, to_arrow

NAME = "report-size"
STEPS, LINES, CAPTIONS = 10_000_000, 200_000, 50_000
MOST_S, MOST_MB = 30.0, 20.0
BATCH_STEPS = 40_000
HOSTILE = "</script><script>alert(1)</script>\x1b[31m caption {number}"


def short_run(runs: Path) -> RunDirectory:
    """A run of some thousand steps, with verdicts and a checkpoint."""
    values = {"frames": 4000, "runner": "local", "tracking.enabled": False, "judge.kind": "rules"}
    values |= {"reward.source": "retrieval", "report_every_s": 0.05}
    return train(apply(catch(), values), runs, None, say=lambda text: None)


def lengthen(run: RunDirectory, steps: int, lines: int, captions: int) -> int:
    """Let it have so many stored steps, lines of metrics and judged captions; gives the steps that are stored now."""
    rows = pa.Table.from_batches(list(stored_rows(run)))
    length = int(pa.compute.sum(rows.column("env_reward").combine_chunks().value_lengths()).as_py())
    times = max(1, BATCH_STEPS // length)
    batch = pa.concat_tables([rows] * times).combine_chunks().to_batches()[0]
    stored = length
    with Store(run.shard(0) / "rows", batch.schema, Config(fsync="none")) as store:
        number = 0
        while stored < steps:
            names = pa.array([f"9/1/{number}/{row}" for row in range(batch.num_rows)])
            fresh = batch.set_column(0, batch.schema.field(0), names)
            store.append(Key(9, 1, number), fresh)
            stored += length * times
            number += 1
    last = json.loads(run.metrics.read_text().splitlines()[-1])
    with run.metrics.open("a") as file:
        for number in range(lines):
            file.write(json.dumps({**last, "learnt_frames": last["learnt_frames"] + 50 * number}) + "\n")
    verdicts = [
        Verdict(str(10_000 + i), "caption", "judge", "long", 1.0, Status.OK, "judge-1", text=HOSTILE.format(number=i))
        for i in range(captions)
    ]
    with VerdictStore(run.verdicts) as judged:
        judged.put(to_arrow(verdicts))
    return stored


def main(arguments: Sequence[str]) -> int:
    """The command; gives the exit code."""
    values = parse(arguments)
    steps, results = int(values.pop("steps", STEPS)), Path(values.pop("results", "docs/results"))
    if values:
        raise UserError(f"got {sorted(values)}; expected steps or results")
    with tempfile.TemporaryDirectory() as work:
        run = short_run(Path(work))
        stored = lengthen(run, steps, LINES, CAPTIONS)
        began = time.monotonic()
        write_report([run], run.report)
        seconds = time.monotonic() - began
        size = run.report.stat().st_size / 2**20
        problems = look(run.report) if find_browser() else ["there is no browser here"]
    result = report(results, stored, seconds, size, problems, " ".join(arguments))
    print(f"{stored:,} steps: {seconds:.1f} s, {size:.2f} MB, problems {problems}; holds {result.holds}")
    return 0 if result.holds else 1


def look(page: Path) -> list[str]:
    """What a browser complains of."""
    with Browser() as browser:
        browser.open(page.as_uri())
        return browser.problems + browser.requests


def report(results: Path, stored: int, seconds: float, size: float, problems: list[str], words: str) -> Result:
    """Write the result."""
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"The report of a run with ten million stored steps, {LINES:,} lines of metrics and {CAPTIONS:,} judged "
        f"captions that hold markup is made in less than {MOST_S:g} s, is smaller than {MOST_MB:g} MB, and a browser "
        "loads it without a complaint.",
        stored >= STEPS and seconds < MOST_S and size < MOST_MB and not problems,
        f"python -m benchmarks.report_size {words}".strip(),
        {
            "steps": Figure(value=stored, unit="steps", low=None, high=None, n=1),
            "time": Figure(value=seconds, unit="s", low=None, high=None, n=1),
            "size": Figure(value=size, unit="MB", low=None, high=None, n=1),
            "complaints of the browser": Figure(value=len(problems), unit="messages", low=None, high=None, n=1),
        },
        [{"steps": stored, "seconds": seconds, "MB": size, "problems": "; ".join(problems)[:500]}],
    )


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"{NAME}: {error}")
