"""The command line: `guerdon COMMAND`, recipe names and `key=value`.

Everything that can be set is a key of the experiment; there are no other flags than `--dry-run`. What a person can
mend is said in one line, with exit code 2.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from pipelines.errors import UserError

if TYPE_CHECKING:
    from pipelines.run_directory import RunDirectory

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Guerdon: a workbench for learning from designed rewards.",
)

Settings = Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="overrides, by dotted path")]
RUNS = "runs"
TARGET = "builtin, rules, a URL, a model's directory, package.module:function, or a run"


def _split(words: list[str] | None) -> tuple[str | None, list[str]]:
    """A leading recipe name, if there is one, and the rest."""
    words = list(words or [])
    if words and "=" not in words[0]:
        return words[0], words[1:]
    return None, words


def _run_and_settings(run: str, settings: list[str] | None) -> tuple[str, list[str]]:
    """The run that is meant: the last one, where the first word is a setting."""
    return ("last", [run, *(settings or [])]) if "=" in run else (run, settings or [])


def _run_and_values(run: str, settings: list[str] | None) -> tuple[RunDirectory, dict[str, Any]]:
    """The run that is meant, and the other settings."""
    from pipelines.overrides import parse
    from pipelines.run_directory import RunDirectory

    run, settings = _run_and_settings(run, settings)
    values = parse(settings)
    return RunDirectory.existing(run, Path(str(_take(values, "runs", RUNS)))), values


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

    Besides the experiment's keys: runs=DIRECTORY (where runs go), resume=RUN (go on with a run, or 'last'),
    from=RUN (learn offline from what a run has stored; see docs/offline.md), and settings=FILE (overrides in YAML,
    such as `guerdon tune` writes; those of the command line come before them).
    """
    import yaml

    from pipelines.language.stored import resolve_language
    from pipelines.offline import resolve_offline
    from pipelines.overrides import parse
    from pipelines.recipes.table import find_recipe
    from pipelines.report import summary
    from pipelines.train import resolve
    from pipelines.train import train as run_train

    recipe, rest = _split(words)
    values = _with_file(parse(rest))
    runs = Path(str(_take(values, "runs", RUNS)))
    resume = _take(values, "resume", None)
    resume = None if resume is None else str(resume)  # a name of digits is read as a number
    if resume is not None and recipe is not None:
        raise UserError(f"got recipe {recipe!r} and resume={resume}; a resumed run keeps its recipe: leave it out")
    source = _take(values, "from", None)
    language = resolve_language(recipe, values, runs, resume) if source is None else None
    if language is not None:
        if dry_run:
            print(yaml.safe_dump(language.model_dump(mode="json"), sort_keys=False), end="")
            return
        from pipelines.language.train import train as train_language

        print(summary(train_language(language, runs, resume)))
        return
    if source is None:
        experiment = resolve(find_recipe(recipe or "main"), values, runs, resume)
    elif resume is None:
        experiment = resolve_offline(find_recipe(recipe) if recipe else None, values, runs, str(source))
    else:
        raise UserError(f"got resume={resume} and from={source}; a resumed run keeps its source: leave from= out")
    if dry_run:
        print(yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False), end="")
        return
    print(summary(run_train(experiment, runs, resume)))


@app.command()
def profile(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[RECIPE] [KEY=VALUE]...", help="recipe (default: main) and overrides")
    ] = None,
) -> None:
    """Train for a while, and show where the time of a frame goes, by stage and by process.

    Besides what `train` takes: seconds=60 (length of the window), warm_up=20 (seconds of learning before it),
    to=profile.html (the picture).
    """
    from pipelines.profile import profile as run_profile

    recipe, rest = _split(words)
    own, rest = _own(rest, seconds=60.0, warm_up=20.0, to="profile.html")
    run_profile([recipe or "main", *rest], own["seconds"], own["warm_up"], Path(own["to"]))


@app.command()
def tune(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[RECIPE] [KEY=VALUE]...", help="recipe (default: main) and overrides")
    ] = None,
) -> None:
    """Find the number of actors, environments and threads for this machine; `train` takes the file by settings=FILE.

    Besides what `train` takes: minutes=3 (how long it may take), to=tuned.yaml (the file).
    """
    from pipelines.overrides import parse
    from pipelines.recipes.table import find_recipe
    from pipelines.train import resolve
    from pipelines.tune import tune as run_tune

    recipe, rest = _split(words)
    own, rest = _own(rest, minutes=3.0, to="tuned.yaml")
    experiment = resolve(find_recipe(recipe or "main"), _with_file(parse(rest)), Path(RUNS), None)
    run_tune([recipe or "main", *rest], experiment, own["minutes"], Path(own["to"]))


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Play seeded episodes with a run's policy; returns and task success with 95 % intervals.

    Keys: episodes=100, seed=1000, greedy=false, environments=16, runs=DIRECTORY.
    """
    from pipelines.evaluate import evaluate_run
    from pipelines.language.policy import evaluate_language
    from pipelines.language.stored import is_language

    directory, values = _run_and_values(run, settings)
    if is_language(directory):
        print(evaluate_language(directory, **_known(values, episodes=500, seed=1000, greedy=False)))
        return
    print(evaluate_run(directory, **_known(values, episodes=100, seed=1000, greedy=False, environments=16)))


@app.command()
def chat(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Talk to the language model of a run, line by line.

    Keys: message=TEXT (one reply, and the end), system=TEXT, greedy=false, runs=DIRECTORY.
    """
    from pipelines.language.policy import chat as talk

    directory, values = _run_and_values(run, settings)
    talk(directory, **_known(values, message="", system="", greedy=False))


@app.command()
def inspect(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Show recorded episodes as text frames: message, action, every reward component, the verdict behind it.

    Keys: episode=ID (default: the last whole one), episodes=1, steps=40, first=0, all=false, runs=DIRECTORY.
    Of a language run, conversations: episode=ID, episodes=1.
    """
    from pipelines.inspect import inspect_run
    from pipelines.language.inspect import inspect_language
    from pipelines.language.stored import is_language

    directory, values = _run_and_values(run, settings)
    if is_language(directory):
        for text in inspect_language(directory, **_known(values, episode="", episodes=1)):
            print(text)
        return
    known = _known(values, episode="", episodes=1, steps=40, first=0, all=False)
    for text in inspect_run(directory, **known):
        print(text)


@app.command()
def explain(
    run: Annotated[str, typer.Argument(help="a run")] = "last",
    row: Annotated[str, typer.Argument(help="id of a stored row or its beginning, its number, or `last`")] = "last",
    settings: Settings = None,
) -> None:
    """Say of each step of a stored row which component, and which part of the reward view, paid what.

    Keys: runs=DIRECTORY.
    """
    from pipelines.explain import explain_row
    from pipelines.language.inspect import explain_language
    from pipelines.language.stored import is_language

    directory, values = _run_and_values(run, settings)
    _known(values)
    for line in (explain_language if is_language(directory) else explain_row)(directory, row):
        typer.echo(line)


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
def ledger(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Show the accounts of a run: what became of its experience and of its questions. Exit code 1: they do not balance.

    Keys: runs=DIRECTORY.
    """
    from pipelines.replay_tools import ledger_report

    directory, values = _run_and_values(run, settings)
    _known(values)
    report = ledger_report(directory)
    print(*report.lines, sep="\n")
    raise typer.Exit(0 if report.balanced else 1)


@app.command()
def reannotate(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Judge a run's stored experience anew, beside what was said before, and compare; goes on where it was stopped.

    Keys: reward=judge (or model, or a function, my_lab.rewards:exact_match), judge.KEY=…, settings.KEY=…,
    budget.requests=, budget.tokens=, budget.money=, seconds=, against=VERSION, again=false, runs=DIRECTORY.
    """
    from pipelines.reannotate import reannotate as run_reannotate

    directory, values = _run_and_values(run, settings)
    print(*run_reannotate(directory, values).lines(), sep="\n")


@app.command()
def switch(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Let a running learner go on with another reward version, one that `guerdon reannotate` has made.

    Keys: reward=VERSION, least=0.9 (share of the stored experience that it must have judged), runs=DIRECTORY.
    """
    from pipelines.switch import request_switch

    directory, values = _run_and_values(run, settings)
    asked = request_switch(directory, **_known(values, reward="", least=0.9))
    print(
        f"asked for reward version {asked.reward_version}, which has judged {asked.share_judged:.1%} of what is stored"
    )


@app.command()
def canaries(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Show how a run's judges did on rows with known verdicts, and who is in quarantine.

    Keys: lift=JUDGE (believe a judge again, named by the first letters of its fingerprint), runs=DIRECTORY.
    """
    from pipelines.quarantine import canary_lines, lift_quarantine

    directory, values = _run_and_values(run, settings)
    if name := _known(values, lift="")["lift"]:
        entry = lift_quarantine(directory, name)
        print(f"judge {entry.judge} is believed again, with a clean slate")
    else:
        print(*canary_lines(directory), sep="\n")


replay = typer.Typer(no_args_is_help=True, help="Look at stored experience and verdicts, check them, copy them.")
app.add_typer(replay, name="replay")


@replay.command(name="inspect")
def replay_inspect(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Say what a run has stored: columns, rows, sizes, writers. Keys: runs=DIRECTORY."""
    from pipelines.replay_tools import inspect_stores

    directory, values = _run_and_values(run, settings)
    _known(values)
    print(*inspect_stores(directory), sep="\n")


@replay.command()
def verify(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Check every byte of what a run has stored. Exit code 1: something is wrong. Keys: runs=DIRECTORY."""
    from pipelines.replay_tools import verify_stores

    directory, values = _run_and_values(run, settings)
    _known(values)
    problems = verify_stores(directory)
    print(*(problems or ["sound"]), sep="\n")
    raise typer.Exit(1 if problems else 0)


@replay.command()
def export(
    run: Annotated[str, typer.Argument(help="path, name, or 'last'")] = "last",
    settings: Settings = None,
) -> None:
    """Write what a run has stored as Parquet. Keys: to=exported, runs=DIRECTORY."""
    from pipelines.replay_tools import export_stores

    directory, values = _run_and_values(run, settings)
    print(*export_stores(directory, Path(_known(values, to="exported")["to"])), sep="\n")


@replay.command(name="import")
def replay_import(
    source: Annotated[str, typer.Argument(help="directory that `guerdon replay export` wrote")],
    settings: Settings = None,
) -> None:
    """Make a run of what was exported: it can be judged, inspected and learnt from. Keys: to=runs/imported."""
    from pipelines.overrides import parse
    from pipelines.replay_tools import import_stores

    print(import_stores(Path(source), Path(_known(parse(settings or []), to="runs/imported")["to"])).root)


@app.command()
def attack(target: Annotated[str, typer.Argument(help=TARGET)], settings: Settings = None) -> None:
    """Try to fool a judge or reward model, defences off and on, with 95 % intervals.

    Keys: samples=50, attacks=[NAME,…], seed=0, to=FILE, goal=, rubric=, model=, device=, threads=, runs=.
    """
    from pipelines.attack import attack as run_attack
    from pipelines.overrides import parse

    print(run_attack(target, parse(settings or [])))


@app.command(name="serve-rewards")
def serve_rewards(target: Annotated[str, typer.Argument(help=TARGET)], settings: Settings = None) -> None:
    """Serve a reward over HTTP until Ctrl-C; keys in docs/serve-rewards.md."""
    from pipelines.overrides import parse
    from pipelines.serve_rewards import serve

    serve(target, parse(settings or []))


@app.command()
def methods(
    words: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]... | show N", help="words, or one row")] = None,
) -> None:
    """List the methods from papers on reward design, those that have some words, or show one with its evidence."""
    from pipelines.methods import card, listing, read_index, search

    index, words = read_index(), words or []
    if words[:1] != ["show"]:
        typer.echo(listing(search(index, " ".join(words))) or "no method has these words")
        return
    chosen = [method for method in index if words[1:] == [str(method.n)]]
    if not chosen:
        raise UserError(f"got {' '.join(words)}; expected `show` and a number from 1 to {index[-1].n}")
    typer.echo(card(chosen[0]))


@app.command()
def doctor() -> None:
    """Look at this machine, and say what to install."""
    from pipelines.doctor import diagnose, print_findings

    raise typer.Exit(print_findings(diagnose()))


def _with_file(values: dict[str, Any]) -> dict[str, Any]:
    """Values, over those of the file that `settings` names."""
    from pipelines.overrides import read_settings

    file = _take(values, "settings", None)
    return values if file is None else {**read_settings(Path(str(file))), **values}


def _own(words: list[str], **defaults: Any) -> tuple[dict[str, Any], list[str]]:
    """A command's own keys over their defaults, and the other words."""
    from pipelines.overrides import parse

    mine = [word for word in words if word.partition("=")[0] in defaults]
    values = {
        key: float(value) if isinstance(defaults[key], float) and type(value) is int else value
        for key, value in parse(mine).items()
    }
    return _known(values, **defaults), [word for word in words if word not in mine]


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
