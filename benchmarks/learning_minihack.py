"""`learning-minihack`: six rewards on sparse MiniHack tasks, equal environment steps, several seeds.

    python -m benchmarks.learning_minihack                  run what is not finished, then write docs/results/
    python -m benchmarks.learning_minihack collect=true     only write, from the runs that are finished
    python -m benchmarks.learning_minihack judge=rules workers=1 seeds=1 tasks=[minihack-keyroom-s15]

Other keys: methods, frames, work (where runs are kept), results (where results go), plot=false. Runs go seed by seed
over all tasks and methods, so that what is finished is balanced whenever it is stopped; starting again goes on.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.apparatus.intervals import Floats, apart, iqm_figure, iqm_interval
from benchmarks.sweep import LAST_EPISODES, Outcome, Trial, finished, run_all
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell as Value
from pipelines.results import Figure, Result, write_result

NAME = "learning-minihack"
SOLVED = 0.5
SEEDS = 3
MORE_SEEDS = {"extrinsic": 5, "retrieval": 5}

# The experiment: one line a task, one line a method; settings are overrides of pipelines/recipes/minihack.py.
COMMON: dict[str, Any] = {}
TASKS: dict[str, dict[str, Any]] = {
    "minihack-keyroom-s10": {"frames": 320_000},
    "minihack-keyroom-dark-s10": {"frames": 320_000},
}
METHODS: dict[str, dict[str, Any]] = {
    "extrinsic": {},
    "count": {},
    "rnd": {},
    "retrieval": {},
    "classification": {},
    "ranking": {},
}

JUDGED = ("retrieval", "classification", "ranking")
CANDIDATE = "retrieval"  # named before the runs, with more seeds: the best of three would look better than it is
COLOURS = {
    "extrinsic": "#000000",
    "count": "#999999",
    "rnd": "#a6761d",
    "retrieval": "#56b4e9",
    "classification": "#d55e00",
    "ranking": "#009e73",
}


@dataclass(frozen=True)
class Plan:
    """What is compared; the table above by default."""

    name: str = NAME
    recipe: str = "minihack"
    """Of every run; "": each line of `tasks` is named after its own recipe."""
    of: str = "a policy"
    """Who learns, in the claim."""
    where: str = ""
    """On what, in the claim; "": on each of `tasks`."""
    common: Mapping[str, Any] = field(default_factory=lambda: COMMON)
    tasks: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: TASKS)
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: METHODS)
    seeds: int = SEEDS
    more_seeds: Mapping[str, int] = field(default_factory=lambda: MORE_SEEDS)
    candidate: str = CANDIDATE
    judge: str = "builtin"
    workers: int = 2
    """Runs at a time, unless `workers=` says so."""
    command: str = ""
    """What repeats it; "": the module of its name."""

    def trials(self) -> list[Trial]:
        """Every run, seed by seed."""
        seeds = {method: max(self.seeds, self.more_seeds.get(method, 0)) for method in self.methods}
        return [
            Trial(task, method, seed, self.recipe or task, self._settings(task, method, seed))
            for seed in range(max(seeds.values()))
            for task in self.tasks
            for method in self.methods
            if seed < seeds[method]
        ]

    def _settings(self, task: str, method: str, seed: int) -> dict[str, Any]:
        judge = {"judge.kind": self.judge} if method in JUDGED else {}
        source = {"task": task, "reward.source": method, "seed": seed}
        return {**source, **judge, **self.common, **self.tasks[task], **self.methods[method]}


Outcomes = Mapping[tuple[str, str], Mapping[int, Outcome]]
"""Finished runs by task and method, then by seed."""


def outcomes_of(plan: Plan, work: Path) -> Outcomes:
    """The runs of a plan that are finished."""
    found: dict[tuple[str, str], dict[int, Outcome]] = {}
    for trial in plan.trials():
        if (outcome := finished(trial, work)) is not None:
            found.setdefault((trial.task, trial.method), {})[trial.seed] = outcome
    return found


def scores(outcomes: Outcomes, tasks: Sequence[str], method: str) -> Floats:
    """Final success rates `[seeds, tasks]` of the seeds that are finished on all of these tasks."""
    runs = [outcomes.get((task, method), {}) for task in tasks]
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in runs)))
    rates = [[by_seed[seed].final_success for by_seed in runs] for seed in seeds]
    return np.asarray(rates, dtype=np.float64).reshape(len(seeds), len(tasks))


def figures_of(plan: Plan, outcomes: Outcomes) -> dict[str, Figure]:
    """Interquartile mean of the final success rate, by method over all tasks, and by task and method."""
    groups = {"all tasks": list(plan.tasks), **{task: [task] for task in plan.tasks}}
    return {
        f"{group}, {method}": iqm_figure(rates, "success rate")
        for group, tasks in groups.items()
        for method in plan.methods
        if (rates := scores(outcomes, tasks, method)).size
    }


def holds(plan: Plan, figures: Mapping[str, Figure]) -> bool:
    """Whether, on every task, the candidate solves it, extrinsic-only does not, and their intervals are apart."""
    pairs = [(figures.get(f"{task}, {plan.candidate}"), figures.get(f"{task}, extrinsic")) for task in plan.tasks]
    return all(
        judged is not None
        and extrinsic is not None
        and min(judged.n, extrinsic.n) >= SEEDS
        and judged.value >= SOLVED > extrinsic.value
        and apart(judged, extrinsic)
        for judged, extrinsic in pairs
    )


def curve(runs: Mapping[int, Outcome]) -> tuple[Floats, Floats, Floats, Floats]:
    """Frames, and interquartile mean, low and high of the success rate, from where every seed has one."""
    together = zip(*(run.curve for run in runs.values()), strict=True)
    points = [point for point in together if all(rate is not None for _, rate, _ in point)]
    frames = np.asarray([point[0][0] for point in points], dtype=np.float64)
    rates = np.asarray([[rate for _, rate, _ in point] for point in points], dtype=np.float64)
    if not points:
        return frames, frames, frames, frames
    return frames, *iqm_interval(rates.T[:, None, :])


def draw(plan: Plan, outcomes: Outcomes, path: Path) -> None:
    """One panel a task, one line a method with its interval as a band."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shape, size = (1, len(plan.tasks)), (5.2 * len(plan.tasks), 3.9)
    figure, axes = pyplot.subplots(*shape, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis, task in zip(axes[0], plan.tasks, strict=True):
        for method in plan.methods:
            if runs := outcomes.get((task, method)):
                frames, value, low, high = curve(runs)
                label, colour = f"{method}, n={len(runs)}", COLOURS.get(method)
                style = "-" if method in JUDGED else "--"
                axis.plot(frames / 1e6, value, style, color=colour, linewidth=1.8, label=label)
                axis.fill_between(frames / 1e6, low, high, color=colour, alpha=0.14, linewidth=0)
        axis.set(title=task, xlabel="environment frames, millions", ylim=(-0.03, 1.03))
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.lines:
            axis.legend(fontsize=8, frameon=False, loc="upper left")
    axes[0][0].set_ylabel(f"success rate, last {LAST_EPISODES} episodes")
    lines = "\n" if len(plan.tasks) == 1 else " "
    said = f"Interquartile mean over seeds, band: 95 % bootstrap interval;{lines}solid: judged, dashed: not"
    figure.suptitle(said, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, facecolor="white")
    pyplot.close(figure)


def write_curves(outcomes: Outcomes, path: Path) -> None:
    """The data behind the picture, one line a point."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["task", "method", "seed", "frames", "success_rate", "episode_return"])
        for (task, method), runs in outcomes.items():
            for seed, run in runs.items():
                table.writerows([task, method, seed, *(_shown(x) for x in point)] for point in run.curve)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def collect(plan: Plan, work: Path, results: Path, plot: bool = True) -> Result:
    """Write result, curves and picture from the runs that are finished.

    Raises:
        UserError: none is.
    """
    outcomes = outcomes_of(plan, work)
    figures = figures_of(plan, outcomes)
    if not figures:
        raise UserError(f"no finished run of this plan below {work}; run it without collect=true")
    rows: list[dict[str, Value]] = [
        {
            "task": task,
            "method": method,
            "seed": seed,
            "success_rate": run.final_success,
            "episode_return": run.final_return,
            "frames": run.frames,
            "episodes": run.episodes,
            "wall_s": run.wall_s,
            "questions": run.questions,
            "verdicts": run.verdicts,
            "ledger_balanced": run.ledger_balanced,
            "judge": run.judge,
            "commit": run.commit,
        }
        for (task, method), runs in outcomes.items()
        for seed, run in runs.items()
    ]
    names = ", ".join(plan.tasks)
    write_curves(outcomes, results / f"{plan.name}.csv")
    if plot:
        draw(plan, outcomes, results / f"{plan.name}.png")
    return write_result(
        results / f"{plan.name}.json",
        plan.name,
        f"After equal environment steps on {plan.where or f'each of {names}'}, {plan.of} rewarded by the {plan.judge} "
        f"judge through {plan.candidate} solves at least {SOLVED:.0%} of its last episodes, one rewarded by the "
        "environment alone does not, and their 95 % intervals are apart.",
        holds(plan, figures),
        (plan.command or f"python -m benchmarks.{plan.name.replace('-', '_')}")
        + (f" judge={plan.judge}" if plan.judge != "builtin" else ""),
        figures,
        rows,
    )


def chosen(plan: Plan, values: dict[str, Any]) -> Plan:
    """The plan with `tasks`, `methods`, `seeds`, `frames` and `judge` of the command line.

    Raises:
        UserError: a task or method is not in the table.
    """
    picked: dict[str, Any] = {}
    for key, table in (("tasks", plan.tasks), ("methods", plan.methods)):
        if (names := values.pop(key, None)) is not None:
            if unknown := [name for name in names if name not in table]:
                raise UserError(f"{key}: got {unknown}; expected some of {', '.join(table)}")
            picked[key] = {name: table[name] for name in names}
    if (frames := values.pop("frames", None)) is not None:
        tasks = picked.get("tasks", plan.tasks)
        picked["tasks"] = {task: {**settings, "frames": frames} for task, settings in tasks.items()}
    if (seeds := values.pop("seeds", None)) is not None:
        picked |= {"seeds": seeds, "more_seeds": {}}
    if (judge := values.pop("judge", None)) is not None:
        picked["judge"] = judge
    return replace(plan, **picked)


def main(arguments: Sequence[str], plan: Plan | None = None) -> int:
    """The command; gives the exit code: 1 where a run failed."""
    values = parse(arguments)
    plan = chosen(plan or Plan(), values)
    work = Path(values.pop("work", f"runs/{plan.name}"))
    results = Path(values.pop("results", "docs/results"))
    workers, only_collect, plot = (
        values.pop("workers", plan.workers),
        values.pop("collect", False),
        values.pop("plot", True),
    )
    if values:
        raise UserError(f"unknown key {next(iter(values))!r}; see the head of benchmarks/{NAME.replace('-', '_')}.py")
    failed = 0 if only_collect else run_all(plan.trials(), work, workers, lambda text: print(text, flush=True))
    result = collect(plan, work, results, plot)
    for name, figure in result.figures.items():
        print(f"{name:<50} {figure.value:.2f} [{_bound(figure.low)}, {_bound(figure.high)}] n={figure.n}")
    print(f"{results / f'{plan.name}.json'}: holds {result.holds}")
    return 1 if failed else 0


def _bound(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped; finished runs are kept: start again to go on")
