"""Commands that look at a run: `evaluate`, `chat`, `inspect`, `explain`, `report`, `ledger`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.arguments import RUNS, Settings, known, run_and_values, take
from pipelines.commands.completion import complete_runs

app = typer.Typer()


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'", autocompletion=complete_runs)] = "last",
    settings: Settings = None,
) -> None:
    """Play seeded episodes with a run's policy; returns and task success with 95 % intervals.

    Keys: episodes=100, seed=1000, greedy=false, environments=16, runs=DIRECTORY.
    """
    from pipelines.evaluate import evaluate_run
    from pipelines.language.policy import evaluate_language
    from pipelines.language.stored import is_language

    directory, values = run_and_values(run, settings)
    if is_language(directory):
        print(evaluate_language(directory, **known(values, episodes=500, seed=1000, greedy=False)))
        return
    print(evaluate_run(directory, **known(values, episodes=100, seed=1000, greedy=False, environments=16)))


@app.command()
def chat(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'", autocompletion=complete_runs)] = "last",
    settings: Settings = None,
) -> None:
    """Talk to the language model of a run, line by line.

    Keys: message=TEXT (one reply, and the end), system=TEXT, greedy=false, runs=DIRECTORY.
    """
    from pipelines.language.policy import chat as talk

    directory, values = run_and_values(run, settings, ("message", "system"))
    talk(directory, **known(values, message="", system="", greedy=False))


@app.command()
def inspect(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'", autocompletion=complete_runs)] = "last",
    settings: Settings = None,
) -> None:
    """Show recorded episodes as text frames: message, action, every reward component, the verdict behind it.

    Keys: episode=ID (default: the last whole one), episodes=1, steps=40, first=0, all=false, runs=DIRECTORY.
    Of a language run, conversations: episode=ID, episodes=1.
    """
    from pipelines.language.shown import inspect_language
    from pipelines.language.stored import is_language
    from pipelines.stored.shown import inspect_run

    directory, values = run_and_values(run, settings)
    if is_language(directory):
        for text in inspect_language(directory, **known(values, episode="", episodes=1)):
            print(text)
        return
    for text in inspect_run(directory, **known(values, episode="", episodes=1, steps=40, first=0, all=False)):
        print(text)


@app.command()
def explain(
    run: Annotated[str, typer.Argument(help="a run", autocompletion=complete_runs)] = "last",
    row: Annotated[str, typer.Argument(help="id of a stored row or its beginning, its number, or `last`")] = "last",
    settings: Settings = None,
) -> None:
    """Say of each step of a stored row which component, and which part of the reward view, paid what.

    Keys: runs=DIRECTORY.
    """
    from pipelines.language.shown import explain_language
    from pipelines.language.stored import is_language
    from pipelines.stored.explain import explain_row

    directory, values = run_and_values(run, settings)
    known(values)
    for line in (explain_language if is_language(directory) else explain_row)(directory, row):
        typer.echo(line)


@app.command()
def report(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]... [KEY=VALUE]...", help="runs; default: last", autocompletion=complete_runs),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="serve it while the run goes on, and renew it")] = False,
) -> None:
    """Write a run's report as one page, or that of several side by side; runs that differ in their seed are one curve.

    Keys: to=FILE (default: report.html in the first run), runs=DIRECTORY; with --live, port=0 (0: any that is free).
    """
    from pipelines.overrides import parse
    from pipelines.reports.page import write_report
    from pipelines.reports.summary import summary
    from pipelines.run_directory import RunDirectory

    names = [word for word in words or [] if "=" not in word]
    values = parse([word for word in words or [] if "=" in word])
    runs = Path(str(take(values, "runs", RUNS)))
    directories = [RunDirectory.existing(name, runs) for name in names or ["last"]]
    if live:
        from pipelines.reports.live import serve_live

        serve_live(directories, known(values, port=0)["port"])
        return
    target = Path(str(known(values, to=str(directories[0].report))["to"]))
    write_report(directories, target)
    for directory in directories:
        print(summary(directory))
    print(f"report: {target}")


@app.command()
def ledger(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'", autocompletion=complete_runs)] = "last",
    settings: Settings = None,
) -> None:
    """Show the accounts of a run: what became of its experience and of its questions. Exit code 1: they do not balance.

    Keys: runs=DIRECTORY.
    """
    from pipelines.stored.replay_tools import ledger_report

    directory, values = run_and_values(run, settings)
    known(values)
    report = ledger_report(directory)
    print(*report.lines, sep="\n")
    raise typer.Exit(0 if report.balanced else 1)
