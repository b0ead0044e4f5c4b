"""Commands that train: `train`, `profile`, `tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.arguments import RUNS, own_keys, split, take, with_file
from pipelines.commands.completion import complete_training
from pipelines.errors import UserError

app = typer.Typer()


@app.command()
def train(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECIPE] [KEY=VALUE]...",
            help="recipe (default: main) and overrides",
            autocompletion=complete_training,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the resolved experiment and stop")] = False,
) -> None:
    """Run an experiment: acting, judging, reward modelling and learning, to a report.

    Besides the experiment's keys: runs=DIRECTORY (where runs go), resume=RUN (go on with a run, or 'last', or a place
    in storage such as s3://bucket/runs/NAME), run=NAME (make the run of this name, or go on with it where it is there,
    or in its storage=), from=RUN (learn offline from what a run has stored; see docs/offline.md), and settings=FILE
    (overrides in YAML, such as `guerdon tune` writes; those of the command line come before them), display=auto (or
    live, lines, quiet, and jsonl: one JSON object a line, for programs).
    """
    import yaml

    from pipelines.displays import Displays
    from pipelines.jobs.continuation import continued
    from pipelines.language.stored import resolve_language
    from pipelines.mirror.fetching import gone_on_with
    from pipelines.overrides import parse
    from pipelines.recipes.table import find_recipe
    from pipelines.reports.summary import summary
    from pipelines.run_directory import expanded, expect_run_name
    from pipelines.stored.offline import resolve_offline
    from pipelines.train import named_task, resolve
    from pipelines.train import train as run_train

    recipe, rest = split(words)
    values = with_file(parse(rest, ("run", "resume", "from", RUNS)))
    runs = expanded(str(take(values, "runs", RUNS)))
    display = Displays.of(str(take(values, "display", "auto")))
    resume, name = take(values, "resume", None), take(values, "run", None)
    resume = None if resume is None else str(resume)  # a name of digits is read as a number
    named = None if name is None else str(name)
    if resume is not None and recipe is not None:
        raise UserError(f"got recipe {recipe!r} and resume={resume}; a resumed run keeps its recipe: leave it out")
    source = take(values, "from", None)
    if name is not None and (resume is not None or source is not None):
        raise UserError(f"got run={name} beside resume= or from=; a run is gone on with by one of them")
    if not dry_run:
        storage = values.get("storage")
        resume, storage = gone_on_with(runs, resume, named, None if storage is None else str(storage), display.say)
        if storage is not None:
            values["storage"] = storage
        if named is not None:
            resume = continued(runs, named)
    language = resolve_language(recipe, values, runs, resume) if source is None else None
    if language is not None:
        from pipelines.language.train import check
        from pipelines.language.train import train as train_language

        if dry_run:
            expect_run_name(named or language.name)
            check(language)  # task, rewards and view fit each other
            print(yaml.safe_dump(language.model_dump(mode="json"), sort_keys=False), end="")
            return
        display.end(train_language(language, runs, resume, display.say, display.open, named), summary)
        return
    if source is None:
        experiment = resolve(find_recipe(recipe or "main"), values, runs, resume)
    elif resume is None:
        experiment = resolve_offline(find_recipe(recipe) if recipe else None, values, runs, str(source))
    else:
        raise UserError(f"got resume={resume} and from={source}; a resumed run keeps its source: leave from= out")
    if dry_run:
        expect_run_name(named or experiment.name)  # names that are mistyped are told here as they would be in the run
        named_task(experiment)
        print(yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False), end="")
        return
    display.end(run_train(experiment, runs, resume, display.say, display.open, named), summary)


@app.command()
def profile(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECIPE] [KEY=VALUE]...",
            help="recipe (default: main) and overrides",
            autocompletion=complete_training,
        ),
    ] = None,
) -> None:
    """Train for a while, and show where the time of a frame goes, by stage and by process.

    Besides what `train` takes: seconds=60 (length of the window), warm_up=20 (seconds of learning before it),
    to=profile.html (the picture).
    """
    from pipelines.language.stored import resolve_language
    from pipelines.machines.profile import profile as run_profile
    from pipelines.overrides import parse
    from pipelines.recipes.table import find_recipe
    from pipelines.train import resolve

    recipe, rest = split(words)
    own, rest = own_keys(rest, seconds=60.0, warm_up=20.0, to="profile.html")
    values = with_file(parse(rest))
    if resolve_language(recipe, values, Path(RUNS), None) is None:  # what is misspelt is told before a run begins
        resolve(find_recipe(recipe or "main"), values, Path(RUNS), None)
    run_profile([recipe or "main", *rest], own["seconds"], own["warm_up"], Path(own["to"]))


@app.command()
def tune(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECIPE] [KEY=VALUE]...",
            help="recipe (default: main) and overrides",
            autocompletion=complete_training,
        ),
    ] = None,
) -> None:
    """Find the number of actors, environments and threads for this machine; `train` takes the file by settings=FILE.

    Besides what `train` takes: minutes=3 (how long it may take), to=tuned.yaml (the file).
    """
    from pipelines.machines.tune import tune as run_tune
    from pipelines.overrides import parse
    from pipelines.recipes.table import find_recipe
    from pipelines.train import resolve

    recipe, rest = split(words)
    own, rest = own_keys(rest, minutes=3.0, to="tuned.yaml")
    experiment = resolve(find_recipe(recipe or "main"), with_file(parse(rest)), Path(RUNS), None)
    run_tune([recipe or "main", *rest], experiment, own["minutes"], Path(own["to"]))
