"""`reannotation`: what it takes to ask another reward about one million steps that are stored already.

    python -m benchmarks.reannotation
    python -m benchmarks.reannotation steps=200000 played=40000 repeats=3 judge=rules

A policy without training plays `played` steps of the recipe (NetHackScore by default); they are stored again and again
under names of their own, as other actors' experience, until there are `steps` of them. So captions repeat as often as
they do in the game, observations are as large, and every step is on disk. Then, over all that is stored:

- a caption function, `repeats` times, each time as a new version: from opening the stores to the finished A/B table;
- a function of steps, which has as many subjects as there are steps;
- a language-model judge (`judge`, the builtin one), with its tokens, and its money at `price` for a million tokens.

The baselines are measured in the same run: the same judge asked once a step, as a reward that is a number on the
sample has to be (on `sample` steps, scaled up), and a join of verdicts by a dictionary instead of by Arrow. Other keys:
recipe, work (a directory for the run, 2 KB a step, deleted afterwards), results.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from envs.storage.store import Config as StoreConfig
from envs.storage.store import Store
from envs.storage.writers import Key
from envs.trajectory import Fragment
from pipelines.driver.lifecycle import write_config
from pipelines.environment.roles import EnvActor, task_of
from pipelines.errors import UserError
from pipelines.experiment import COMPONENT, Experiment
from pipelines.judging.judges import build_judge, prepare_judge
from pipelines.overrides import apply, parse
from pipelines.recipes.table import find_recipe
from pipelines.results import Cell, Result, figure, write_result
from pipelines.run_directory import RunDirectory
from pipelines.stored.comparison import Comparison
from pipelines.stored.reannotate import reannotate
from pipelines.stored.reannotation import Outcome
from pipelines.stored.stored_experience import StoredExperience
from rewards.functions import reward
from rewards.questions import caption_question
from rewards.verdict_store import VerdictStore, caption_subjects

NAME = "reannotation"
STEPS, PLAYED, REPEATS, SAMPLE = 1_000_000, 100_000, 5, 2_000
PRICE = 1.0  # for a million tokens: about what small hosted models cost
SECONDS = 10.0  # a caption reward over a million steps must take less
GAIN = 20.0  # and a judge at least so many times less than asked once a step


@reward(subject="caption", version="1")
def progress(caption: str, worth: float = 1.0) -> float:
    """Whether something was gained, opened, killed or reached."""
    return worth * any(word in caption.lower() for word in ("gain", "open", "kill", "reach", "descend", "welcome"))


@reward(subject="step", version="1", batched=True)
def paid(env_reward: list[float], step: list[int], horizon: float = 1000.0) -> list[float]:
    """The environment's reward, discounted by its place in the episode."""
    return [r / (1.0 + t / horizon) for r, t in zip(env_reward, step, strict=True)]


def build_run(directory: RunDirectory, recipe: str, steps: int, played: int) -> Experiment:
    """Play `played` steps with a policy as it was initialised, and store them until there are `steps`."""
    values = {"actors.environments": 16, "actors.unroll_length": 64, "policy.hidden": 16, "reward.source": "retrieval"}
    experiment = apply(find_recipe(recipe), values)
    directory.root.mkdir(parents=True)
    write_config(experiment, directory)
    actor = EnvActor(experiment, 0, 0)
    fragments: list[tuple[Fragment, pa.RecordBatch]] = []
    while sum(fragment.frames for fragment, _ in fragments) < played:
        fragments.append(actor.rollout(None))
    actor.close()
    stored = copy = 0
    with Store(directory.experience, fragments[0][1].schema, StoreConfig(fsync="none")) as store:
        while stored < steps:
            for fragment, rows in fragments:
                if stored >= steps:
                    break
                beside = {"policy_version": fragment.policy_version, "meta": fragment.to_plain()}
                store.append(Key(copy, *fragment.key[1:]), renamed(rows, copy), beside)
                stored += fragment.frames
            copy += 1
    return experiment


def renamed(rows: pa.RecordBatch, actor: int) -> pa.RecordBatch:
    """Rows as if another actor had written them; only the names are new, the rest is not copied."""
    arrays = dict(zip(rows.schema.names, rows.columns, strict=True))
    for name in ("row_id", "episode_id"):
        arrays[name] = pc.replace_substring_regex(arrays[name], "^[0-9]+", str(actor))
    arrays["actor"] = pa.array(np.full(rows.num_rows, actor, np.int32))
    return pa.RecordBatch.from_arrays(list(arrays.values()), schema=rows.schema)


@dataclass(frozen=True)
class Timed:
    """One re-annotation, from opening the stores to the finished table."""

    what: str
    outcome: Outcome
    seconds: float
    steps: int

    @property
    def steps_per_s(self) -> float:
        """Stored steps that have their new reward, a second."""
        return self.steps / self.seconds

    def rows(self) -> list[dict[str, Cell]]:
        """Lines of the table: the re-annotation, then both versions."""
        head: dict[str, Cell] = {
            "what": self.what,
            "seconds": self.seconds,
            "steps_per_s": self.steps_per_s,
            "subjects": self.outcome.total,
            "judged": sum(self.outcome.judged.values()),
            "tokens": self.outcome.tokens,
            "money": self.outcome.cost,
        }
        return [head, *(table_rows(self.what, self.outcome.comparison) if self.outcome.comparison else [])]


def table_rows(what: str, table: Comparison) -> list[dict[str, Cell]]:
    """An A/B table as lines of a result."""
    common: dict[str, Cell] = {"what": f"{what}, A/B", "correlation": table.correlation}
    common |= {"opposite": table.differ, "judged_by_both": table.both, "of": table.count}
    return [
        common
        | {
            "side": side,
            "version": one.name,
            "share_judged": one.share_judged,
            "mean": one.mean,
            "episode_reward": one.episode_reward,
        }
        for side, one in (("A", table.a), ("B", table.b))
    ]


def timed(what: str, directory: RunDirectory, steps: int, **values: Any) -> Timed:
    """Re-annotate and take the time."""
    began = time.perf_counter()
    outcome = reannotate(
        directory, {key.replace("__", "."): value for key, value in values.items()}, say=lambda _: None
    )
    found = Timed(what, outcome, time.perf_counter() - began, steps)
    if outcome.left or outcome.stopped:
        raise UserError(f"{what}: {outcome.left} of {outcome.total} are left, {outcome.stopped or 'for no reason'}")
    print(f"{what}: {found.seconds:.2f} s, {found.steps_per_s:,.0f} steps/s, {outcome.tokens:,} tokens", flush=True)
    return found


def asked_once_a_step(directory: RunDirectory, experiment: Experiment, judge: str, sample: int, batch: int) -> float:
    """Seconds a step of a judge that is asked about each captioned step, in batches as large as the ledger's.

    Raises:
        UserError: nothing captioned is stored.
    """
    experience = StoredExperience(directory)
    ids = experience.flat("caption_id")
    captions = experience.captions
    experience.close()
    known = ids[ids != 0]
    chosen: list[int] = np.random.default_rng(0).choice(known, size=sample).tolist() if known.size else []
    if not len(chosen):
        raise UserError("no step that was played has a caption; play a game that says something")
    questions = [caption_question(captions[int(ident)]) for ident in chosen]
    config = apply(experiment, {"judge.kind": judge})
    asked = build_judge(config.judge, task_of(config).goal)

    async def ask() -> None:
        for start in range(0, len(questions), batch):
            await asked.judge(questions[start : start + batch])

    asyncio.run(asked.judge(questions[:1]))  # what is loaded and compiled at the first question is not counted
    began = time.perf_counter()
    asyncio.run(ask())
    return (time.perf_counter() - began) / sample * float((ids != 0).mean())


def joins(directory: RunDirectory, version: str, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds to give every stored step its verdict: as columns, and by a dictionary."""
    experience = StoredExperience(directory)
    ids = experience.flat("caption_id")
    by_arrow, by_dictionary = [], []
    for _ in range(repeats):
        began = time.perf_counter()
        with VerdictStore(directory.verdicts, read_only=True) as store:
            distinct, of_step = np.unique(ids, return_inverse=True)
            columns = store.join(caption_subjects(distinct), COMPONENT, version).values[of_step]
        by_arrow.append(time.perf_counter() - began)
        began = time.perf_counter()
        with VerdictStore(directory.verdicts, read_only=True) as store:
            known = {
                row["subject"]: row["value"] for one in store.batches(COMPONENT, version) for row in one.to_pylist()
            }
            looked_up = np.array([known.get(str(ident), np.nan) for ident in ids.tolist()])
        by_dictionary.append(time.perf_counter() - began)
        if not np.array_equal(columns, looked_up, equal_nan=True):
            raise UserError("the two joins do not agree")
    experience.close()
    return by_arrow, by_dictionary


def report(
    captions: Sequence[Timed],
    per_step: Timed,
    judged: Timed,
    once_a_step_s: float,
    by_arrow: Sequence[float],
    by_dictionary: Sequence[float],
    played: int,
    price: float,
    results: Path,
) -> Result:
    """Write the result."""
    steps = judged.steps
    seconds = figure([one.seconds for one in captions], "s")
    gain = once_a_step_s * steps / judged.seconds
    worst = seconds.value if seconds.high is None else seconds.high
    figures = {
        "caption reward, seconds": seconds,
        "caption reward, steps/s": figure([one.steps_per_s for one in captions], "steps/s"),
        "step reward, steps/s": figure([per_step.steps_per_s], "steps/s"),
        "judge, seconds": figure([judged.seconds], "s"),
        "judge, questions a step": figure([judged.outcome.total / steps], "questions/step"),
        "judge, tokens": figure([judged.outcome.tokens], "tokens"),
        f"judge, money at {price:g} a million tokens": figure([judged.outcome.cost], "money"),
        "judge asked once a step, times as long": figure([gain], "ratio"),
        "join, seconds": figure(by_arrow, "s"),
        "join by a dictionary, times as long": figure(
            [slow / fast for slow, fast in zip(by_dictionary, by_arrow, strict=True)], "ratio"
        ),
    }
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"Another caption reward for {steps:,} stored steps ({played:,} played, stored until there were as many) takes "
        f"less than {SECONDS:g} s from opening the stores to the A/B table, also at the upper end of the 95 % "
        f"interval, and a language-model judge at least {GAIN:g} times less than if asked once a captioned step.",
        worst < SECONDS and gain >= GAIN,
        f"python -m benchmarks.{NAME}",
        figures,
        [row for one in (*captions, per_step, judged) for row in one.rows()],
    )


def main(arguments: Sequence[str]) -> None:
    values = parse(arguments)
    steps, played = int(values.pop("steps", STEPS)), int(values.pop("played", PLAYED))
    repeats, sample = int(values.pop("repeats", REPEATS)), int(values.pop("sample", SAMPLE))
    price, judge = float(values.pop("price", PRICE)), str(values.pop("judge", "builtin"))
    recipe, work = str(values.pop("recipe", "nethack-score")), Path(values.pop("work", f"runs/{NAME}"))
    results = Path(values.pop("results", "docs/results"))
    if values:
        raise UserError(f"unknown key {next(iter(values))!r}; the keys stand at the top of the file")
    if work.exists():
        raise UserError(f"work: {work} is there already; delete it, or name another directory")
    directory = RunDirectory(work)
    try:
        began = time.perf_counter()
        experiment = build_run(directory, recipe, steps, played)
        print(f"built a run of {steps:,} steps in {time.perf_counter() - began:.0f} s", flush=True)
        prepare_judge(apply(experiment, {"judge.kind": judge}).judge)
        timed("rules judge", directory, steps, judge__kind="rules")
        function = f"benchmarks.{NAME}:progress"
        captions = [
            timed("caption function", directory, steps, reward=function, settings__worth=1.0 / (1 + k))
            for k in range(repeats)
        ]
        judged = timed(f"{judge} judge", directory, steps, judge__kind=judge, prices__million_tokens=price)
        once_a_step_s = asked_once_a_step(directory, experiment, judge, sample, experiment.annotation.batch_size)
        by_arrow, by_dictionary = joins(directory, judged.outcome.version, repeats)
        per_step = timed("step function", directory, steps, reward=f"benchmarks.{NAME}:paid")
        found = report(captions, per_step, judged, once_a_step_s, by_arrow, by_dictionary, played, price, results)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{results / f'{NAME}.json'}: holds {found.holds}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError) as error:
        sys.exit(f"{NAME}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{NAME}: stopped before its end, nothing was written")
