"""`env-speed-scaling`: what frames/s depend on: environments, actors, unroll, size of the net; `env-speed-long`: age.

    python -m benchmarks.env_speed_scaling
    python -m benchmarks.env_speed_scaling part=cells               # all but the long run; about 17 minutes
    python -m benchmarks.env_speed_scaling part=long hours=1        # a long run beside a fresh one; seven minutes more
    python -m benchmarks.env_speed_scaling environments=[8,32] actors=[1] unrolls=[32] nets=[small] seconds=10

One thing is varied at a time, from the middle of the others. Each row has frames/s, memory of the actors for each
environment, stored bytes a step, and the age of the weights that acted. Every further key is an override of the recipe.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from scipy.stats import linregress, t

from benchmarks.annotation_retention import ENDLESS
from benchmarks.apparatus.live import LiveRun
from benchmarks.apparatus.training import sigterm_interrupts
from benchmarks.apparatus.turns import START_TIMEOUT_S, in_turn, rates
from benchmarks.env_speed import GUERDON
from pipelines.errors import UserError
from pipelines.machines.trial import trial, watched
from pipelines.overrides import parse
from pipelines.results import Cell, Figure, Result, figure, write_result
from pipelines.run_directory import RunDirectory
from pipelines.scaling.fitted import bytes_a_frame

NAME, LONG = "env-speed-scaling", "env-speed-long"
BATCH = 2048  # frames in an update, whatever is varied
FLAT = 0.02  # by how much a long run may become slower or larger
TURN_S, BLOCK_S, BLOCKS = 1.0, 20.0, 8  # of a long run and a fresh one, in turn
FRESH_S = 20.0  # that a fresh run has of its own before it is compared: every game has begun by then
STEP_BYTES = 3 * 1024  # that a stored step may take
NETS: dict[str, dict[str, Any]] = {
    "small": {"policy.encoder": "small", "policy.recurrent": False, "policy.hidden": 128},
    "full": {"policy.encoder": "full", "policy.recurrent": True, "policy.hidden": 512},
}


def settings_of(environments: int, actors: int, unroll: int, net: str) -> dict[str, Any]:
    """Overrides of one cell. An update has as many frames in each, or one rollout where a rollout has more."""
    return {
        **GUERDON["nethack"][1],
        **NETS[net],
        "task_options.keys": ["chars", "blstats"] if net == "small" else ["chars", "blstats", "message"],
        "actors.environments": environments,
        "actors.count": actors,
        "actors.unroll_length": unroll,
        "batch_fragments": max(1, BATCH // (environments * unroll)),
        "record_mb": 64,
    }


def cells(
    environments: Sequence[int], actors: Sequence[int], unrolls: Sequence[int], nets: Sequence[str]
) -> Iterator[tuple[str, int, int, int, str]]:
    """What is varied, and the cell: one thing at a time, the others in the middle of their list."""
    middle = [values[len(values) // 2] for values in (environments, actors, unrolls)]
    for net in nets:
        for value in environments:
            yield "environments", value, middle[1], middle[2], net
        for value in actors:
            yield "actors", middle[0], value, middle[2], net
        for value in unrolls:
            yield "unroll", middle[0], middle[1], value, net


def measure(cell: tuple[str, int, int, int, str], plan: Mapping[str, Any], place: Path) -> dict[str, Cell]:
    """One row of the table; what could not be run has its reason."""
    varied, environments, actors, unroll, net = cell
    row: dict[str, Cell] = {
        "varied": varied,
        "environments": environments,
        "actors": actors,
        "unroll": unroll,
        "net": net,
    }
    values = {**settings_of(environments, actors, unroll, net), **plan["overrides"]}
    words = [f"{key}={json.dumps(value)}" for key, value in values.items()]
    try:
        seen = trial(["nethack-score", "frames=1000000000", *words], plan["warm_up"], plan["seconds"], place)
    except UserError as error:
        return {**row, "frames_per_s": None, "problem": str(error)}
    memory = sum(size for role, size in seen.memory_mb.items() if role.startswith("env-actor"))
    return {
        **row,
        "frames_per_s": seen.frames_per_s,
        "memory_mb_per_environment": memory / (environments * actors),
        "bytes_per_step": bytes_a_frame([RunDirectory.existing("last", place)]) or None,
        "weight_age_versions": seen.weight_age,
        "processor_us_per_frame": sum(seen.processors.values()),
        "problem": "",
    }


def drift(times: Sequence[float], values: Sequence[float]) -> Figure:
    """By how much values change from the first time to the last, as a share of their mean, by a fitted line.

    Its 95 % interval takes what the line leaves over of one value for independent of that of the next.
    """
    line = linregress(times, values)
    whole = (times[-1] - times[0]) / float(np.mean(values))
    error = float(line.stderr) if np.ptp(values) else 0.0  # of values that are all equal scipy does not know it
    change, wide = whole * line.slope, abs(whole) * error * t.ppf(0.975, len(times) - 2)
    return Figure(value=change, unit="share", low=change - wide, high=change + wide, n=len(times))


def long_run(hours: float, plan: Mapping[str, Any], place: Path) -> tuple[list[dict[str, Cell]], list[dict[str, Cell]]]:
    """A long run in which the policy stays as it is, and at its end one that has just begun beside it.

    What a step of the game costs depends on how it is played, and episodes that become shorter are begun more often: so
    the policy stays. It also depends on the machine, which may be a third slower for ten minutes: so frames/s of
    different minutes say little, and old and fresh run take turns, two of a second on end. Mapped files come and go
    with each checkpoint, and the system takes them back when it likes: they are told apart.

    Returns:
        A row for each minute of the long run, and one for each block of turns.
    """
    still = {"learner.learning_rate": 1e-12, **ENDLESS, "report_every_s": 0.5}
    values = {**settings_of(32, 2, 32, "small"), **still, **plan["overrides"]}
    minutes = max(3, round(60 * hours))

    def begun(name: str) -> LiveRun:
        (place / name).mkdir(parents=True, exist_ok=True)
        run = LiveRun(place / name, ["nethack-score"], {key: json.dumps(value) for key, value in values.items()})
        alive.callback(run.clear)
        return run

    with ExitStack() as alive:
        old = begun("old")
        old.until(lambda: old.metrics().get("learnt_frames", 0) > 0, START_TIMEOUT_S, "learning")
        process = psutil.Process(old.process.pid)
        seen = watched(process, old.directory, plan["warm_up"], 3600 * hours / minutes, minutes)
        done = in_turn({"old": old, "fresh": begun("fresh")}, FRESH_S, TURN_S, BLOCK_S, BLOCKS)
    by_minute: list[dict[str, Cell]] = [
        {
            "varied": "time",
            "minute": one.metrics["elapsed_s"] / 60,
            "frames_per_s": one.frames_per_s,
            "memory_mb": sum(one.own_mb.values()),
            "with_mapped_files_mb": sum(one.memory_mb.values()),
            "processor_us_per_frame": sum(one.processors.values()),
            "problem": "",
        }
        for one in seen
    ]
    pairs = zip(*(rates(done[name], "learnt_frames") for name in ("old", "fresh")), strict=True)
    in_turns: list[dict[str, Cell]] = [
        {"varied": "age", "block": block, "frames_per_s_old": one, "frames_per_s_fresh": other, "problem": ""}
        for block, (one, other) in enumerate(pairs)
    ]
    return by_minute, in_turns


def report_cells(rows: Sequence[dict[str, Cell]], command: str, results: Path) -> Result:
    """Write what was found of layouts."""
    figures, largest = {}, 0.0
    for row in rows:
        where = f"{row['environments']} environments, {row['actors']} actors, unroll {row['unroll']}, {row['net']}"
        if row["frames_per_s"] is not None:
            figures[f"{where} (varied: {row['varied']})"] = figure([float(str(row["frames_per_s"]))], "frames/s")
            largest = max(largest, float(str(row["bytes_per_step"] or "inf")))
    figures["largest stored step"] = figure([largest], "bytes")
    return write_result(
        results / f"{NAME}.json",
        NAME,
        "With 8 to 512 environments an actor, 1 to 4 actors, unrolls of 8 to 128 steps, and ONI's full net as well as "
        f"a small one, every layout runs, and a stored step of NetHack takes at most {STEP_BYTES} bytes.",
        0 < largest <= STEP_BYTES and not any(row["problem"] for row in rows),
        command,
        figures,
        rows,
    )


def report_long(
    by_minute: Sequence[dict[str, Cell]], in_turns: Sequence[dict[str, Cell]], command: str, results: Path
) -> Result:
    """Write what was found of a long run."""
    times = [float(str(row["minute"])) for row in by_minute]
    curves = [[float(str(row[key])) for row in by_minute] for key in ("frames_per_s", "memory_mb")]
    slower, larger = (drift(times, curve) for curve in curves)
    ages = figure(
        [float(str(row["frames_per_s_old"])) / float(str(row["frames_per_s_fresh"])) for row in in_turns], "ratio"
    )
    return write_result(
        results / f"{LONG}.json",
        LONG,
        f"A frame costs no more late in a run than early: after {round(times[-1])} minutes it makes at least "
        f"{1 - FLAT:.0%} of the frames/s of a run that has just begun and takes turns with it, and the memory of its "
        f"processes, mapped files apart, has grown by at most {FLAT:.0%}.",
        ages.value >= 1 - FLAT and larger.value <= FLAT,
        command,
        {
            "frames/s over those of a run that has just begun": ages,
            "change of memory over the run": larger,
            "change of frames/s over the run, whatever the machine did": slower,
        },
        [*by_minute, *in_turns],
    )


def main(arguments: Sequence[str]) -> None:
    values = parse(arguments)
    lists: list[Any] = [
        values.pop("environments", [8, 32, 128, 512]),
        values.pop("actors", [1, 2, 4]),
        values.pop("unrolls", [8, 32, 128]),
        values.pop("nets", list(NETS)),
    ]
    part, hours = str(values.pop("part", "all")), float(values.pop("hours", 1.0))
    if part not in ("all", "cells", "long"):
        raise UserError(f"part: got {part!r}; expected all, cells or long")
    work, results = Path(values.pop("work", f"runs/{NAME}")), Path(values.pop("results", "docs/results"))
    plan = {"seconds": float(values.pop("seconds", 30)), "warm_up": float(values.pop("warm_up", 10))}
    full = {**plan, "overrides": values}
    command, found = f"python -m benchmarks.env_speed_scaling {' '.join(arguments)}".strip(), []
    with sigterm_interrupts():
        if part != "long":
            rows: list[dict[str, Cell]] = []
            for index, cell in enumerate(dict.fromkeys(cells(*lists))):
                rows.append(measure(cell, full, work / str(index)))
                print(rows[-1], flush=True)
            found.append(report_cells(rows, command, results))
        if part != "cells":
            found.append(report_long(*long_run(hours, full, (work / "long").resolve()), command, results))
    for result in found:
        print(f"{results / f'{result.name}.json'}: holds {result.holds}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError) as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end, nothing was written")
