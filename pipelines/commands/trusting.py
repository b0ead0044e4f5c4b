"""Commands that examine rewards and judges: `compare`, `evaluate-judge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.arguments import RUNS, Settings, known, take

app = typer.Typer()


@app.command()
def compare(
    a: Annotated[str, typer.Argument(help="extrinsic, a reward version, FILE.yaml (a view), package.module:function")],
    b: Annotated[str, typer.Argument(help="another one")],
    settings: Settings = None,
) -> None:
    """Say how far two rewards are apart over what a run has stored: EPIC, STARC, correlations, advantages, regret.

    Keys: on=last, gamma= (the run's own), to=FILE (everything as JSON), runs=DIRECTORY.
    """
    from pipelines.overrides import parse
    from pipelines.run_directory import RunDirectory
    from pipelines.trust.distances import compare_rewards, write_distances

    values = parse(settings or [])
    runs = Path(str(take(values, "runs", RUNS)))
    if isinstance(values.get("gamma"), int):
        values["gamma"] = float(values["gamma"])
    own = known(values, on="last", gamma=-1.0, to="")
    gamma = own["gamma"] if "gamma" in values else None
    found = compare_rewards(RunDirectory.existing(own["on"], runs), a, b, gamma)
    if own["to"]:
        write_distances(found, Path(own["to"]))
    for line in found.lines():
        typer.echo(line)


@app.command(name="evaluate-judge")
def evaluate_judge(
    target: Annotated[str, typer.Argument(help="builtin, rules, a URL, a model's directory, a function, or a run")],
    settings: Settings = None,
) -> None:
    """Say how good a judge or reward model is: accuracy, calibration, position, consistency, best of N, one among many.

    Keys: data=FILE (JSONL or Parquet: prompt, chosen, rejected), problems=sums (steps, length, all: what is made in the
    place of a file), samples=50, repeats=3, seed=0, to=FILE (all numbers, as JSON), write=FILE (the problems, as
    JSONL), goal=, rubric=, model=, device=, threads=, runs=.
    """
    from pipelines.overrides import parse
    from pipelines.trust.judges.evaluating import evaluate_judge as run_evaluation

    for line in run_evaluation(target, parse(settings or [])):
        typer.echo(line)
