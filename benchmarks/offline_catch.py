"""`offline-catch`: what can be learnt from the stored run of a mediocre policy, under its reward and under another one.

    python -m benchmarks.offline_catch
    python -m benchmarks.offline_catch seeds=10 frames=600000

For each seed a policy of catch is trained for a short while, and all that it did on the way is stored. Each method
learns from that alone, and then plays; none of them meets the world before. Beside them stand the policy that was
left after gathering, and the mean over all stored episodes. Under "another reward" the judge of a new reward version
likes a missed ball and nothing else, the environment's own reward counts for nothing, and what is measured is how often
the ball is missed. Other keys: gathered, episodes, processes, work, results.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.apparatus.intervals import apart, iqm_figure
from pipelines.errors import UserError
from pipelines.evaluate import evaluate_run
from pipelines.experiment import Experiment
from pipelines.overrides import apply, parse
from pipelines.recipes.catch import catch
from pipelines.results import Cell, Figure, Result, write_result
from pipelines.run_directory import RunDirectory
from pipelines.stored.offline import resolve_offline
from pipelines.stored.stored_run import StoredRun
from pipelines.train import train
from rewards.questions import caption_question
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Status, Verdict, to_arrow

NAME = "offline-catch"
SEEDS, GATHERED, FRAMES, EPISODES = 5, 14_400, 300_000, 200
MISSED = "You miss the ball."
ANOTHER = "0123abcd4567"  # the reward version of the judge that likes a miss

CLONING = {"offline.algorithm": "behaviour_cloning", "offline.behaviour_cloning.learning_rate": 3e-3}
METHODS: Mapping[str, Mapping[str, Any]] = {
    "plain cloning": {**CLONING, "offline.behaviour_cloning.temperature": None},
    "filtered cloning": {
        **CLONING,
        "offline.behaviour_cloning.temperature": None,
        "offline.behaviour_cloning.top_share": 0.15,
    },
    "weighted cloning": {**CLONING, "offline.behaviour_cloning.temperature": 0.3},
    "iql": {
        "offline.algorithm": "iql",
        "offline.iql.learning_rate": 3e-3,
        "offline.iql.temperature": 0.05,
        "offline.iql.target_rate": 0.03,
    },
    "vtrace": {
        "offline.algorithm": "vtrace",
        "offline.vtrace.learning_rate": 3e-3,
        "offline.vtrace.entropy_coefficient": 0.01,
    },
}
LEARNT = ("filtered cloning", "weighted cloning", "iql", "vtrace")
OTHER_REWARD = ("iql", "vtrace")


@dataclass(frozen=True)
class Played:
    """What a policy came to: mean return and share of missed balls."""

    mean_return: float
    missed: float


@dataclass
class Seed:
    """Everything that is measured with one seed.

    Attributes:
        stored_return: mean over the stored episodes.
        gathered: the policy that was left after gathering.
        learnt: each method under the run's own reward.
        other: methods under the other reward.
        seconds: that the seed took.
    """

    number: int
    stored_return: float
    gathered: Played
    learnt: dict[str, Played] = field(default_factory=dict)
    other: dict[str, Played] = field(default_factory=dict)
    seconds: float = 0.0

    def rows(self) -> list[dict[str, Cell]]:
        """Its part of the table."""

        def row(method: str, reward: str, played: Played) -> dict[str, Cell]:
            return {
                "seed": self.number,
                "method": method,
                "reward": reward,
                "return": played.mean_return,
                "missed": played.missed,
                "stored_return": self.stored_return,
            }

        return [
            row("behaviour", "extrinsic", self.gathered),
            *(row(method, "extrinsic", played) for method, played in self.learnt.items()),
            *(row(method, "another", played) for method, played in self.other.items()),
        ]


def gather(seed: int, frames: int, work: Path) -> RunDirectory:
    """The stored run: one environment, so that all of it is recorded, stopped long before it plays well."""
    values = {
        "name": f"gathered-{seed}",
        "seed": seed,
        "frames": frames,
        "runner": "local",
        "actors.environments": 1,
        "actors.unroll_length": 144,
        "record_mb": 256,
        "tracking.enabled": False,
        "checkpoint.every_s": 1e6,
    }
    return quietly(apply(catch(), values), work)


def judge_anew(run: RunDirectory) -> None:
    """Verdicts of another reward version on the captions of a run."""
    questions = [caption_question(text) for text in StoredRun(run).captions.values()]
    verdicts = [
        Verdict(
            subject=question.subject,
            subject_kind="caption",
            component="intrinsic",
            reward_version=ANOTHER,
            value=float(question.texts[0] == MISSED),
            status=Status.OK,
            judge_fingerprint="likes-a-miss",
            text=question.texts[0],
        )
        for question in questions
    ]
    with VerdictStore(run.verdicts) as store:
        store.put(to_arrow(verdicts))


def quietly(experiment: Experiment, work: Path) -> RunDirectory:
    """A run in this process; what it says is not shown."""
    with (work / "train.log").open("a") as log, redirect_stdout(log):
        return train(experiment, work, None)


def play(run: RunDirectory, episodes: int) -> Played:
    """Let the policy of a run play."""
    evaluate_run(run, episodes=episodes, seed=10_000, greedy=False, environments=16)
    found = json.loads((run.root / "evaluation.json").read_text())
    return Played(float(np.mean(found["returns"])), 1 - float(np.mean(found["successes"])))


def measure(number: int, gathered: int, frames: int, episodes: int, work: Path) -> Seed:
    """Gather, learn by every method, and play."""
    began = time.monotonic()
    work.mkdir(parents=True, exist_ok=True)
    source = gather(number, gathered, work)
    judge_anew(source)
    returns = [sum(row) for batch in StoredRun(source).batches for row in batch.column("env_reward").to_pylist()]
    seed = Seed(number, sum(returns) / len(returns), play(source, episodes))
    common = {"frames": frames, "seed": number}

    def learn(name: str, values: Mapping[str, Any]) -> Played:
        experiment = resolve_offline(None, {**common, "name": name, **values}, work, str(source.root))
        return play(quietly(experiment, work), episodes)

    # A miss is worth 2 more than a catch, as a catch was worth 2 more than a miss.
    another = {"reward": ANOTHER, "reward.extrinsic_coefficient": 0.0, "reward.intrinsic_coefficient": 2.0}
    for method, values in METHODS.items():
        seed.learnt[method] = learn(method.replace(" ", "-"), values)
    for method in OTHER_REWARD:
        seed.other[method] = learn(f"{method}-another", {**METHODS[method], **another})
    seed.seconds = time.monotonic() - began
    return seed


def report(seeds: Sequence[Seed], command: str, results: Path) -> Result:
    """Write the result: interquartile means over the seeds, with bootstrap intervals."""

    def over_seeds(values: Sequence[float], unit: str) -> Figure:
        return iqm_figure(np.array(values)[:, None], unit)

    returns = {"behaviour": over_seeds([seed.gathered.mean_return for seed in seeds], "return")}
    returns |= {m: over_seeds([seed.learnt[m].mean_return for seed in seeds], "return") for m in METHODS}
    missed = {"behaviour": over_seeds([seed.gathered.missed for seed in seeds], "share of balls")}
    missed |= {m: over_seeds([seed.other[m].missed for seed in seeds], "share of balls") for m in OTHER_REWARD}
    better = all(apart(returns[method], returns[base]) for method in LEARNT for base in ("behaviour", "plain cloning"))
    follows = all(apart(missed[method], missed["behaviour"]) for method in OTHER_REWARD)
    figures = {f"return, {name}": one for name, one in returns.items()}
    figures |= {f"missed under another reward, {name}": one for name, one in missed.items()}
    figures["return, stored episodes"] = over_seeds([seed.stored_return for seed in seeds], "return")
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"From the stored run of a mediocre policy of catch alone, {', '.join(LEARNT)} each learn to play better than "
        "that policy and than its plain clone; under a reward version that was judged afterwards and pays for a miss, "
        f"{' and '.join(OTHER_REWARD)} learn from the same rows to miss more often than it did. All 95 % intervals are "
        "apart.",
        better and follows,
        command,
        figures,
        [row for seed in seeds for row in seed.rows()],
    )


def main(arguments: Sequence[str]) -> int:
    """The command; gives the exit code."""
    values: dict[str, Any] = parse(arguments)
    work = Path(values.pop("work", f"runs/{NAME}")).resolve() / time.strftime("%Y%m%d-%H%M%S")
    results = Path(values.pop("results", "docs/results"))
    numbers = range(values.pop("seeds", SEEDS))
    settings = values.pop("gathered", GATHERED), values.pop("frames", FRAMES), values.pop("episodes", EPISODES)
    processes = values.pop("processes", 2)
    if values:
        raise UserError(f"unknown key {next(iter(values))!r}")
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        asked = [pool.submit(measure, number, *settings, work / f"seed-{number}") for number in numbers]
        seeds = []
        for future in asked:
            seeds.append(future.result())
            print(f"seed {seeds[-1].number}: {seeds[-1].seconds:.0f} s", flush=True)
    words = "".join(f" {argument}" for argument in arguments)
    result = report(seeds, f"python -m benchmarks.{NAME.replace('-', '_')}{words}", results)
    for name, figure in result.figures.items():
        low, high = ("–", "–") if figure.low is None else (f"{figure.low:.2f}", f"{figure.high:.2f}")
        print(f"{name:<48}{figure.value:>7.2f}  [{low}, {high}]")
    print(f"{results / f'{NAME}.json'}: holds {result.holds}")
    return 0 if result.holds else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped")
