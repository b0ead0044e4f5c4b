"""`lm-faults`: what becomes of a language run while its parts are killed, hang, and break.

    python -m benchmarks.lm_faults
    python -m benchmarks.lm_faults updates=20 work=runs/lm-faults

One asynchronous run on Ray, two engines. One of its rewards hangs for ever on some answers, and one gives numbers that
no gradient can bear. While it runs an engine is killed in the middle of its answers, another is stopped so that its
weights never arrive, the learner is killed, and the replay is killed: each when the one before has recovered, `updates`
updates later. At last it is asked to stop. Every fault has to be named in its events, and the ledger has to balance.
Other keys: results.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.language.experiment import EnginesConfig, LanguageExperiment
from pipelines.language.reward_settings import RewardsConfig
from pipelines.overrides import parse
from pipelines.recipes.language import rlvr
from pipelines.results import Cell, figure, write_result
from pipelines.run_directory import RunDirectory
from rewards.functions import reward

NAME = "lm-faults"
KEYS: Mapping[str, Any] = {"updates": 20, "work": "runs/lm-faults", "results": "docs/results"}
DEADLINE_S = 900.0
FAULTS = (
    ("engine-0", signal.SIGKILL),
    ("engine-1", signal.SIGSTOP),
    ("learner", signal.SIGKILL),
    ("replay-0", signal.SIGKILL),
)


@reward(subject="row")
def hangs_at_times(completion: str, answer: str) -> float:
    """Whether an answer is right; it hangs for ever where the right one ends with two particular digits."""
    if answer.endswith("77"):
        time.sleep(1e9)
    return float(completion.strip() == answer)


@reward(subject="row")
def explodes_at_times(completion: str, answer: str) -> float:
    """More than a gradient can bear, for some answers."""
    return 1e30 if answer.endswith("55") and len(completion) % 2 else 0.0


def broken() -> LanguageExperiment:
    """The run to be broken; a recipe by dotted path."""
    return rlvr().model_copy(
        update={
            "name": NAME,
            "runner": "distributed",
            "method": "dr_grpo",  # divides by no deviation, so that what explodes reaches the loss
            "prompts": 32,
            "target": None,
            "max_staleness": 2,
            "engines": EnginesConfig(count=2, deadline_s=20.0, sync_deadline_s=5.0),
            "rewards": RewardsConfig(
                functions={
                    "hangs": "benchmarks.lm_faults:hangs_at_times",
                    "explodes": "benchmarks.lm_faults:explodes_at_times",
                },
                deadline_s=3.0,
                attempts=1,
            ),
        }
    )


def started(directory: RunDirectory) -> dict[str, int]:
    """The newest process of each role."""
    found = {}
    for event in directory.lines(directory.events):
        if event["what"] == "started" and (number := re.search(r"process (\d+)", event["cause"])):
            found[event["role"]] = int(number.group(1))
    return found


def recovered(directory: RunDirectory, role: str) -> bool:
    """Whether a role works again."""
    own = [event["what"] for event in directory.lines(directory.events) if event["role"] == role]
    return "recovered" in own


def updates(directory: RunDirectory) -> int:
    """Of a run so far."""
    return max((int(line["updates"]) for line in directory.lines(directory.metrics)), default=0)


def main() -> None:
    """Break a run, see what became of it, and write the result."""
    values = {**KEYS, **parse(sys.argv[1:])}
    if unknown := sorted(set(values) - set(KEYS)):
        raise SystemExit(f"got {', '.join(unknown)}; expected keys {', '.join(KEYS)}")
    work = Path(values["work"])
    command = [sys.executable, "-m", "pipelines.cli", "train", "benchmarks.lm_faults:broken", f"runs={work}"]
    command += ["updates=1000000", "evaluate_every=0", "tracking.enabled=false", "report_every_s=0.5"]
    before = {path.name for path in work.glob("*")}
    began = time.monotonic()
    process = subprocess.Popen(command)
    done: list[dict[str, Cell]] = []
    since = 0
    try:
        while process.poll() is None:
            if time.monotonic() - began > DEADLINE_S:
                raise SystemExit(f"the run has not ended after {DEADLINE_S:.0f} s; see {work}")
            time.sleep(0.1)
            new = [path for path in work.glob(f"{NAME}-*") if path.name not in before]
            if not new:
                continue
            directory = RunDirectory(new[0])
            if done and not recovered(directory, str(done[-1]["role"])):
                since = updates(directory)
            if updates(directory) < since + values["updates"]:
                continue
            if len(done) == len(FAULTS):
                process.terminate()  # it saves, and ends by itself
                process.wait(timeout=120)
                break
            role, how = FAULTS[len(done)]
            os.kill(started(directory)[role], how)
            done.append({"role": role, "signal": how.name, "at_update": updates(directory)})
            print(done[-1], flush=True)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=60)
    seconds = time.monotonic() - began
    directory = RunDirectory(next(path for path in work.glob(f"{NAME}-*") if path.name not in before))
    events = list(directory.lines(directory.events))
    books = json.loads(directory.ledger.read_text())
    metrics = list(directory.lines(directory.metrics))[-1]
    killed = list(done)
    for fault in killed:
        own = [event for event in events if event["role"] == fault["role"]]
        back_s = [event["recovered_s"] for event in own if event["what"] == "recovered"]
        fault["cause"] = next((event["cause"][:120] for event in own if event["what"] == "died"), None)
        fault["recovered_s"] = back_s[0] if back_s else None
    skipped = [event["cause"] for event in events if event["what"] == "skipped a step"]
    unsynced = [event["cause"] for event in events if event["what"] == "interrupted"]
    late = books["verdicts"]["failures"].get("timeout", 0)
    done += [
        {"role": "learner", "signal": "a loss that is not finite", "cause": (skipped or [""])[0][:120]},
        {"role": "weights of engine-1", "signal": "interrupted", "cause": (unsynced or [""])[-1][:120]},
        {"role": "rewards", "signal": "hangs", "cause": (list(books["verdicts"]["causes"]) or [""])[0][:120]},
    ]
    holds = (
        process.returncode == 0
        and books["balanced"]
        and len(killed) == len(FAULTS)
        and all(fault["recovered_s"] is not None for fault in killed)
        and all(fault["cause"] for fault in done)
        and late > 0
        and metrics.get("learner/staleness_max", 0) <= broken().max_staleness
    )
    write_result(
        Path(values["results"]) / f"{NAME}.json",
        NAME,
        "A run whose engines, learner and replay are killed or stopped, whose reward hangs and whose loss overflows "
        "goes on, names every fault, and has a ledger that balances.",
        holds,
        "python -m benchmarks.lm_faults",
        {
            "seconds": figure([seconds], "s"),
            "verdicts that were late": figure([late], "verdicts"),
            "steps that were skipped": figure([len(skipped)], "steps"),
            "groups that were lost and played again": figure([books["lost_rollouts"]], "groups"),
            "recovery": figure([float(f["recovered_s"]) for f in killed if f["recovered_s"] is not None], "s"),
        },
        done,
    )
    print(
        f"holds: {holds}; balanced: {books['balanced']}; {late} late verdicts; {len(skipped)} skipped steps", flush=True
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("lm-faults: interrupted; nothing is written")
