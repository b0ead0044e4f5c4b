"""The command that searches settings: `sweep`."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.commands.arguments import RUNS, own_keys
from pipelines.commands.completion import complete_training
from pipelines.errors import UserError

app = typer.Typer()


@app.command()
def sweep(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECIPE] [KEY=[A,B]]... [KEY=VALUE]...",
            help="recipe (default: main), what is searched, and overrides",
            autocompletion=complete_training,
        ),
    ] = None,
) -> None:
    """Search settings with Ray Tune: each trial is a run of `train`, those that do worse are stopped early.

    A key takes a list, of which each value is tried, or uniform(low,high), loguniform(low,high), randint(low,high) or
    choice(a,b), of which it is drawn; in quotes, because shells read parentheses and brackets themselves. Besides what
    `train` takes: samples=1 (draws for each point of the lists), metric=episode_return (a key of metrics.jsonl),
    mode=max (or min), pruner=asha (or none), concurrent=0 (most trials at once; 0: as many as there are cores for),
    name=NAME (of the sweep), and resume=NAME (go on with one).
    """
    from pipelines.run_directory import expanded
    from pipelines.sweeps.sweep import Settings, resume_sweep, start_sweep

    recipes = [word for word in words or [] if "=" not in word]
    if len(recipes) > 1:
        raise UserError(f"got {len(recipes)} recipes, {', '.join(recipes)}; expected one: sweep them one after another")
    rest = [word for word in words or [] if "=" in word]
    defaults = {"samples": 1, "metric": "", "mode": "max", "pruner": "asha", "concurrent": 0, "name": "", "resume": ""}
    own, rest = own_keys(rest, **defaults, runs=RUNS)
    runs = expanded(own.pop("runs")).resolve()
    resume = own.pop("resume")
    if not resume:
        start_sweep(recipes[0] if recipes else "main", rest, runs, Settings(**own))
        return
    given = [*recipes, *rest, *(key for key in own if own[key] != defaults[key] and key != "concurrent")]
    if given:
        raise UserError(f"got resume={resume} and {given[0]}; a sweep keeps its recipe and space: leave them out")
    resume_sweep(resume, runs)
