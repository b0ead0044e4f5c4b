"""Commands for clusters: `submit`, `jobs list`, `jobs logs`, `jobs stop`, `jobs resume`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.commands.arguments import RUNS, Settings, known, own_keys
from pipelines.errors import UserError

app = typer.Typer()
jobs = typer.Typer(no_args_is_help=True, help="Jobs on a cluster: see them, follow them, stop them, go on with them.")
app.add_typer(jobs, name="jobs")

Job = Annotated[str, typer.Argument(help="id of the job, from `guerdon jobs list`")]
ADDRESS = "http://127.0.0.1:8265"


@app.command()
def submit(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[RECIPE] [KEY=VALUE]...", help="recipe (default: main) and overrides")
    ] = None,
) -> None:
    """Train on a Ray cluster: pack the checkout, submit, show what the job says, end with its exit code.

    Besides the experiment's keys: address=http://127.0.0.1:8265 (of the cluster's dashboard), run=NAME (the same name
    goes on with the same run), runs=~/guerdon-runs (where runs go, on the cluster), environment=pip (or uv, or cluster:
    what is installed there), max_mb=100 (of the checkout), follow=true. Ctrl-C detaches; the job goes on.
    """
    from pipelines.jobs.submission import follow, order_of
    from pipelines.jobs.submission import submit as send

    own, rest = own_keys(
        list(words or []),
        address=ADDRESS, run="", runs="~/guerdon-runs", environment="pip", max_mb=100.0, follow=True,
    )  # fmt: skip
    order = order_of(rest, own)
    with cluster(own) as there:
        ident = send(order, there, Path(RUNS) / "jobs")
        raise typer.Exit(follow(ident, there) if own["follow"] else 0)


@jobs.command(name="list")
def jobs_list(settings: Settings = None) -> None:
    """Every job that the cluster remembers. Keys: address=http://127.0.0.1:8265."""
    import time

    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("job", "status", "began"):
        table.add_column(name, no_wrap=True)  # an id is there to be copied
    table.add_column("command", overflow="fold")
    with cluster(_own(settings)) as there:
        for job in there.all():
            began = time.strftime("%Y-%m-%d %H:%M", time.localtime((job.start_time or 0) / 1e3))
            table.add_row(*map(_plain, (job.submission_id or "", job.status.value, began, job.entrypoint)))
        if not table.row_count:
            print(f"no job was submitted to {there.address} since its head was started; `guerdon submit` does")
            return
    console = Console()
    (console if console.is_terminal else Console(width=1000)).print(table)


@jobs.command()
def logs(job: Job, settings: Settings = None) -> None:
    """Show what a job says, to its end; follow=false: what it has said so far. Keys: address=, follow=true."""
    from cluster.secrecy import PlainLines
    from pipelines.jobs.submission import follow

    own = _own(settings, follow=True)
    with cluster(own) as there:
        there.details(job)
        if own["follow"]:
            raise typer.Exit(follow(job, there))
        plain = PlainLines()
        for line in there.logs(job).splitlines():
            print(plain(line))


@jobs.command()
def stop(job: Job, settings: Settings = None) -> None:
    """Ask a job to save and stop: it has three minutes for that. Keys: address=http://127.0.0.1:8265."""
    with cluster(_own(settings)) as there:
        print(f"{job}: asked to save and stop" if there.stop(job) else f"{job}: it was not running")


@jobs.command()
def resume(job: Job, settings: Settings = None) -> None:
    """Submit a job's run again: it goes on at its newest checkpoint. Keys: address=, follow=true."""
    from pipelines.jobs.submission import follow, remembered
    from pipelines.jobs.submission import submit as send

    own, records = _own(settings, follow=True), Path(RUNS) / "jobs"
    with cluster(own) as there:
        ident = send(remembered(job, there, records), there, records)
        raise typer.Exit(follow(ident, there) if own["follow"] else 0)


@contextmanager
def cluster(own: dict[str, Any]) -> Iterator[Any]:
    """The jobs of the cluster that is meant; what it refuses is said in one line."""
    from cluster.jobs import Jobs
    from cluster.session import ClusterUnavailable

    try:
        yield Jobs(str(own["address"]))
    except ClusterUnavailable as error:
        raise UserError(str(error)) from None


def _own(settings: list[str] | None, **more: Any) -> dict[str, Any]:
    from pipelines.overrides import parse

    values = parse(settings or [])
    if wrong := [key for key in values if key not in ("address", *more)]:
        raise UserError(f"unknown key {wrong[0]!r}; expected one of {', '.join(('address', *more))}")
    return known(values, address=ADDRESS, **more)


def _plain(text: str) -> str:
    """Text of others, without what a terminal or a table would obey."""
    from rich.markup import escape

    return escape("".join(c for c in text if c.isprintable()))
