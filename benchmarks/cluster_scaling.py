"""`cluster-scaling`: frames/s and judged captions/s by actors and shards, the price of hops through Ray, a cost model.

    python -m benchmarks.cluster_scaling
    python -m benchmarks.cluster_scaling layouts=[[1,1],[2,1]] rounds=2 seconds=3 recipes=[catch]

| part | rows |
|---|---|
| hop | seconds of one call: of an actor, with a rollout behind a reference, of a weights blob, of Ray Serve |
| run | one round of a layout (actors, shards, steps of a rollout): frames/s, judged captions/s, what a frame took |
| layout | its median over the rounds, their extremes, and what the model says of it |
| fit | costs and memory of each recipe, which `guerdon plan` reads |
| paper | the model, far beyond what was measured: where thousands of actors would stand still first |

Rounds go over all layouts, there and back, so that what the machine does meanwhile touches all of them. By how much the
rounds of one layout differ is noise; by how much the model misses their median is told beside it. It is fitted to the
medians of all layouts of the first recipe but one, and asked about that one. The other recipes are run once, for their
costs. About a quarter of an hour on two cores. Other keys: paper_cores, paper_gbit, work, results; every further key is
an override of the recipes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.apparatus.hops import hops
from benchmarks.apparatus.layouts import Case, cases, layout_rows, middle, typical
from benchmarks.apparatus.training import sigterm_interrupts
from pipelines.environment.roles import policy_for, task_of
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.machines.fitting import check_fits
from pipelines.machines.machine import cores
from pipelines.machines.trial import trial
from pipelines.overrides import apply, parse
from pipelines.recipes.table import find_recipe
from pipelines.results import Cell, Figure, Result, figure, write_result
from pipelines.run_directory import RunDirectory
from pipelines.scaling.cost_model import Costs, Layout, Seen, fit, limits
from pipelines.scaling.fitted import Rates, bytes_a_frame, fit_rows, layout_of, memory_of, seen_of
from pipelines.scaling.plan import GBIT

NAME = "cluster-scaling"
RECIPES = ("nethack-score", "minihack", "catch")
SAME = {"minihack": ("main",)}  # recipes with the same costs
LAYOUTS = ((1, 1), (2, 1), (4, 1), (2, 4))  # actors, shards
ROUNDS, WARM_UP_S, SECONDS = 3, 3.0, 8.0
CALLS = 300
PAPER = (16, 256, 4096)
PAPER_CORES, PAPER_GBIT = 64, 25.0
WITHIN = 0.25


def run_once(
    words: Sequence[str], experiment: Experiment, place: Path, warm_up_s: float, seconds: float
) -> tuple[Seen, dict[str, float], float]:
    """One layout: what was seen, memory by part, and captions judged a second."""
    found = trial(words, warm_up_s, seconds, place)
    layout = layout_of(experiment, 1, cores(), float("inf"))
    spec = check_fits(experiment, task_of(experiment))
    weights = sum(p.numel() * p.element_size() for p in policy_for(spec, experiment).parameters())
    row = bytes_a_frame([RunDirectory.existing("last", place)])
    judged = (found.metrics.get("judge/ok", 0.0) - found.began.get("judge/ok", 0.0)) / found.window_s
    return seen_of(found, layout, float(weights), row), memory_of(found, layout), judged


def paper(recipe: str, costs: Costs, base: Layout, cores_each: int, gbit: float) -> list[dict[str, Cell]]:
    """Where more actors would stand still first, and what the next limits are."""
    rows: list[dict[str, Cell]] = []
    for actors in PAPER:
        for learners, shards in ((1, 1), (8, 16)):
            nodes = -(-(actors + learners + shards + 2) // cores_each)
            layout = Layout(
                actors=actors,
                frames=base.frames,
                batch=max(base.batch, learners),
                learners=learners,
                shards=shards,
                judges=base.judges,
                nodes=nodes,
                cores=cores_each,
                network=gbit * GBIT,
            )
            found = limits(costs, layout)
            waited_for = [one for one in found if not one.part.startswith("judge")]
            rows.append(
                {
                    "part": "paper",
                    "recipe": recipe,
                    "actors": actors,
                    "learners": learners,
                    "shards": shards,
                    "nodes": nodes,
                    "frames_per_s": waited_for[0].frames_per_s,
                    "first": waited_for[0].part,
                    "moved_by": waited_for[0].moved_by,
                    "second": waited_for[1].part,
                    "second_frames_per_s": waited_for[1].frames_per_s,
                    "judge_frames_per_s": next((one.frames_per_s for one in found if one.part == "judge"), None),
                }
            )
    return rows


def measure(
    recipes: Sequence[str],
    layouts: Sequence[Sequence[int]],
    overrides: Mapping[str, Any],
    seconds: float,
    rounds: int,
    work: Path,
    hop: float,
) -> list[dict[str, Cell]]:
    """The rows of runs, layouts and fits."""
    rows: list[dict[str, Cell]] = []
    for recipe in recipes:
        base = apply(find_recipe(recipe), {"judge": "rules", **overrides})
        first = recipe == recipes[0]
        wanted = cases(layouts, base.actors.unroll_length)[: None if first else 1]
        runs: dict[Case, list[Seen]] = {case: [] for case in wanted}
        for number in range(rounds if first else 1):
            for case in wanted if number % 2 == 0 else wanted[::-1]:
                values = case.values(base)
                words = [recipe, "judge=rules", *(f"{k}={v}" for k, v in {**overrides, **values}.items())]
                place = work / f"{recipe}-{number}-{case.actors}-{case.shards}-{case.unroll}"
                seen, memory, judged = run_once(words, apply(base, values), place, WARM_UP_S, seconds)
                runs[case].append(seen)
                row: dict[str, Cell] = {"part": "run", "recipe": recipe, "round": number, **case._asdict()}
                row |= {"frames_per_s": seen.frames_per_s, "judged_captions_per_s": judged}
                # What the model is fitted to, so that another model can be fitted to the same runs.
                rows.append(row | {f"{part}_s_per_frame": spent for part, spent in sorted(seen.seconds.items())})
                print(rows[-1], flush=True)
        if first:
            rows += layout_rows(recipe, runs, hop)
        rates = Rates(fit([typical(one) for one in runs.values()], hop), memory, cores())
        for name in (recipe, *SAME.get(recipe, ())):
            rows += fit_rows(name, rates)
    return rows


def collect(rows: list[dict[str, Cell]], results: Path, command: str) -> Result:
    """Write it down, and say whether the model holds."""
    figures: dict[str, Figure] = {}
    wrong: list[float] = []
    noise: list[float] = []
    beyond = 0
    for row in rows:
        if row["part"] == "hop":
            figures[f"{row['name']}, median"] = _one(float(row["median_s"] or 0.0), "s")
        if row["part"] != "layout":
            continue
        mine = [
            one
            for one in rows
            if one["part"] == "run" and all(one[key] == row[key] for key in ("recipe", *Case._fields))
        ]
        name = Case(*(int(row[key] or 0) for key in Case._fields)).name
        for what, unit in (("frames_per_s", "frames/s"), ("judged_captions_per_s", "captions/s")):
            values = [float(one[what] or 0.0) for one in mine]
            figures[f"{name}: {unit.replace('captions', 'judged captions')}"] = middle(values, unit)
        wrong.append(abs(float(row["model_error"] or 0.0)))
        noise += [abs(float(one["frames_per_s"] or 0.0) / float(row["frames_per_s"] or 1.0) - 1.0) for one in mine]
        beyond += bool(row["beyond_rounds"])
    figures["error of the model on a layout that it was not fitted to"] = figure(wrong, "share")
    figures["largest of these errors"] = _one(max(wrong), "share")
    figures["difference of a round from the median of its layout"] = figure(noise, "share")
    figures["largest of these differences"] = _one(max(noise), "share")
    figures["layouts that the model puts beyond all of their rounds"] = _one(float(beyond), "layouts")
    return write_result(
        results / f"{NAME}.json",
        NAME,
        "Of each layout of actors, shards and rollouts the cost model, fitted to the others alone, says how many "
        f"frames/s it makes, and is wrong by at most {WITHIN:.0%}.",
        max(wrong) <= WITHIN,
        command,
        figures,
        rows,
    )


def _one(value: float, unit: str) -> Figure:
    return Figure(value=value, unit=unit, low=None, high=None, n=1)


def main(arguments: Sequence[str]) -> int:
    """The command; gives the exit code."""
    values: dict[str, Any] = parse(arguments)
    take = values.pop
    work = Path(take("work", f"runs/{NAME}")).resolve() / time.strftime("%Y%m%d-%H%M%S")
    results, seconds = Path(take("results", "docs/results")), float(take("seconds", SECONDS))
    rounds = int(take("rounds", ROUNDS))
    recipes, layouts = take("recipes", list(RECIPES)), take("layouts", [list(one) for one in LAYOUTS])
    cores_each, gbit = int(take("paper_cores", PAPER_CORES)), float(take("paper_gbit", PAPER_GBIT))
    hop_rows = hops(CALLS)
    with sigterm_interrupts():  # Ray has left another handler in the place of ours
        hop = float(hop_rows[0]["median_s"] or 0.0)
        rows = [*hop_rows, *measure(recipes, layouts, values, seconds, rounds, work, hop)]
    costs = {
        str(row["name"]).removeprefix("cost "): float(row["value"] or 0.0)
        for row in rows
        if row["part"] == "fit" and row["recipe"] == recipes[0] and str(row["name"]).startswith("cost ")
    }
    base = layout_of(apply(find_recipe(recipes[0]), {"judge": "rules", **values}), 1, cores(), float("inf"))
    rows += paper(recipes[0], Costs.of(costs), base, cores_each, gbit)
    words = "".join(f" {one}" for one in arguments if not one.startswith(("work=", "results=")))
    result = collect(rows, results, f"python -m benchmarks.cluster_scaling{words}")
    for name, found in result.figures.items():
        print(f"{name:60} {found.value:12.4g} {found.unit}")
    print(f"{results / f'{NAME}.json'}: holds {result.holds}")
    return 0 if result.holds else 1


if __name__ == "__main__":
    try:
        with sigterm_interrupts():
            sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped")
