"""`Case`: a layout of processes that is measured in several rounds, and what a cost model says of it beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.experiment import Experiment
from pipelines.results import Cell, Figure
from pipelines.scaling.cost_model import Seen, errors

UNROLLS = (0.25, 0.5, 4)  # of the recipe's own, at the second layout: what a rollout costs beside its frames


class Case(NamedTuple):
    """A layout that is measured."""

    actors: int
    shards: int
    unroll: int

    @property
    def name(self) -> str:
        """For figures."""
        return f"{self.actors} actors, {self.shards} shards, {self.unroll} steps"

    def values(self, base: Experiment) -> dict[str, Any]:
        """Overrides of a recipe; an update stays as large, however long its rollouts are."""
        batch = base.batch_fragments * base.actors.unroll_length / self.unroll
        return {
            "actors.count": self.actors,
            "replay.shards": self.shards,
            "actors.unroll_length": self.unroll,
            "batch_fragments": max(1, round(batch)),
        }


def cases(layouts: Sequence[Sequence[int]], unroll: int) -> list[Case]:
    """The layouts, and rollouts of other lengths at the second of them."""
    found = [Case(actors, shards, unroll) for actors, shards in layouts]
    actors, shards = layouts[min(1, len(layouts) - 1)]
    found += [Case(actors, shards, max(2, round(unroll * factor))) for factor in UNROLLS]
    return list(dict.fromkeys(found))


def typical(rounds: Sequence[Seen]) -> Seen:
    """The medians of all that was seen of one layout in several rounds."""

    def median(number: Callable[[Seen], float]) -> float:
        return float(np.median([number(one) for one in rounds]))

    parts = sorted({part for one in rounds for part in one.seconds})
    return Seen(
        rounds[0].layout,
        median(lambda one: one.frames_per_s),
        {part: median(lambda one, part=part: one.seconds.get(part, 0.0)) for part in parts},  # type: ignore[misc]
        questions=median(lambda one: one.questions),
        judge_tokens=median(lambda one: one.judge_tokens),
        weights=rounds[-1].weights,
        row=median(lambda one: one.row),
    )


def layout_rows(recipe: str, runs: Mapping[Case, Sequence[Seen]], hop: float) -> list[dict[str, Cell]]:
    """Of each layout: what its rounds were, and what the model that was fitted to the other layouts says of it."""
    middles = [typical(rounds) for rounds in runs.values()]
    rows: list[dict[str, Cell]] = []
    for (case, rounds), seen, error in zip(runs.items(), middles, errors(middles, hop), strict=True):
        rates = [one.frames_per_s for one in rounds]
        said = seen.frames_per_s * (1.0 + error)
        rows.append(
            {
                "part": "layout",
                "recipe": recipe,
                **case._asdict(),
                "rounds": len(rounds),
                "frames_per_s": seen.frames_per_s,
                "lowest_round": min(rates),
                "highest_round": max(rates),
                "model_frames_per_s": said,
                "model_error": error,
                # How far the model lies beyond the round that is next to it; 0 where it lies between two.
                "beyond_rounds": max(0.0, said - max(rates), min(rates) - said) / seen.frames_per_s,
            }
        )
    return rows


def middle(values: Sequence[float], unit: str, resamples: int = 10_000) -> Figure:
    """The median with its 95 % percentile-bootstrap interval; of up to five values, the least and the greatest."""
    found = float(np.median(values))
    if len(values) == 1:
        return Figure(value=found, unit=unit, low=None, high=None, n=1)
    draws = np.random.default_rng(0).choice(np.asarray(values), size=(resamples, len(values)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975], method="closest_observation")
    return Figure(value=found, unit=unit, low=float(low), high=float(high), n=len(values))
