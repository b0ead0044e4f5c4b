"""`env-returns`: what Guerdon and its peers have learnt after equally many frames, with the nets of `env-speed`.

    python -m benchmarks.env_returns sample_factory=/path/to/python
    python -m benchmarks.env_returns worlds=[cartpole] frames.cartpole=100000 seeds=1

Settings are those of benchmarks/env_speed.py. A return is the mean of the last hundred episodes. Each run is kept below
`work` when it is over, and not made again. Other keys: systems, minutes (the longest that a run may take), results.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.apparatus.training import sigterm_interrupts, train
from benchmarks.env_speed import GUERDON, SYSTEMS, WORLDS, Found, named_interpreters, numbers, row, run_peer
from pipelines.errors import UserError
from pipelines.overrides import parse
from pipelines.results import Cell, Result, figure, write_result

NAME = "env-returns"
LEARNERS = ("guerdon", "sample-factory", "rllib-impala")
FRAMES = {"nethack": 500_000, "cartpole": 500_000}


def measure(
    system: str, world: str, frames: int, seed: int, interpreters: Mapping[str, str], minutes: float, place: Path
) -> Found:
    """Return of the last episodes after a number of frames."""
    if system == "guerdon":
        recipe, settings = GUERDON[world]
        values = {**settings, "frames": frames, "seed": seed, "tracking.enabled": False}
        try:
            run = train(recipe, values, place, minutes=minutes)
        except UserError as error:
            return Found(problem=str(error))
        last = list(run.lines(run.metrics))[-1]
        if last["learnt_frames"] < frames:
            return Found(problem=f"learnt from {last['learnt_frames']:,.0f} frames in {minutes:g} minutes")
        return Found(None, last.get("episode_return"), last["learnt_frames"])
    peer = SYSTEMS[system]
    words = {**peer.settings[world], "frames": frames, "seed": seed}
    return run_peer(interpreters[peer.key], peer, world, words, place / "log", 60 * minutes)


def report(
    rows: Sequence[dict[str, Cell]], frames: Mapping[str, int], systems: Sequence[str], command: str, results: Path
) -> Result:
    """Write the result: holds where every peer was there, and no interval of Guerdon's lies below one of theirs."""
    figures, holds = {}, True
    for world in frames:
        for system in systems:
            if returns := numbers(rows, system, world, "episode_return"):
                figures[f"{system}, {world}"] = figure(returns, "return")
        ours = figures.get(f"guerdon, {world}")
        for system in systems:
            theirs = figures.get(f"{system}, {world}")
            if ours is None or theirs is None or ours.high is None or theirs.low is None:
                holds = False
            else:
                holds &= ours.high >= theirs.low
    amounts = " and ".join(f"{count:,} frames of {world}" for world, count in frames.items())
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"After {amounts}, with the same net, one epoch and batches of 2048, Guerdon's mean return over seeds is not "
        f"below that of {', '.join(name for name in systems if name != 'guerdon')} with 95 % intervals apart.",
        holds,
        command,
        figures,
        rows,
    )


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark.

    Raises:
        UserError: a key is unknown.
    """
    values = parse(arguments)
    worlds: Sequence[str] = values.pop("worlds", list(WORLDS))
    systems: Sequence[str] = values.pop("systems", list(LEARNERS))
    frames = {world: int(values.pop(f"frames.{world}", FRAMES[world])) for world in WORLDS}
    seeds, minutes = int(values.pop("seeds", 3)), float(values.pop("minutes", 15))
    work, results = Path(values.pop("work", f"runs/{NAME}")), Path(values.pop("results", "docs/results"))
    interpreters = named_interpreters(values)
    known = (*WORLDS, "guerdon", *(name for name in SYSTEMS if name != "raw"))
    if unknown := [*values, *(name for name in (*worlds, *systems) if name not in known)]:
        raise UserError(f"got {unknown}; expected the keys that this file's head names, worlds and systems of {known}")
    rows: list[dict[str, Cell]] = []
    with sigterm_interrupts():
        for seed in range(seeds):
            for world in worlds:
                for system in systems:
                    place = work / f"{world}-{system}-{frames[world]}-{seed}"
                    rows.append(kept(system, world, frames[world], seed, interpreters, minutes, place))
                    told = rows[-1]["problem"] or f"return {rows[-1]['episode_return']}"
                    print(f"{seed} {world:9} {system:15} {told}", flush=True)
    command = f"python -m benchmarks.env_returns {' '.join(arguments)}".strip()
    result = report(rows, {world: frames[world] for world in worlds}, systems, command, results)
    print(f"{results / f'{NAME}.json'}: holds {result.holds}")


def kept(
    system: str, world: str, frames: int, seed: int, interpreters: Mapping[str, str], minutes: float, place: Path
) -> dict[str, Any]:
    """One line of the table, from a run that is over or from a new one."""
    done = place / "row.json"
    if done.exists():
        return dict(json.loads(done.read_text()))
    found = row(system, world, seed, measure(system, world, frames, seed, interpreters, minutes, place))
    if not found["problem"]:
        done.write_text(json.dumps(found))
    return found


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError) as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end; runs that are over are kept")
