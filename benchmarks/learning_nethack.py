"""`learning-nethack`: longer runs on the real game, with the distributed runner: score and staircase.

    python -m benchmarks.learning_nethack minutes=60      run each recipe for so long, then write docs/results/
    python -m benchmarks.learning_nethack collect=true    only write, from the newest run of each recipe

Other keys: recipes, work, results, plot=false; every further key is an override of the recipes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.apparatus.training import sigterm_interrupts, train
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.overrides import parse
from pipelines.results import Cell, Figure, Result, write_result
from pipelines.run_directory import RunDirectory, stored_experiment

NAME = "learning-nethack"
RECIPES = ("nethack-score", "nethack-staircase")
MINUTES = 60.0
POINTS = 60
CURVES = {
    "episode_return": "episode return, last 100",
    "frames_per_s": "frames/s",
    "annotated_share": "annotated share of captioned steps",
    "learner/reward_intrinsic": "intrinsic reward a step",
    "judge/lag_s": "label lag, median s",
}
"""Metrics of metrics.jsonl that are shown over frames, and their titles."""


@dataclass(frozen=True)
class Story:
    """What one run left behind.

    Attributes:
        lines: of metrics.jsonl.
        balanced: whether its ledger is; False where it was not written.
    """

    recipe: str
    experiment: Experiment
    lines: Sequence[Mapping[str, float]]
    balanced: bool

    @property
    def finished(self) -> bool:
        """Whether it came to the end it was given, in minutes or frames."""
        minutes, last = self.experiment.minutes, self.lines[-1]
        in_time = minutes is not None and last["elapsed_s"] >= 60 * minutes
        return in_time or last["learnt_frames"] >= self.experiment.frames

    @property
    def holds(self) -> bool:
        """Whether it did what the claim says."""
        return self.finished and self.balanced and self.lines[-1].get("annotated_share", 0.0) > 0


def read_story(recipe: str, run: RunDirectory) -> Story:
    """A run from its directory.

    Raises:
        UserError: it left no metrics.
    """
    lines = [
        {key: value for key, value in line.items() if key != "judge/lag_s" or line.get("judge/ok")}
        for line in run.lines(run.metrics)  # before the first answer there is no lag, and it is not zero
    ]
    if not lines:
        raise UserError(f"{run.root} has no metrics yet; wait, or run it again")
    try:
        balanced = json.loads(run.ledger.read_text())["balanced"] is True
    except (OSError, ValueError, KeyError):
        balanced = False
    return Story(recipe, stored_experiment(run), lines, balanced)


def thinned(lines: Sequence[Mapping[str, float]], points: int = POINTS) -> list[dict[str, float]]:
    """At most `points` lines: means of neighbours; what a whole group does not have is left out."""
    size = -(-len(lines) // points)
    groups = [lines[start : start + size] for start in range(0, len(lines), size)]
    keys = ("frames", "elapsed_s", *CURVES)
    means = []
    for group in groups:
        found = {key: [line[key] for line in group if key in line] for key in keys}
        means.append({key: sum(values) / len(values) for key, values in found.items() if values})
    return means


def figures_of(story: Story) -> dict[str, Figure]:
    """The end of a run in numbers."""
    last, returns = story.lines[-1], [x["episode_return"] for x in thinned(story.lines, 10) if "episode_return" in x]
    numbers = {
        "frames": (last["learnt_frames"], "frames"),
        "frames/s": (last["learnt_frames"] / last["elapsed_s"], "frames/s"),
        "annotated share": (last.get("annotated_share"), "share of captioned steps"),
        "asked": (last.get("judge/asked", 0.0) / max(last["frames"], 1.0), "share of observations"),
        "label lag": (last.get("judge/lag_s"), "s, median"),
        "episode return, first tenth": (returns[0] if returns else None, "return"),
        "episode return, last tenth": (returns[-1] if returns else None, "return"),
        "success": (last.get("success_rate"), "share of the last 100 episodes"),
    }
    return {
        f"{story.recipe}, {name}": Figure(value=value, unit=unit, low=None, high=None, n=1)
        for name, (value, unit) in numbers.items()
        if value is not None
    }


def draw(stories: Sequence[Story], path: Path) -> None:
    """One row of panels a recipe, one panel a curve."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    size = (3.2 * len(CURVES), 2.7 * len(stories))
    figure, axes = pyplot.subplots(len(stories), len(CURVES), figsize=size, squeeze=False, layout="constrained")
    for row, story in zip(axes, stories, strict=True):
        points = thinned(story.lines)
        for axis, (key, title) in zip(row, CURVES.items(), strict=True):
            known = [(point["frames"] / 1e6, point[key]) for point in points if key in point]
            axis.plot([x for x, _ in known], [y for _, y in known], color="#1f5fa8", linewidth=1.6)
            axis.set_title(title, fontsize=9)
            axis.locator_params(nbins=5)
            axis.set_xlim(left=0)
            axis.set_ylim(bottom=min([0.0, *(y for _, y in known)]))
            axis.grid(alpha=0.25)
            axis.spines[["top", "right"]].set_visible(False)
            axis.tick_params(labelsize=8)
            axis.set_xlabel("frames, millions", fontsize=8)
        row[0].set_ylabel(story.recipe, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, facecolor="white")
    pyplot.close(figure)


def report(stories: Sequence[Story], results: Path, plot: bool = True) -> Result:
    """Write result and picture."""
    if plot:
        draw(stories, results / f"{NAME}.png")
    rows: list[dict[str, Cell]] = [
        {"recipe": story.recipe, **point} for story in stories for point in thinned(story.lines)
    ]
    figures = {name: number for story in stories for name, number in figures_of(story).items()}
    minutes = " and ".join(f"{story.lines[-1]['elapsed_s'] / 60:.0f}" for story in stories)
    recipes = " and ".join(story.recipe for story in stories)
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"The same machinery runs on the real game: {recipes} ran for {minutes} minutes to the end they were given, "
        "their ledgers balance, and observations were annotated on the way. It says nothing about how well they play.",
        all(story.holds for story in stories),
        f"python -m benchmarks.{NAME.replace('-', '_')} minutes={stories[0].experiment.minutes:g}",
        figures,
        rows,
    )


def main(arguments: Sequence[str]) -> None:
    values = parse(arguments)
    recipes: Sequence[str] = values.pop("recipes", RECIPES)
    minutes, only_collect = float(values.pop("minutes", MINUTES)), bool(values.pop("collect", False))
    work, results = Path(values.pop("work", f"runs/{NAME}")), Path(values.pop("results", "docs/results"))
    plot = bool(values.pop("plot", True))
    if not only_collect:
        with sigterm_interrupts():
            for recipe in recipes:
                print(f"{recipe}: {minutes:g} minutes, see {work / recipe / 'train.log'}", flush=True)
                train(recipe, values, work / recipe, minutes)
    stories = [read_story(recipe, RunDirectory.existing("last", work / recipe)) for recipe in recipes]
    result = report(stories, results, plot)
    for name, figure in result.figures.items():
        print(f"{name:<50} {figure.value:.4g} {figure.unit}")
    print(f"{results / f'{NAME}.json'}: holds {result.holds}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end, nothing was written")
