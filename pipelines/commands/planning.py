"""`guerdon plan`: what a run will ask for, and how long it takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.arguments import RUNS, own_keys, split, with_file
from pipelines.errors import UserError

app = typer.Typer()


@app.command()
def plan(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[RECIPE] [KEY=VALUE]...", help="recipe (default: main) and overrides")
    ] = None,
) -> None:
    """Print resources by role, memory, disk, the judge's tokens and money, the time, and the bottlenecks.

    Besides what `train` takes: steps=FRAMES (or updates of a language run), nodes=1 (0: a core for each process),
    cores=0 (of each node; 0: as here), gbit=10 (of its network), measure=false (true: rates are measured now, for
    seconds=20, instead of those that docs/results/cluster-scaling.json keeps, if it is there).
    """
    from pipelines.language.stored import resolve_language
    from pipelines.overrides import parse
    from pipelines.recipes.table import find_recipe
    from pipelines.scaling.plan import plan as print_plan
    from pipelines.scaling.plan import plan_language
    from pipelines.train import resolve

    recipe, rest = split(words)
    own, rest = own_keys(rest, steps=0, nodes=1, cores=0, gbit=10.0, measure=False, seconds=20.0)
    if bad := [key for key in ("steps", "nodes", "cores") if own[key] < 0]:
        raise UserError(f"{bad[0]}: got {own[bad[0]]}; expected at least 0")
    if bad := [key for key in ("gbit", "seconds") if not 0 < own[key] < math.inf]:
        raise UserError(f"{bad[0]}: got {own[bad[0]]}; expected a finite number above 0")
    values = with_file(parse(rest))
    if (language := resolve_language(recipe, values, Path(RUNS), None)) is not None:
        plan_language([recipe or "main", *rest], language, own["steps"], own["measure"], own["seconds"])
        return
    name = recipe or "main"
    experiment = resolve(find_recipe(name), values, Path(RUNS), None)
    print_plan(
        name, rest, experiment, own["steps"], own["nodes"], own["cores"], own["gbit"], own["measure"], own["seconds"]
    )
