"""`env-speed`: frames/s end to end, Guerdon and its peers, on NetHackScore and CartPole with the same small nets.

    python -m benchmarks.env_speed sample_factory=/path/to/python sb3=/path/to/python pufferlib=/path/to/python
    python -m benchmarks.env_speed worlds=[cartpole] systems=[guerdon,rllib-impala] seconds=20 repetitions=1

A frame counts when it was learnt from. Every system has one epoch, batches of 2048, no recurrence, the same net, and a
window of `seconds` after `warm_up` seconds of learning; they take turns, `repetitions` times over. A peer is run by
the interpreter that its key names, since peers do not share an environment; one without an interpreter, or that fails,
is in the table with its reason. `settings.SYSTEM.WORLD={…}` replaces a system's settings. What the systems learn from
equally many frames is told by benchmarks/env_returns.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.apparatus.training import ONE_THREAD, last_line, sigterm_interrupts
from pipelines.errors import UserError
from pipelines.machines.trial import trial
from pipelines.overrides import parse
from pipelines.results import Cell, Result, figure, write_result

NAME = "env-speed"
PEERS = Path(__file__).parent / "peers"
WORLDS = ("nethack", "cartpole")
TIMEOUT_S = 600.0  # of a peer, beyond its window
ENOUGH = {"sample-factory": 1.5, "rllib": 2.5}  # how much faster Guerdon is meant to be

COMMON = {
    "reward.source": "extrinsic",
    "policy.encoder": "small",
    "policy.recurrent": False,
    "learner.learning_rate": 3e-4,
    "learner.epochs": 1,
    "learner.minibatches": 1,
    "record_mb": 0,
    "actors.count": 2,
    "actors.unroll_length": 32,
}
GUERDON: dict[str, tuple[str, dict[str, Any]]] = {
    "nethack": (
        "nethack-score",
        {
            **COMMON,
            "policy.hidden": 128,
            "task_options.keys": ["chars", "blstats"],
            "reward.extrinsic_coefficient": 1.0,
            "actors.environments": 32,
            "batch_fragments": 2,
        },
    ),
    "cartpole": (
        "catch",
        {
            **COMMON,
            "task": "CartPole-v1",
            "learner.normalise_returns": True,  # as Sample Factory does; NetHack gained nothing by it
            "policy.hidden": 64,
            "actors.environments": 64,
            "batch_fragments": 1,
        },
    ),
}


class Peer(NamedTuple):
    """A peer's script, the key of its interpreter, and what it is told in each world, found by hand."""

    script: str
    key: str
    settings: Mapping[str, Mapping[str, Any]]


SAMPLE_FACTORY = {"nethack": {"workers": 2, "envs": 64}, "cartpole": {"workers": 2, "envs": 64}}
RLLIB = {"nethack": {"workers": 1, "envs": 64}, "cartpole": {"workers": 1, "envs": 128}}
OTHERS = {world: {"envs": 64} for world in WORLDS}
SYSTEMS: dict[str, Peer] = {
    "raw": Peer("raw_stepping.py", "", {world: {"envs": 2} for world in WORLDS}),
    "sample-factory": Peer("sample_factory_appo.py", "sample_factory", SAMPLE_FACTORY),
    "rllib-impala": Peer("rllib_async.py", "rllib", {w: {**RLLIB[w], "algorithm": "impala"} for w in WORLDS}),
    "rllib-appo": Peer("rllib_async.py", "rllib", {w: {**RLLIB[w], "algorithm": "appo"} for w in WORLDS}),
    "sb3": Peer("sb3_ppo.py", "sb3", {world: {"envs": 16} for world in WORLDS}),
    "pufferlib": Peer("pufferlib_ppo.py", "pufferlib", OTHERS),
}


class Found(NamedTuple):
    """What one run said; what could not be had is None, with the reason."""

    frames_per_s: float | None = None
    episode_return: float | None = None
    frames: float | None = None
    problem: str = ""


def run_peer(interpreter: str, peer: Peer, world: str, words: Mapping[str, Any], log: Path, limit_s: float) -> Found:
    """Run a peer's script to its end.

    Args:
        interpreter: path of the Python that has the peer; empty: there is none.
        peer: which.
        world: `nethack` or `cartpole`.
        words: its options.
        log: what it prints goes there.
        limit_s: it is stopped after this long.
    """
    if not interpreter:
        return Found(problem=f"absent: no interpreter was named ({peer.key}=PYTHON)")
    options = [f"--{key}={value}" for key, value in words.items()]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [interpreter, str(PEERS / peer.script), world, *options],
            env={**os.environ, **ONE_THREAD},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return Found(problem=f"did not end within {limit_s:.0f} s; see {log}")
        except OSError as error:
            return Found(problem=str(error))
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return spoken(log.read_text(errors="replace"), code, log)


def spoken(printed: str, code: int, log: Path) -> Found:
    """What a peer's script said in its last line of JSON."""
    for line in reversed(printed.splitlines()):
        if line.startswith("{") and '"frames_per_s"' in line:
            # A peer that has seen no episode to its end says NaN, which is not a number: it is not known.
            said = json.loads(line, parse_constant=lambda constant: None)
            return Found(said["frames_per_s"], said["episode_return"], said["frames"])
    return Found(problem=f"ended with code {code}: {last_line(log)}")


def measure_speed(system: str, world: str, plan: Plan, place: Path) -> Found:
    """Frames/s of a system in a window."""
    if system == "guerdon":
        recipe, settings = GUERDON[world]
        words = [f"{key}={json.dumps(value)}" for key, value in {**settings, **plan.settings(system, world)}.items()]
        try:
            seen = trial([recipe, "frames=1000000000", *words], plan.warm_up, plan.seconds, place)
        except UserError as error:
            return Found(problem=str(error))
        return Found(seen.frames_per_s, seen.metrics.get("episode_return"), seen.metrics["learnt_frames"])
    peer = SYSTEMS[system]
    window = {"warm_up": plan.warm_up, "seconds": plan.seconds}
    options = {**peer.settings[world], **plan.settings(system, world), **window}
    limit_s = TIMEOUT_S + plan.warm_up + plan.seconds
    return run_peer(plan.interpreters[peer.key], peer, world, options, place / "log", limit_s)


class Plan(NamedTuple):
    """What is measured: windows, and where each peer's interpreter and settings are."""

    seconds: float
    warm_up: float
    interpreters: Mapping[str, str]
    replaced: Mapping[str, Mapping[str, Any]]

    def settings(self, system: str, world: str) -> Mapping[str, Any]:
        """What was replaced on the command line."""
        return self.replaced.get(f"{system}.{world}", {})


def named_interpreters(values: dict[str, Any]) -> dict[str, str]:
    """Take the interpreters of peers out of the options of a command; this one for those that are installed here."""
    own = {"": sys.executable, "rllib": sys.executable}
    return {key: str(values.pop(key, own.get(key, ""))) for key in {peer.key for peer in SYSTEMS.values()}}


def row(system: str, world: str, number: int, found: Found) -> dict[str, Cell]:
    """One line of the table."""
    return {
        "system": system,
        "world": world,
        "number": number,
        "frames_per_s": found.frames_per_s,
        "episode_return": found.episode_return,
        "frames": found.frames,
        "problem": found.problem,
    }


def ratios(rows: Sequence[Mapping[str, Any]], world: str, peer: str) -> list[float]:
    """Guerdon's frames/s over a peer's, in each repetition in which both were measured."""
    speed = {(r["system"], r["number"]): r["frames_per_s"] for r in rows if r["world"] == world}
    pairs = [(found, speed.get((peer, number))) for (system, number), found in speed.items() if system == "guerdon"]
    return [ours / theirs for ours, theirs in pairs if ours and theirs]


def numbers(rows: Sequence[Mapping[str, Any]], system: str, world: str, column: str) -> list[float]:
    """What stands in a column of the lines of one system and world, where there is something."""
    of = [row[column] for row in rows if (row["system"], row["world"]) == (system, world)]
    return [float(value) for value in of if value is not None]


def report(rows: Sequence[dict[str, Cell]], worlds: Sequence[str], command: str, results: Path) -> Result:
    """Write the result: holds where every peer that is meant to be beaten was there, and was.

    Raises:
        ValueError: nothing at all was measured.
    """
    figures, holds = {}, True
    for world in worlds:
        best_of_rllib = []
        for system in ("guerdon", *SYSTEMS):
            if speeds := numbers(rows, system, world, "frames_per_s"):
                figures[f"{system}, {world}"] = figure(speeds, "frames/s")
            if system != "guerdon" and (found_ratios := ratios(rows, world, system)):
                figures[f"guerdon over {system}, {world}"] = figure(found_ratios, "ratio")
                if system.startswith("rllib"):
                    best_of_rllib.append(sum(found_ratios) / len(found_ratios))
        ours = figures.get(f"guerdon over sample-factory, {world}")
        holds &= ours is not None and ours.value >= ENOUGH["sample-factory"]
        holds &= bool(best_of_rllib) and min(best_of_rllib) >= ENOUGH["rllib"]
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"On {' and '.join(worlds)}, with the same net, one epoch and batches of 2048, Guerdon learns from at least "
        f"{ENOUGH['sample-factory']:g} times the frames/s of Sample Factory and {ENOUGH['rllib']:g} times those of "
        "RLlib's best asynchronous learner.",
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
    systems: Sequence[str] = values.pop("systems", ["guerdon", *SYSTEMS])
    repetitions = int(values.pop("repetitions", 3))
    work, results = Path(values.pop("work", f"runs/{NAME}")), Path(values.pop("results", "docs/results"))
    seconds, warm_up = float(values.pop("seconds", 60)), float(values.pop("warm_up", 20))
    interpreters = named_interpreters(values)
    replaced = {
        f"{system}.{world}": values.pop(f"settings.{system}.{world}")
        for system in ("guerdon", *SYSTEMS)
        for world in WORLDS
        if f"settings.{system}.{world}" in values
    }
    known = (*WORLDS, "guerdon", *SYSTEMS)
    unknown = [*values, *(name for name in (*worlds, *systems) if name not in known)]
    if unknown:
        raise UserError(f"got {unknown}; expected the keys, worlds and systems that this file's head names")
    plan = Plan(seconds, warm_up, interpreters, replaced)
    rows: list[dict[str, Cell]] = []
    with sigterm_interrupts():
        for number in range(repetitions):
            for world in worlds:
                for system in systems:
                    found = measure_speed(system, world, plan, work / f"{world}-{system}-{number}")
                    rows.append(row(system, world, number, found))
                    shown = f"{found.frames_per_s:,.0f} frames/s" if found.frames_per_s else found.problem
                    print(f"{number} {world:9} {system:15} {shown}", flush=True)
    result = report(rows, worlds, f"python -m benchmarks.env_speed {' '.join(arguments)}".strip(), results)
    print(f"{results / f'{NAME}.json'}: holds {result.holds}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError) as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end, nothing was written")
