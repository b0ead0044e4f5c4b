"""`cluster-scaling`: frames/s and judged captions/s by actors and shards, the price of hops through Ray, a cost model.

    python -m benchmarks.cluster_scaling
    python -m benchmarks.cluster_scaling layouts=[[1,1],[2,1]] seconds=3 recipes=[catch]

| part | rows |
|---|---|
| hop | seconds of one call: of an actor, with a rollout behind a reference, of a weights blob, of Ray Serve |
| run | a layout (actors, shards, steps of a rollout): frames/s, judged captions/s, what the model says of it |
| fit | costs and memory of each recipe, which `guerdon plan` reads |
| paper | the model, far beyond what was measured: where thousands of actors would stand still first |

The model is fitted to all runs of the first recipe but one, and asked about that one. The other recipes are run once,
for their costs. About eight minutes on two cores. Other keys: paper_cores, paper_gbit, work, results; every further
key is an override of the recipes.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.apparatus.training import sigterm_interrupts
from cluster.hosts import start_host
from cluster.serving import Config as ServingConfig
from cluster.serving import serving
from cluster.session import Config as RayConfig
from cluster.session import ray_session
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.machines.fitting import check_fits
from pipelines.machines.machine import cores
from pipelines.machines.trial import watch
from pipelines.overrides import apply, parse
from pipelines.recipes.table import find_recipe
from pipelines.results import Cell, Figure, Result, figure, write_result
from pipelines.roles import policy_for, task_of
from pipelines.run_directory import RunDirectory
from pipelines.scaling.cost_model import Costs, Layout, Seen, errors, fit, limits
from pipelines.scaling.fitted import Rates, bytes_a_frame, fit_rows, layout_of, memory_of, seen_of
from pipelines.scaling.plan import GBIT

NAME = "cluster-scaling"
RECIPES = ("nethack-score", "minihack", "catch")
SAME = {"minihack": ("main",)}  # recipes with the same costs
LAYOUTS = ((1, 1), (2, 1), (4, 1), (2, 2), (2, 4))  # actors, shards
UNROLLS = (0.25, 0.5, 2, 4)  # of the recipe's own, at the second layout: what a rollout costs beside its frames
WARM_UP_S, SECONDS = 3.0, 6.0
CALLS, BLOB, ROLLOUT = 300, 4 * 2**20, 2**18
PAPER = (16, 256, 4096)
PAPER_CORES, PAPER_GBIT = 64, 25.0
WITHIN = 0.25


class Echo:
    """Does nothing, in a process of its own."""

    def nothing(self) -> None:
        """Answer."""

    def rollout(self, size: int) -> tuple[None, pa.RecordBatch]:
        """Answer, with rows behind a reference."""
        return None, pa.record_batch({"x": np.zeros(size // 8)})

    def take(self, blob: Any) -> None:
        """Take an argument."""

    async def answer(self, payload: Any) -> None:
        """Answer through Serve."""


def timed(what: Callable[[], Any], calls: int) -> list[float]:
    """Seconds of each call, after a tenth that does not count."""
    found = []
    for _ in range(calls + calls // 10):
        began = time.perf_counter()
        what()
        found.append(time.perf_counter() - began)
    return found[calls // 10 :]


def hops(calls: int) -> list[dict[str, Cell]]:
    """What a call through Ray costs, beside what is done in it."""
    import ray

    rows: list[dict[str, Cell]] = []

    def note(name: str, what: Callable[[], Any], share: int = 1) -> None:
        seconds = sorted(timed(what, max(10, calls // share)))
        rows.append(
            {
                "part": "hop",
                "name": name,
                "calls": len(seconds),
                "median_s": float(np.median(seconds)),
                "p95_s": seconds[int(0.95 * len(seconds))],
            }
        )

    with ray_session(RayConfig(), 4):
        host = start_host(Echo, "echo", {"num_cpus": 1})
        ray.get(host.whereabouts.remote(), timeout=60)
        note("actor call", lambda: ray.get(host.call.remote("nothing"), timeout=60))

        def rollout() -> None:
            first, rows_ = host.call.options(num_returns=2).remote("rollout", ROLLOUT)
            ray.get(first, timeout=60)
            ray.get(host.call.remote("take", rows_), timeout=60)

        note("rollout of 256 KiB to the next actor", rollout, 2)
        blob = bytes(BLOB)
        note("weights of 4 MiB to an actor", lambda: ray.get(host.call.remote("take", ray.put(blob)), timeout=60), 5)
        ray.kill(host)
        with serving("echo", Echo, "answer", ServingConfig()) as service:
            loop = asyncio.new_event_loop()
            try:
                note("Ray Serve call", lambda: loop.run_until_complete(service.ask(None)), 2)
            finally:
                loop.close()
    return rows


def run_once(
    words: Sequence[str], experiment: Experiment, place: Path, warm_up_s: float, seconds: float
) -> tuple[Seen, dict[str, float], float]:
    """One layout: what was seen, memory by part, and captions judged a second."""
    first, second = watch(words, warm_up_s, seconds, 2, place)
    layout = layout_of(experiment, 1, cores(), float("inf"))
    spec = check_fits(experiment, task_of(experiment))
    weights = sum(p.numel() * p.element_size() for p in policy_for(spec, experiment).parameters())
    row = bytes_a_frame([RunDirectory.existing("last", place)])
    judged = (second.metrics.get("judge/ok", 0.0) - first.metrics.get("judge/ok", 0.0)) / second.window_s
    return seen_of(second, layout, float(weights), row), memory_of(second, layout), judged


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
    work: Path,
    hop: float,
) -> tuple[list[dict[str, Cell]], list[float]]:
    """The rows of runs and fits, and the errors of the model."""
    rows: list[dict[str, Cell]] = []
    fits: dict[str, Rates] = {}
    wrong: list[float] = []
    for recipe in recipes:
        base = apply(find_recipe(recipe), {"judge": "rules", **overrides})
        unroll = base.actors.unroll_length
        wanted = [(a, s, unroll) for a, s in layouts]
        wanted += [(*layouts[min(1, len(layouts) - 1)], max(2, round(unroll * factor))) for factor in UNROLLS]
        runs, memory = [], dict[str, float]()
        for actors, shards, steps in wanted if recipe == recipes[0] else wanted[:1]:
            values = {
                "actors.count": actors,
                "replay.shards": shards,
                "actors.unroll_length": steps,
                "batch_fragments": max(1, round(base.batch_fragments * unroll / steps)),
            }
            experiment = apply(base, values)
            words = [recipe, "judge=rules", *(f"{k}={v}" for k, v in {**overrides, **values}.items())]
            place = work / f"{recipe}-{actors}-{shards}-{steps}"
            seen, memory, judged = run_once(words, experiment, place, WARM_UP_S, seconds)
            runs.append(seen)
            row: dict[str, Cell] = {"part": "run", "recipe": recipe, "actors": actors, "shards": shards}
            row |= {"unroll": steps, "frames_per_s": seen.frames_per_s, "judged_captions_per_s": judged}
            # What the model is fitted to, so that another model can be fitted to the same runs.
            rows.append(row | {f"{part}_s_per_frame": spent for part, spent in sorted(seen.seconds.items())})
            print(rows[-1], flush=True)
        if len(runs) > 1:
            wrong = errors(runs, hop)
            mine = [row for row in rows if row.get("recipe") == recipe and row["part"] == "run"]
            for row, seen, error in zip(mine, runs, wrong, strict=True):
                row["model_frames_per_s"], row["model_error"] = seen.frames_per_s * (1 + error), error
        fits[recipe] = Rates(fit(runs, hop), memory, cores())
        for name in (recipe, *SAME.get(recipe, ())):
            rows += fit_rows(name, fits[recipe])
    return rows, wrong


def collect(rows: list[dict[str, Cell]], wrong: Sequence[float], results: Path, command: str) -> Result:
    """Write it down, and say whether the model holds."""
    figures: dict[str, Figure] = {}
    for row in rows:
        if row["part"] == "hop":
            figures[f"{row['name']}, median"] = _one(float(row["median_s"] or 0.0), "s")
        if row["part"] == "run" and "model_error" in row:
            name = f"{row['actors']} actors, {row['shards']} shards, {row['unroll']} steps"
            figures[f"{name}: frames/s"] = _one(float(row["frames_per_s"] or 0.0), "frames/s")
            figures[f"{name}: judged captions/s"] = _one(float(row["judged_captions_per_s"] or 0.0), "captions/s")
    size = [abs(error) for error in wrong]
    figures["error of the model on a run that it was not fitted to"] = figure(size, "share")
    figures["largest of these errors"] = _one(max(size), "share")
    return write_result(
        results / f"{NAME}.json",
        NAME,
        "Of each layout of actors, shards and rollouts the cost model, fitted to the others alone, says how many "
        f"frames/s it makes, and is wrong by at most {WITHIN:.0%}.",
        max(size) <= WITHIN,
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
    recipes, layouts = take("recipes", list(RECIPES)), take("layouts", [list(one) for one in LAYOUTS])
    cores_each, gbit = int(take("paper_cores", PAPER_CORES)), float(take("paper_gbit", PAPER_GBIT))
    hop_rows = hops(CALLS)
    with sigterm_interrupts():  # Ray has left another handler in the place of ours
        rows, wrong = measure(recipes, layouts, values, seconds, work, float(hop_rows[0]["median_s"] or 0.0))
    rows = [*hop_rows, *rows]
    costs = {
        str(row["name"]).removeprefix("cost "): float(row["value"] or 0.0)
        for row in rows
        if row["part"] == "fit" and row["recipe"] == recipes[0] and str(row["name"]).startswith("cost ")
    }
    base = layout_of(apply(find_recipe(recipes[0]), {"judge": "rules", **values}), 1, cores(), float("inf"))
    rows += paper(recipes[0], Costs.of(costs), base, cores_each, gbit)
    words = "".join(f" {one}" for one in arguments if not one.startswith(("work=", "results=")))
    result = collect(rows, wrong, results, f"python -m benchmarks.cluster_scaling{words}")
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
