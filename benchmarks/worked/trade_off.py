"""`worked-trade-off`: two rewards that pull apart, a sweep of their weights, and the front that its policies make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.worked import pictures, praising
from benchmarks.worked.answers import at_first, at_last, kept
from pipelines.results import Cell, Figure, Result, figure, write_result
from rewards.advantages.pareto_front import dominated
from rewards.aggregation.hypervolume import hypervolume

NAME = "worked-trade-off"
WEIGHTS = (0.2, 0.35, 0.5, 0.65, 0.8)
"""Of kindness; that of brevity is what is missing to 1."""
SEEDS = 3
GAIN = 0.05
"""Hypervolume that the front must have beyond its best single policy."""
Point = tuple[float, float]


def volume(points: Sequence[Point]) -> float:
    """Area that policies dominate above (0, 0)."""
    return hypervolume(np.array(points).reshape(-1, 2), (0.0, 0.0))


def rank_correlation(one: Sequence[float], two: Sequence[float]) -> float:
    """Spearman's, of values without equals."""
    first, second = (np.argsort(np.argsort(values)) for values in (one, two))
    return round(float(np.corrcoef(first, second)[0, 1]), 9)  # of five, a swap gives 0.9, which floats miss by a bit


def of_seed(points: Sequence[Point]) -> dict[str, float]:
    """What the points of one seed, in the order of the weights, come to."""
    array = np.array(points, np.float32).T
    return {
        "hypervolume of the front": volume(points),
        "hypervolume of the best single policy": max(volume([point]) for point in points),
        "policies that no other dominates": float((~dominated(array, np.zeros(len(points), np.int64))).sum()),
        "kindness with its weight, rank correlation": rank_correlation([p[0] for p in points], WEIGHTS),
        "brevity with its weight, rank correlation": rank_correlation([-p[1] for p in points], WEIGHTS),
    }


def holds(found: Sequence[Mapping[str, float]]) -> bool:
    """Whether each seed's sweep is a front."""
    return len(found) >= 3 and all(
        one["hypervolume of the front"] > one["hypervolume of the best single policy"] + GAIN
        and one["policies that no other dominates"] >= len(WEIGHTS) - 1
        and one["kindness with its weight, rank correlation"] >= 0.9
        and one["brevity with its weight, rank correlation"] >= 0.9
        for one in found
    )


def draw(points: Sequence[Sequence[Point]], start: Sequence[Point], path: Path) -> None:
    """Both rewards of every policy, and the front of each seed."""
    figure, (axis,) = pictures.panels(1, 5.4)
    for number, seed in enumerate(points):
        front = sorted(seed)
        label = "one weight, one policy; a line a seed" if number == 0 else None
        axis.plot(*zip(*front, strict=True), "-", color=pictures.COLOURS[1], alpha=0.3)
        axis.scatter(*zip(*seed, strict=True), c=WEIGHTS, cmap="viridis", zorder=3, label=label)
    for weight, (x, y) in zip(WEIGHTS, points[0], strict=True):
        axis.annotate(f"{weight:g}", (x, y), textcoords="offset points", xytext=(6, 4), fontsize=8)
    axis.scatter(*zip(*start, strict=True), marker="x", color="#999999", label="before training")
    axis.set(
        xlabel="kindness", ylabel="brevity", xlim=(0, 1.03), ylim=(0, 1.03), title="weight of kindness, 0.2 to 0.8"
    )
    axis.legend(fontsize=8, frameon=False, loc="lower left")
    pictures.save(figure, path)


def run(seeds: int, work: Path, results: Path, updates: int | None = None) -> Result:
    """Run what is not kept, and write result and picture."""
    points, start, rows = list[list[Point]](), list[Point](), list[dict[str, Cell]]()
    for seed in range(seeds):
        points.append([])
        for weight in WEIGHTS:
            experiment = praising.traded(weight)
            if updates is not None:
                experiment = experiment.model_copy(update={"updates": updates})
            found = kept(experiment, seed, work / "trade-off")
            points[-1].append((at_last(found, "reward_kind"), at_last(found, "reward_brief")))
            row: dict[str, Cell] = {"weight": weight, "seed": seed}
            rows.append(row | {"kindness": points[-1][-1][0], "brevity": points[-1][-1][1]})
            if weight == WEIGHTS[0]:
                start.append((at_first(found, "reward_kind"), at_first(found, "reward_brief")))
            print(f"weight {weight:g}, seed {seed}: {points[-1][-1]}", flush=True)
    by_seed = [of_seed(one) for one in points]
    figures: dict[str, Figure] = {name: figure([one[name] for one in by_seed], "value") for name in by_seed[0]}
    figures["hypervolume before training"] = figure([volume([one]) for one in start], "value")
    for k, weight in enumerate(WEIGHTS):
        for place, title in enumerate(("kindness", "brevity")):
            figures[f"weight {weight:g}: {title}"] = figure([one[k][place] for one in points], "reward")
    draw(points, start, results / f"{NAME}.png")
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"Over {len(WEIGHTS)} weights of two rewards that pull apart, each reward goes with its weight (rank "
        f"correlation at least 0.9), at most one policy is dominated by another, and the hypervolume of all is more "
        f"than {GAIN:g} above that of the best one. In every seed.",
        holds(by_seed),
        "python -m benchmarks.worked trade-off",
        figures,
        rows,
    )
