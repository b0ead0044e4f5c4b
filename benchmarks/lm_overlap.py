"""`lm-overlap`: what it is worth that engines write, rewards are waited for and the learner learns at the same time.

    python -m benchmarks.lm_overlap
    python -m benchmarks.lm_overlap updates=40 rounds=5

The same experiment on Ray in lockstep (`max_staleness=0`) and asynchronously, to the same number of updates, with a
reward that takes 0.2 to 2 s for each group, as one behind a network does. Beside them stand the stages run alone:
writing with nothing else to do, and learning from what is there already. Perfect overlap takes as long as the slower of
the two. A batch has so many prompts that an update takes a second or two: with updates of a tenth of a second no
staleness that anybody would bear hides a reward of two.
Other keys: prompts, work, results.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.apparatus.pace import under_way
from pipelines.errors import UserError
from pipelines.language.experiment import LanguageExperiment, RewardsConfig
from pipelines.language.models import ensure_model
from pipelines.language.rewards import RewardSet, annotate
from pipelines.language.roles import EngineRole, LearnerRole
from pipelines.language.tasks import task_of
from pipelines.language.train import train
from pipelines.overrides import apply, parse
from pipelines.recipes.language import rlvr
from pipelines.results import Cell, figure, write_result
from rewards.functions import reward

NAME = "lm-overlap"
KEYS: Mapping[str, Any] = {
    "updates": 12,
    "rounds": 2,
    "prompts": 512,
    "work": "runs/lm-overlap",
    "results": "docs/results",
}

LEAST = 6
"""Updates from which on the time of one can be told."""


@reward(subject="row", batched=True)
async def slow_and_right(completion: list[str], answer: list[str]) -> list[float]:
    """Whether answers are right, after 0.2 to 2 s."""
    await asyncio.sleep(random.Random("".join(completion)).uniform(0.2, 2.0))
    return [float(one.strip() == right) for one, right in zip(completion, answer, strict=True)]


def experiment_of(values: Mapping[str, Any], staleness: int) -> LanguageExperiment:
    """The run to be timed."""
    rewards = RewardsConfig(weights={"right": 0.0}, functions={"slow": "benchmarks.lm_overlap:slow_and_right"})
    settings = {
        "updates": values["updates"],
        "prompts": values["prompts"],
        "max_staleness": staleness,
        "runner": "distributed",
        "tracking.enabled": False,
        "target": None,
        "evaluate_every": 0,
        "checkpoint.every_s": 1e6,
    }
    return apply(rlvr().model_copy(update={"rewards": rewards}), settings)


def timed(experiment: LanguageExperiment, work: Path) -> float:
    """Seconds from the second update to the last, over the updates between them, times all updates.

    Raises:
        UserError: the run told of too few updates to know what one takes.
    """
    directory = train(experiment.model_copy(update={"report_every_s": 0.05}), work, say=lambda text: None)
    first, last = under_way(directory, 2)
    each_s = (last["elapsed_s"] - first["elapsed_s"]) / (last["updates"] - first["updates"])
    return float(each_s * experiment.updates)


def alone(values: Mapping[str, Any]) -> tuple[float, float]:
    """Seconds of writing, and of learning, for all updates, with nothing else to do."""
    experiment = experiment_of(values, 0).model_copy(update={"rewards": RewardsConfig()})
    model = ensure_model(experiment, task_of(experiment))
    engine, learner = EngineRole(experiment, model, 0, 0), LearnerRole(experiment, model)
    rewards = RewardSet(experiment, task_of(experiment))
    some = min(10, values["updates"])
    writing = learning = 0.0
    for number in range(some + 1):
        began = time.monotonic()
        _, rows = engine.rollout(list(range(number * experiment.prompts, (number + 1) * experiment.prompts)))
        wrote = time.monotonic()
        told: dict[str, dict[str, float | None]] = {part.name: {} for part in rewards.parts}
        for batch in rows:
            for own in asyncio.run(annotate(rewards.parts, rewards.answer, batch, experiment.rewards)):
                told[own[0].component].update({verdict.subject: verdict.value for verdict in own})
        judged = time.monotonic()
        learner.learn(rows, told)
        if number:  # the first warms up
            writing, learning = writing + wrote - began, learning + time.monotonic() - judged
    return writing / some * values["updates"], learning / some * values["updates"]


def main() -> None:
    """Measure, and write the result."""
    values = {**KEYS, **parse(sys.argv[1:])}
    if unknown := sorted(set(values) - set(KEYS)):
        raise SystemExit(f"got {', '.join(unknown)}; expected keys {', '.join(KEYS)}")
    if values["updates"] < LEAST:
        raise UserError(f"updates: got {values['updates']}; expected at least {LEAST}: the first two are left out")
    experiment = experiment_of(values, 1)
    ensure_model(experiment, task_of(experiment), lambda fraction, text: print(text, flush=True))
    rows: list[dict[str, Cell]] = []
    for number in range(values["rounds"]):
        writing, learning = alone(values)
        lockstep = timed(experiment_of(values, 0), Path(values["work"]))
        asynchronous = timed(experiment_of(values, 4), Path(values["work"]))
        rows.append(
            {
                "round": number,
                "lockstep_s": lockstep,
                "asynchronous_s": asynchronous,
                "writing_s": writing,
                "learning_s": learning,
            }
        )
        print(rows[-1], flush=True)
    over = [float(r["asynchronous_s"]) / max(float(r["writing_s"]), float(r["learning_s"])) for r in rows]  # type: ignore[arg-type]
    gain = [float(r["lockstep_s"]) / float(r["asynchronous_s"]) for r in rows]  # type: ignore[arg-type]
    write_result(
        Path(values["results"]) / f"{NAME}.json",
        NAME,
        "With a reward that takes 0.2 to 2 s, an asynchronous run takes at most 10 % longer than its slower "
        "stage alone.",
        max(over) <= 1.1,
        " ".join(["python -m benchmarks.lm_overlap", *sys.argv[1:]]),
        {
            "asynchronous over the slower stage alone": figure(over, "ratio"),
            "lockstep over asynchronous": figure(gain, "ratio"),
        },
        rows,
    )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"lm-overlap: {error}")
    except KeyboardInterrupt:
        sys.exit("lm-overlap: interrupted; nothing is written")
