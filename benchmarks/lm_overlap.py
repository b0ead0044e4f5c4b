"""`lm-overlap`: what it is worth that engines write, rewards are waited for and the learner learns at the same time.

    python -m benchmarks.lm_overlap                               # about ten minutes
    python -m benchmarks.lm_overlap updates=40 rounds=5 passes=[2]

The same experiment on Ray in lockstep (`max_staleness=0`) and asynchronously, to the same number of updates, with a
reward that takes 0.2 to 2 s for each group, as one behind a network does. Beside them stand the stages run alone:
writing with nothing else to do, and learning from what is there already. Perfect overlap takes as long as the slower of
the two, U seconds an update. What the slower one takes while the other runs beside it, with nothing between them, is
told as well: cores share memory and cache.

Whether that can be reached at all is arithmetic. While a group waits up to D = 2 s for its reward, D / U batches are on
their way; one is being written, one drawn ahead, one learnt from. With `max_staleness` S admission lets S + 1 batches
be out at once, so that S >= D / U + 2 is needed, and one more because batches are begun whole: S is set to
ceil(D / U) + 3, from the U that was measured. With updates of a tenth of a second it would be 23, and no learner would
bear that: a batch has so many prompts here that U is about half a second or more.

Engine and learner have a thread each; what is left of two cores is 2 U less the work of both stages, and in that the
driver, the replay and the process of the plain reward have to find room. So there are two experiments, by how often the
learner goes over a batch. With one pass both stages are about equally slow, and leave little: what is missing to
perfect overlap is processors then. With two, as PPO has it, the learner takes more than twice as long as the engine,
and what is missing is what the run itself makes wait. The claim is of the latter.

The learner takes all answers, also those that move no weight (`skip_idle=false`): else it would have more to do the
more is learnt, and than it had alone.
Weights reach the engine between its calls: in flight they would have it read all that is under way again, which is work
that the stage alone does not have. Until the pipeline is filled and what was written ahead is learnt from, S + 2
updates, nothing is timed.
Other keys: prompts, tokens, work, results.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.apparatus.pace import under_way
from benchmarks.lm_speed import letters, model_of
from learners.language.learner import Config as LearnerConfig
from pipelines.errors import UserError
from pipelines.experiment import CheckpointConfig
from pipelines.language.experiment import EnginesConfig, LanguageExperiment, SamplingConfig
from pipelines.language.reward_settings import RewardsConfig
from pipelines.language.rewards import RewardSet
from pipelines.language.roles import EngineRole, LearnerRole
from pipelines.language.tasks import task_of
from pipelines.language.train import train
from pipelines.overrides import parse
from pipelines.results import Cell, Figure, figure, write_result
from pipelines.tracking import Config as TrackingConfig
from rewards.functions import reward

NAME = "lm-overlap"
CLAIMED = 2  # passes over a batch in the experiment that the claim is of
KEYS: Mapping[str, Any] = {
    "updates": 24,
    "rounds": 3,
    "passes": [1, CLAIMED],
    "prompts": 64,
    "tokens": 32,
    "work": "runs/lm-overlap",
    "results": "docs/results",
}

LEAST = 4
"""Updates from which on the time of one can be told."""

DELAY_S = (0.2, 2.0)
"""Of the reward of a group."""

STAGE_S = 10.0
"""So long each stage is timed."""

READY_S = 60.0
"""How long two stages that are to run side by side have to begin."""


@reward(subject="row", batched=True)
async def slow_letters(completion: list[str]) -> list[float]:
    """How often the letter e occurs, after 0.2 to 2 s."""
    await asyncio.sleep(random.Random("".join(completion)).uniform(*DELAY_S))
    return [letters(one) for one in completion]


def experiment_of(values: Mapping[str, Any], staleness: int, updates: int) -> LanguageExperiment:
    """The run to be timed; `passes` are those over each batch."""
    return LanguageExperiment(
        task="benchmarks.lm_speed:Counting",
        model=model_of(Path(values["work"])),
        updates=updates,
        prompts=values["prompts"],
        max_staleness=staleness,
        runner="distributed",
        learner=LearnerConfig(learning_rate=1e-4, epochs=values["passes"]),
        skip_idle=False,
        engines=EnginesConfig(in_flight=False),
        sampling=SamplingConfig(max_tokens=values["tokens"]),
        rewards=RewardsConfig(weights={"letters": 0.0}, functions={"slow": "benchmarks.lm_overlap:slow_letters"}),
        checkpoint=CheckpointConfig(every_s=1e6),
        tracking=TrackingConfig(enabled=False),
        report_every_s=0.05,
    )


def timed(values: Mapping[str, Any], staleness: int) -> tuple[float, float]:
    """Seconds of an update once the pipeline is filled, and how many versions behind its oldest answer was at most.

    Raises:
        UserError: the run told of too few updates to know what one takes.
    """
    before = staleness + 2
    experiment = experiment_of(values, staleness, before + values["updates"])
    directory = train(experiment, Path(values["work"]), say=lambda text: None)
    first, last = under_way(directory, before)
    oldest = max(line.get("learner/staleness_max", 0.0) for line in directory.lines(directory.metrics))
    return (last["elapsed_s"] - first["elapsed_s"]) / (last["updates"] - first["updates"]), oldest


def stage(kind: str, values: Mapping[str, Any], begin_at: float) -> float:
    """Seconds of an update that only writes, or only learns, over some seconds.

    Args:
        kind: `writing` or `learning`.
        values: as for `main`.
        begin_at: when the clock starts, by `time.monotonic`.

    Raises:
        UserError: it was not ready by then.
    """
    experiment = experiment_of(values, 0, 1)
    engine = EngineRole(experiment, experiment.model, 0, 0)
    _, rows = engine.rollout(list(range(experiment.prompts)))
    learner = LearnerRole(experiment, experiment.model)
    counted = [letters(text) for text in rows.column("completion").to_pylist()]
    told = dict(zip(rows.column("row_id").to_pylist(), counted, strict=True))
    verdicts = {part.name: told for part in RewardSet(experiment, task_of(experiment)).parts}
    learner.learn([rows], verdicts)
    if begin_at and time.monotonic() > begin_at:
        raise UserError(f"{kind}: it took longer than {READY_S:g} s to begin; expected a quieter machine")
    time.sleep(max(0.0, begin_at - time.monotonic()))
    began, done = time.monotonic(), 0
    while done < LEAST or time.monotonic() < began + STAGE_S:
        done += 1
        if kind == "writing":
            engine.rollout(list(range(done * experiment.prompts, (done + 1) * experiment.prompts)))
        else:
            learner.learn([rows], verdicts)
    return (time.monotonic() - began) / done


def stages(values: Mapping[str, Any], side_by_side: bool) -> tuple[float, float]:
    """Seconds of an update of writing and of learning: each alone, or both at a time with nothing between them."""
    workers, begin_at = (2, time.monotonic() + READY_S) if side_by_side else (1, 0.0)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        both = [pool.submit(stage, kind, dict(values), begin_at) for kind in ("writing", "learning")]
        return both[0].result(), both[1].result()


def measure(values: Mapping[str, Any]) -> dict[str, Cell]:
    """One row: both stages alone and side by side, then a run in lockstep and one that overlaps."""
    writing, learning = stages(values, side_by_side=False)
    beside = max(stages(values, side_by_side=True))
    staleness = math.ceil(DELAY_S[1] / max(writing, learning)) + 3
    lockstep, _ = timed({**values, "updates": max(LEAST, values["updates"] // 3)}, 0)
    asynchronous, oldest = timed(values, staleness)
    return {
        "passes": values["passes"],
        "lockstep_s": lockstep,
        "asynchronous_s": asynchronous,
        "writing_s": writing,
        "learning_s": learning,
        "side_by_side_s": beside,
        "max_staleness": staleness,
        "oldest": oldest,
    }


def figures_of(rows: Sequence[Mapping[str, float]]) -> dict[str, Figure]:
    """What the asynchronous run took over what else was timed in its round, by passes over a batch."""
    found: dict[str, Figure] = {}
    for passes in sorted({int(row["passes"]) for row in rows}):
        own = [row for row in rows if row["passes"] == passes]
        slower = [max(row["writing_s"], row["learning_s"]) for row in own]
        took = [row["asynchronous_s"] for row in own]
        ratios = {
            "asynchronous over the slower stage alone": [a / s for a, s in zip(took, slower, strict=True)],
            "asynchronous over both stages side by side, with nothing between them": [
                row["asynchronous_s"] / row["side_by_side_s"] for row in own
            ],
            "lockstep over asynchronous": [row["lockstep_s"] / row["asynchronous_s"] for row in own],
            "quicker stage over the slower one": [
                min(row["writing_s"], row["learning_s"]) / s for row, s in zip(own, slower, strict=True)
            ],
        }
        name = f"{passes} pass{'es' if passes > 1 else ''}"
        found |= {f"{what}, {name}": figure(each, "ratio") for what, each in ratios.items()}
    return found


def main() -> None:
    """Measure, and write the result."""
    values = {**KEYS, **parse(sys.argv[1:])}
    if unknown := sorted(set(values) - set(KEYS)):
        raise SystemExit(f"got {', '.join(unknown)}; expected keys {', '.join(KEYS)}")
    if values["updates"] < LEAST:
        raise UserError(f"updates: got {values['updates']}; expected at least {LEAST}, to tell what one takes")
    if CLAIMED not in values["passes"]:
        raise UserError(f"passes: got {values['passes']}; expected {CLAIMED} among them, of which the claim is")
    rows: list[dict[str, Any]] = []
    for number in range(values["rounds"]):
        for passes in values["passes"]:
            rows.append({"round": number, **measure({**values, "passes": passes})})
            print(rows[-1], flush=True)
    found = figures_of(rows)
    over = [r["asynchronous_s"] / max(r["writing_s"], r["learning_s"]) for r in rows if r["passes"] == CLAIMED]
    write_result(
        Path(values["results"]) / f"{NAME}.json",
        NAME,
        "With a reward that takes 0.2 to 2 s, and a learner that goes over each batch twice, an asynchronous run takes "
        "at most 10 % longer than its slower stage alone, in each round.",
        max(over) <= 1.1,
        " ".join(["python -m benchmarks.lm_overlap", *sys.argv[1:]]),
        found,
        rows,
    )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"lm-overlap: {error}")
    except KeyboardInterrupt:
        sys.exit("lm-overlap: interrupted; nothing is written")
