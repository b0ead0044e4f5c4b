"""`guerdon replay` and `guerdon fetch`: what a run has stored, checked and copied."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.arguments import RUNS, Settings, known, run_and_values, take

app = typer.Typer()


@app.command()
def fetch(
    place: Annotated[str, typer.Argument(help="of the run in its mirror, such as s3://bucket/runs/NAME, or a folder")],
    settings: Settings = None,
) -> None:
    """Bring a run here from its mirror, every file checked, to look at it. Keys: runs=DIRECTORY."""
    from pipelines.errors import UserError
    from pipelines.mirror.fetching import bring
    from pipelines.overrides import parse
    from pipelines.run_directory import expanded

    values = parse(settings or [])
    runs = expanded(str(take(values, "runs", RUNS)))
    known(values)
    storage, _, name = place.rstrip("/").rpartition("/")
    if not storage:
        raise UserError(f"got {place!r}; expected the place of a run in its mirror, STORAGE/NAME")
    if bring(runs, name, storage, print):
        print(f"{runs / name} is here: guerdon report {runs / name}")
    else:
        print(f"nothing was fetched: {place} holds no run, or none that is newer than {runs / name}")
        raise typer.Exit(1)


replay = typer.Typer(no_args_is_help=True, help="Look at stored experience and verdicts, check them, copy them.")
app.add_typer(replay, name="replay")


@replay.command(name="inspect")
def replay_inspect(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Say what a run has stored: columns, rows, sizes, writers. Keys: runs=DIRECTORY."""
    from pipelines.stored.replay_tools import inspect_stores

    directory, values = run_and_values(run, settings)
    known(values)
    print(*inspect_stores(directory), sep="\n")


@replay.command()
def verify(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Check every byte of what a run has stored. Exit code 1: something is wrong. Keys: runs=DIRECTORY."""
    from pipelines.stored.replay_tools import verify_stores

    directory, values = run_and_values(run, settings)
    known(values)
    problems = verify_stores(directory)
    print(*(problems or ["sound"]), sep="\n")
    raise typer.Exit(1 if problems else 0)


@replay.command()
def export(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Write what a run has stored as Parquet. Keys: to=exported, runs=DIRECTORY."""
    from pipelines.stored.replay_tools import export_stores

    directory, values = run_and_values(run, settings)
    print(*export_stores(directory, Path(known(values, to="exported")["to"])), sep="\n")


@replay.command(name="import")
def replay_import(
    source: Annotated[str, typer.Argument(help="directory that `guerdon replay export` wrote")],
    settings: Settings = None,
) -> None:
    """Make a run of what was exported: it can be judged, inspected and learnt from. Keys: to=runs/imported."""
    from pipelines.overrides import parse
    from pipelines.stored.replay_tools import import_stores

    print(import_stores(Path(source), Path(known(parse(settings or []), to="runs/imported")["to"])).root)
