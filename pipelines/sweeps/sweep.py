"""`guerdon sweep`: Ray Tune draws the points of a space, runs them, and prunes by ASHA what does worse than others.

A sweep is a folder of runs: its trials `trial-00000` …, Tune's state in `tune/`, and `sweep.json`: what was asked and
what came of it.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cluster.session import ClusterUnavailable, ray_session
from cluster.session import Config as RayConfig
from pipelines.commands.arguments import with_file
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.stored import resolve_language
from pipelines.machines.machine import cores
from pipelines.overrides import apply, parse
from pipelines.recipes.table import find_recipe
from pipelines.run_directory import NAME, RunDirectory
from pipelines.scaling.asks import needed_cpus
from pipelines.sweeps.space import Axis, Choice, Grid, RandInt, corners, parse_space, points, word
from pipelines.tracking import start_tracker
from pipelines.train import resolve

MOST_TRIALS = 1000
RUNGS = 8  # ASHA looks first at an eighth of a run
REDUCTION = 2  # and lets the better half go on, at each doubling
TAKEN = ("run", "from", "display")
WIDE = 240  # columns where nobody says how many there are
# Ray's switch. The last trials have some 10 s to end before Tune ends their actors, and Ray kills what an actor has
# started. To save may take a run longer: it is told to when its actor goes, and waited for.
KILLS_CHILDREN = "RAY_kill_child_processes_on_worker_exit"
STORE_MB = 100  # Tune moves a few numbers


@dataclass(frozen=True)
class Settings:
    """How a sweep is done; see `guerdon sweep --help`."""

    samples: int = 1
    metric: str = ""
    mode: str = "max"
    pruner: str = "asha"
    concurrent: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse what does not fit."""
        if self.samples < 1:
            raise UserError(f"got samples={self.samples}; expected 1 at least")
        if self.concurrent < 0:
            raise UserError(f"got concurrent={self.concurrent}; expected 1 at least, or 0: as many as fit")
        for key, value, expected in (
            ("mode", self.mode, ("max", "min")),
            ("pruner", self.pruner, ("asha", "none")),
        ):
            if value not in expected:
                raise UserError(f"got {key}={value}; expected {' or '.join(expected)}")
        if self.name and not NAME.fullmatch(self.name):
            raise UserError(f"got name={self.name!r}; expected letters, digits, '.', '_' and '-'")


@dataclass(frozen=True)
class Plan:
    """What a sweep will do: checked, nothing started."""

    space: dict[str, Axis]
    command: list[str]
    experiment: Experiment | LanguageExperiment
    settings: Settings
    metric: str
    cpus: int

    @property
    def time_key(self) -> str:
        """What counts as progress."""
        return "updates" if isinstance(self.experiment, LanguageExperiment) else "learnt_frames"

    @property
    def horizon_key(self) -> str:
        """The key of the experiment that says how far a run goes."""
        return "updates" if isinstance(self.experiment, LanguageExperiment) else "frames"

    @property
    def horizon(self) -> int | None:
        """How far a run goes; None where that is searched."""
        return None if self.horizon_key in self.space else int(getattr(self.experiment, self.horizon_key))

    def told(self, name: str, uri: str) -> list[str]:
        """The command of each trial, beside its point.

        Args:
            name: of the sweep: in storage, too, its trials have a folder of their own. All sweeps number theirs alike,
                and a trial would go on with that of another.
            uri: of the store in which the sweep's curves are; empty: none.
        """
        own = {"tracking.uri": uri} if uri else {}
        if self.experiment.storage is not None:
            own["storage"] = f"{self.experiment.storage.rstrip('/')}/{name}"
        kept = [text for text in self.command if text.partition("=")[0] not in own]
        return [*kept, *(word(key, value) for key, value in own.items())]


def plan_sweep(recipe: str, words: Sequence[str], runs: Path, settings: Settings) -> Plan:
    """Check a sweep.

    Args:
        recipe: by name or dotted path.
        words: axes and overrides.
        runs: folder of runs.
        settings: of the sweep.

    Raises:
        UserError: an axis, a key or one of the values does not fit the experiment, or there is nothing to search.
    """
    space, rest = parse_space(words)
    values = with_file(parse(rest))
    for key in TAKEN:
        if key in values or key in space:
            raise UserError(f"got {key}=; a sweep names and shows its trials itself: leave it out")
    values = {key: value for key, value in values.items() if key not in space}
    language = resolve_language(recipe, values, runs, None)
    experiment = language if language is not None else resolve(find_recipe(recipe), values, runs, None)
    cpus = 1
    for point in corners(space):
        try:
            tried = apply(experiment, point)
        except UserError as error:
            raise UserError(f"with {' '.join(word(k, v) for k, v in point.items())}: {error}") from None
        alone = tried.runner == "local" and getattr(tried, "rllib", None) is None
        cpus = max(cpus, 1 if alone else needed_cpus(tried))
    if experiment.ray.address is not None:
        raise UserError(
            f"got ray.address={experiment.ray.address}; a sweep has the cores of this machine: leave it out"
        )
    number = points(space, settings.samples)
    if number > MOST_TRIALS:
        raise UserError(f"got {number} trials; expected {MOST_TRIALS} at most: shorten a list, or samples=")
    metric = settings.metric or "episode_return"
    found = Plan(space, [recipe, *(word(k, v) for k, v in values.items())], experiment, settings, metric, cpus)
    if settings.pruner == "asha" and found.horizon is None:
        raise UserError(f"got {found.horizon_key} to search; ASHA compares runs of one length: set pruner=none")
    return found


def start_sweep(
    recipe: str, words: Sequence[str], runs: Path, settings: Settings, say: Callable[[str], None] = print
) -> Path:
    """Check and run a sweep; gives its folder.

    Raises:
        UserError: it does not fit (see `plan_sweep`), its name is taken, or no trial ended well.
    """
    plan = plan_sweep(recipe, words, runs, settings)
    name = settings.name or f"sweep-{plan.experiment.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    root = runs / name
    try:
        root.mkdir(parents=True)
    except FileExistsError:
        raise UserError(f"{root} is there; choose another name=, or go on with resume={name}") from None
    except OSError as error:
        raise UserError(f"{root} cannot be made: {error.strerror}") from None
    asked = {"recipe": recipe, "words": list(words), "settings": asdict(settings), "cwd": os.getcwd()}
    record = {"asked": asked, "mlflow_run": "", "trials": []}
    RunDirectory(root).write_json(root / "sweep.json", record)
    return _run(plan, root, record, say)


def resume_sweep(name: str, runs: Path, say: Callable[[str], None] = print) -> Path:
    """Go on with a sweep: what has ended stays, what has not goes on from its run's newest checkpoint.

    Raises:
        UserError: there is none of this name, it goes on already, or no trial ended well.
    """
    root = runs / name
    if not NAME.fullmatch(name) or not (root / "sweep.json").is_file():
        raise UserError(f"got resume={name}; there is no sweep {root}")
    try:
        record = json.loads((root / "sweep.json").read_text())
        asked, settings = record["asked"], Settings(**record["asked"]["settings"])
        plan = plan_sweep(asked["recipe"], asked["words"], runs, settings)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{root / 'sweep.json'} cannot be read: {error}") from None
    return _run(plan, root, record, say)


def _run(plan: Plan, root: Path, record: dict[str, Any], say: Callable[[str], None]) -> Path:
    """Let Tune run it, whatever is there of it, and tell what came of it.

    Raises:
        UserError: another process runs it, it was interrupted, or no trial ended well.
    """
    directory = RunDirectory(root)
    directory.lock()  # two that run one sweep would each end the trials of the other
    try:
        return _run_locked(plan, directory, record, say)
    finally:
        directory.unlock()


def _run_locked(plan: Plan, directory: RunDirectory, record: dict[str, Any], say: Callable[[str], None]) -> Path:
    """`_run`, where nobody else does."""
    root, asked = directory.root, record["asked"]
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ[KILLS_CHILDREN] = "false"
    from pipelines.sweeps.trial import running, stop

    stop(running(root))  # left by a sweep that was killed
    number, settings = points(plan.space, plan.settings.samples), plan.settings
    flat = {"recipe": asked["recipe"], "space": " ".join(asked["words"]), **asdict(settings), "metric": plan.metric}
    mlflow_run = record.get("mlflow_run") or None
    tracker = start_tracker(plan.experiment.tracking, root.parent, root.name, flat, mlflow_run)
    status = "FAILED"
    try:
        # Of one that goes on, what is known of its trials stays until more is.
        record = {"asked": asked, "mlflow_run": tracker.run_id, "trials": record.get("trials", [])}
        directory.write_json(root / "sweep.json", record)
        say(f"sweep {root}: {number} trials of {plan.cpus} cores each, {settings.mode} {plan.metric}")
        try:
            with ray_session(RayConfig(object_store_mb=STORE_MB), max(cores(), plan.cpus)):
                rows, whole = _tune(plan, root, tracker.run_id, tracker.uri)
        except ClusterUnavailable as error:
            raise UserError(str(error)) from None
        directory.write_json(root / "sweep.json", {**record, "metric": plan.metric, "trials": rows})
        _show(rows, plan)
        if not whole:
            status = "KILLED"
            raise UserError(f"the sweep was interrupted; go on with resume={root.name}")
        best = next((row for row in rows if row["status"] == "finished"), None)
        if best is None:
            why = rows[0]["cause"].rstrip(".")
            raise UserError(f"no trial ended well; {rows[0]['trial']}: {why}; go on with resume={root.name}")
        tracker.metrics({f"best/{plan.metric}": best["value"]}, best["steps"])
        tracker.tags({"best": best["trial"]})
        tracker.artifact(root / "sweep.json")
        say(f"best      {root / best['trial']}")
        status = "FINISHED"
    finally:
        stop(running(root))
        tracker.finish(status)
    return root


def _tune(plan: Plan, root: Path, parent: str, uri: str) -> tuple[list[dict[str, Any]], bool]:
    """Run the trials; gives a row each, the best first, and whether all have ended."""
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
    from ray.tune.search import BasicVariantGenerator

    from pipelines.sweeps.told import Told, directory_of
    from pipelines.sweeps.trial import RunTrial

    # What failed is told in a line of ours, and in its log; Tune would show tracebacks of its own processes.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    settings = plan.settings
    trainable = tune.with_resources(RunTrial, {"CPU": plan.cpus})
    if tune.Tuner.can_restore(str(root / "tune")):
        tuner = tune.Tuner.restore(str(root / "tune"), trainable, resume_unfinished=True, restart_errored=True)
    else:
        scheduler: Any = FIFOScheduler()
        if settings.pruner == "asha" and plan.horizon is not None:
            scheduler = ASHAScheduler(
                time_attr=plan.time_key,
                max_t=plan.horizon,
                grace_period=max(1, plan.horizon // RUNGS),
                reduction_factor=REDUCTION,
            )
        config = {
            "values": {key: _domain(axis) for key, axis in plan.space.items()},
            "command": plan.told(root.name, uri),
            "runs": str(root),
            "cwd": os.getcwd(),
            "metric": plan.metric,
            "time_key": plan.time_key,
            "horizon": plan.horizon,
            "parent": parent,
        }
        tuner = tune.Tuner(
            trainable,
            param_space=config,
            tune_config=tune.TuneConfig(
                metric=plan.metric,
                mode=settings.mode,
                num_samples=settings.samples,
                scheduler=scheduler,
                search_alg=BasicVariantGenerator(random_state=plan.experiment.seed, max_concurrent=settings.concurrent),
                trial_dirname_creator=directory_of,
            ),
            run_config=tune.RunConfig(name="tune", storage_path=str(root), verbose=0, callbacks=[Told(plan.metric)]),
        )
    grid = tuner.fit()
    rows = [_row(result, plan) for result in (grid[k] for k in range(len(grid)))]
    sign = -1.0 if settings.mode == "max" else 1.0
    rows.sort(key=lambda r: (r["status"] != "finished", math.inf if r["value"] is None else sign * r["value"]))
    return rows, grid.num_terminated + grid.num_errors == points(plan.space, settings.samples)


def _row(result: Any, plan: Plan) -> dict[str, Any]:
    """What is told of a trial; what it never said is None."""
    from pipelines.sweeps.told import status_of

    metrics = result.metrics or {}
    status = "failed" if result.error else status_of(metrics)
    cause = str(getattr(result.error, "cause", None) or result.error or "")
    return {
        "trial": Path(result.path).name,
        "status": status,
        "steps": metrics.get(plan.time_key),
        "value": metrics.get(plan.metric),
        "values": (result.config or {}).get("values", {}),
        "cause": next((text.strip() for text in reversed(cause.splitlines()) if text.strip()), ""),
    }


def _domain(axis: Axis) -> Any:
    from ray import tune

    if isinstance(axis, Grid):
        return tune.grid_search(list(axis.values))
    if isinstance(axis, Choice):
        return tune.choice(list(axis.values))
    if isinstance(axis, RandInt):
        return tune.randint(axis.low, axis.high)
    return tune.loguniform(axis.low, axis.high) if axis.log else tune.uniform(axis.low, axis.high)


def _show(rows: Sequence[dict[str, Any]], plan: Plan) -> None:
    console = Console()
    console = console if console.is_terminal else Console(width=WIDE)  # no name is cut off in a file
    table = Table()
    for column in ("trial", *plan.space, plan.metric, "steps", "status"):
        table.add_column(escape(column))
    for row in rows:
        value = "" if row["value"] is None else f"{row['value']:.4g}"
        shown = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in (row["values"].get(k, "") for k in plan.space)]
        steps = "" if row["steps"] is None else str(row["steps"])
        table.add_row(row["trial"], *map(escape, shown), value, steps, row["status"])
    console.print(table)
    for row in rows:
        if row["cause"]:
            console.print(escape(f"{row['trial']}: {row['cause']}"), soft_wrap=True)
