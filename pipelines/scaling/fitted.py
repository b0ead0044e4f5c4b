"""Measured rates of a recipe: watched for some seconds (`measure`), or read from the result `cluster-scaling`."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.environment.roles import policy_for, task_of
from pipelines.experiment import Experiment
from pipelines.machines.fitting import check_fits
from pipelines.machines.machine import cores
from pipelines.machines.trial import Trial, trial
from pipelines.results import Cell, read_result
from pipelines.run_directory import RunDirectory
from pipelines.scaling.cost_model import Costs, Layout, Seen, fit
from pipelines.stored.stored_experience import stored_rows

RESULT = Path(__file__).resolve().parents[2] / "docs" / "results" / "cluster-scaling.json"
WARM_UP_S = 5.0
HOP_S = 1.5e-3  # a call of a Ray actor and its answer, where it was not measured (docs/design.md)
ROLES = {  # the part that a role is, by how its name begins
    "env-actor": "actor",
    "inference": "actor",
    "learner": "learner",
    "replay": "replay",
    "reward-trainer": "trainer",
    "runner": "driver",
    "judge": "judge",
    "ray": "ray",
}


@dataclass(frozen=True)
class Rates:
    """What is known of a recipe.

    Attributes:
        costs: of its parts.
        memory_mb: of a process of each part.
        cores: of the machine on which that was measured.
    """

    costs: Costs
    memory_mb: Mapping[str, float]
    cores: int


def layout_of(experiment: Experiment, nodes: int, cores_each: int, network: float) -> Layout:
    """Who would run where."""
    limit = experiment.rates.tokens_per_minute
    return Layout(
        actors=experiment.actors.count,
        frames=experiment.actors.environments * experiment.actors.unroll_length,
        batch=experiment.batch_fragments,
        learners=experiment.learners,
        shards=experiment.replay.shards,
        judges=experiment.serving.replicas if experiment.judged else 0,
        nodes=nodes,
        cores=cores_each,
        network=network,
        **({} if limit is None else {"tokens": limit / 60}),
    )


def watched(words: Sequence[str], experiment: Experiment, seconds: float) -> tuple[Seen, Trial]:
    """Run a recipe for some seconds and see what its parts spend.

    Args:
        words: recipe and overrides, as `guerdon train` takes them.
        experiment: what they come to.
        seconds: how long it is watched, after a warm-up.

    Raises:
        UserError: it cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="guerdon-plan-") as place:
        seen = trial(words, WARM_UP_S, seconds, Path(place))
        row = bytes_a_frame([RunDirectory(path.parent) for path in Path(place).glob("*/config.yaml")])
    spec = check_fits(experiment, task_of(experiment))
    weights = sum(p.numel() * p.element_size() for p in policy_for(spec, experiment).parameters())
    return seen_of(seen, layout_of(experiment, 1, cores(), float("inf")), float(weights), row), seen


def bytes_a_frame(runs: Sequence[RunDirectory]) -> float:
    """Bytes of the stored rows for each environment step; 0 where nothing is stored."""
    found = [(batch.nbytes, len(batch.column("env_reward").flatten())) for run in runs for batch in stored_rows(run)]
    steps = sum(count for _, count in found)
    return sum(size for size, _ in found) / steps if steps else 0.0


def seen_of(seen: Trial, layout: Layout, weights: float, row: float) -> Seen:
    """A trial, as the cost model takes it."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for role, microseconds in seen.processors.items():
        seconds[_part(role)] += microseconds * 1e-6
    metrics = seen.metrics
    frames, asked = metrics.get("frames", 0.0), metrics.get("judge/asked", 0.0)
    return Seen(
        layout,
        seen.frames_per_s,
        dict(seconds),
        questions=asked / frames if frames else 0.0,
        judge_tokens=metrics.get("judge/tokens", 0.0) / asked if asked else 0.0,
        weights=weights,
        row=row,
    )


def memory_of(seen: Trial, layout: Layout) -> dict[str, float]:
    """Megabytes of one process of each part."""
    counts = {"actor": layout.actors, "learner": layout.learners, "replay": layout.shards, "judge": layout.judges}
    total: defaultdict[str, float] = defaultdict(float)
    for role, megabytes in seen.memory_mb.items():
        total[_part(role)] += megabytes
    return {part: megabytes / max(1, counts.get(part, 1)) for part, megabytes in total.items()}


def measured(words: Sequence[str], experiment: Experiment, seconds: float) -> Rates:
    """Rates of a recipe, measured now.

    Raises:
        UserError: it cannot be run.
    """
    run, seen = watched(words, experiment, seconds)
    return Rates(fit([run], HOP_S), memory_of(seen, run.layout), cores())


def fit_rows(recipe: str, rates: Rates) -> Iterator[dict[str, Cell]]:
    """Rates as rows of a result."""
    yield {"part": "fit", "recipe": recipe, "name": "cores", "value": float(rates.cores)}
    for name, value in rates.costs.as_dict().items():
        yield {"part": "fit", "recipe": recipe, "name": f"cost {name}", "value": value}
    for name, value in rates.memory_mb.items():
        yield {"part": "fit", "recipe": recipe, "name": f"memory {name}", "value": value}


def stored_rates(recipe: str, path: Path = RESULT) -> Rates | None:
    """Rates of a recipe as they were measured and kept; None where there are none.

    Raises:
        ValueError: the file has not its form, or a cost in it is NULL.
    """
    if not path.exists():
        return None
    rows = [row for row in read_result(path).rows if row.get("part") == "fit" and row.get("recipe") == recipe]
    found = {str(row["name"]): float(row["value"]) for row in rows if row["value"] is not None}
    costs = {name.removeprefix("cost "): value for name, value in found.items() if name.startswith("cost ")}
    memory = {name.removeprefix("memory "): value for name, value in found.items() if name.startswith("memory ")}
    if not rows:
        return None
    if "cores" not in found:
        raise ValueError(f"{path.name} does not say on how many cores {recipe!r} was measured; measure it anew")
    return Rates(Costs.of(costs), memory, int(found["cores"]))


def _part(role: str) -> str:
    return next((part for start, part in ROLES.items() if role.startswith(start)), "driver")
