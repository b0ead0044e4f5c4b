"""The command line: `guerdon train | evaluate | inspect | report | doctor`, recipe names and `key=value`.

Everything that can be set is a key of the experiment; there are no other flags than `--dry-run`. What a person can
mend is said in one line, with exit code 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pipelines.errors import UserError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Guerdon: a workbench for learning from designed rewards.",
)

Settings = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="overrides, by dotted path")]
RUNS = "runs"


def _split(words: list[str] | None) -> tuple[str | None, list[str]]:
    """A leading recipe name, if there is one, and the rest."""
    words = list(words or [])
    if words and "=" not in words[0]:
        return words[0], words[1:]
    return None, words


def _run_and_settings(run: str, settings: list[str] | None) -> tuple[str, list[str]]:
    """The run that is meant: the last one, where the first word is a setting."""
    return ("last", [run, *(settings or [])]) if "=" in run else (run, settings or [])


def _take(values: dict[str, Any], key: str, default: Any) -> Any:
    return values.pop(key, default)


@app.command()
def train(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[RECIPE] [KEY=VALUE]...", help="recipe (default: main) and overrides")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the resolved experiment and stop")] = False,
) -> None:
    """Run an experiment: acting, judging, reward modelling and learning, to a report.

    Besides the experiment's keys: runs=DIRECTORY (where runs go) and resume=RUN (go on with a run, or 'last').
    """
    import yaml

    from pipelines.overrides import parse
    from pipelines.recipes.table import find_recipe
    from pipelines.train import resolve
    from pipelines.train import train as run_train

    recipe, rest = _split(words)
    values = parse(rest)
    runs = Path(str(_take(values, "runs", RUNS)))
    resume = _take(values, "resume", None)
    resume = None if resume is None else str(resume)  # a name of digits is read as a number
    if resume is not None and recipe is not None:
        raise UserError(f"got recipe {recipe!r} and resume={resume}; a resumed run keeps its recipe: leave it out")
    experiment = resolve(find_recipe(recipe or "main"), values, runs, resume)
    if dry_run:
        print(yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False), end="")
        return
    directory = run_train(experiment, runs, resume)
    from pipelines.report import summary

    print(summary(directory))


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Play seeded episodes with a run's policy; returns and task success with 95 % intervals.

    Keys: episodes=100, seed=1000, greedy=false, environments=16, runs=DIRECTORY.
    """
    from pipelines.evaluate import evaluate_run
    from pipelines.overrides import parse
    from pipelines.run_directory import RunDirectory

    run, settings = _run_and_settings(run, settings)
    values = parse(settings)
    directory = RunDirectory.existing(run, Path(str(_take(values, "runs", RUNS))))
    print(evaluate_run(directory, **_known(values, episodes=100, seed=1000, greedy=False, environments=16)))


@app.command()
def inspect(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Show recorded episodes as text frames: message, action, every reward component, the verdict behind it.

    Keys: episode=ID (default: the last whole one), episodes=1, steps=40, first=0, all=false, runs=DIRECTORY.
    """
    from pipelines.inspect import inspect_run
    from pipelines.overrides import parse
    from pipelines.run_directory import RunDirectory

    run, settings = _run_and_settings(run, settings)
    values = parse(settings)
    directory = RunDirectory.existing(run, Path(str(_take(values, "runs", RUNS))))
    known = _known(values, episode="", episodes=1, steps=40, first=0, all=False)
    for text in inspect_run(directory, **known):
        print(text)


@app.command()
def report(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN]... [KEY=VALUE]...", help="runs; default: last")
    ] = None,
) -> None:
    """Write a run's report as one page, or that of several side by side.

    Keys: to=FILE (default: report.html in the first run), runs=DIRECTORY.
    """
    from pipelines.overrides import parse
    from pipelines.report import summary, write_report
    from pipelines.run_directory import RunDirectory

    names = [word for word in words or [] if "=" not in word]
    values = parse([word for word in words or [] if "=" in word])
    runs = Path(str(_take(values, "runs", RUNS)))
    directories = [RunDirectory.existing(name, runs) for name in names or ["last"]]
    target = Path(str(_known(values, to=str(directories[0].report))["to"]))
    write_report(directories, target)
    for directory in directories:
        print(summary(directory))
    print(f"report: {target}")


@app.command()
def doctor() -> None:
    """Look at this machine, and say what to install."""
    from pipelines.doctor import diagnose, print_findings

    raise typer.Exit(print_findings(diagnose()))


def _known(values: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    """Values over defaults, of the defaults' types.

    Raises:
        UserError: a key is unknown or a value of another type.
    """
    for key, value in values.items():
        if key not in defaults:
            raise UserError(f"unknown key {key!r}; expected one of {', '.join(defaults)}, runs")
        expected = type(defaults[key])
        if expected is str:
            values[key] = str(value)
        elif type(value) is not expected:
            raise UserError(f"{key}: got {value!r}; expected a value like {defaults[key]!r}")
    return {**defaults, **values}


def main() -> NoReturn:
    """Entry point: runs a command; errors that a person can mend become one line and exit code 2."""
    from pipelines.house import check_house

    try:
        check_house()
        code = app(standalone_mode=False)  # what typer.Exit was raised with, or None
    except UserError as error:
        print(f"guerdon: {error}", file=sys.stderr)
        sys.exit(2)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("guerdon: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if hasattr(error, "format_message"):  # usage errors of the command line itself
            print(f"guerdon: {error.format_message()}", file=sys.stderr)
            sys.exit(2)
        raise
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
