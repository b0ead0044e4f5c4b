"""The local runner: the whole experiment in one process, one thing after another, deterministic.

For tests, debugging and experiments over many seeds. With the same seed two runs are bit-identical; with
`max_staleness=0` the distributed runner does the same in many processes.

    act (every actor once) → ask and judge → train the reward model → learn → again
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pyarrow as pa

from envs.trajectory import Fragment
from pipelines.judges import build_judge
from pipelines.roles import EnvActor, PolicyLearner, RewardTrainer, task_of
from pipelines.run import Run
from rewards.judges.judge import Judge
from rewards.verdicts import Status


def run_local(run: Run, roles: Mapping[str, Any] | None, judge: Judge | None = None) -> None:
    """Run to the end.

    Args:
        run: the books, restored already where the run is resumed.
        roles: states of the roles to go on from.
        judge: instead of the one that the experiment names.
    """
    experiment = run.experiment
    task = task_of(experiment)
    epoch = 0 if roles is None else int(roles["epoch"]) + 1
    actors = [EnvActor(experiment, actor, epoch) for actor in range(experiment.actors.count)]
    environment = task.make()
    spec = environment.spec
    environment.close()
    learner = PolicyLearner(experiment, spec, None if roles is None else roles["learner"])
    trainer = None
    if experiment.reward.judged:
        trainer = RewardTrainer(experiment, None if roles is None else roles["trainer"])
        judge = judge or build_judge(experiment.judge, task.goal)
        if roles is not None:
            _, snapshot = trainer.step(dict(run.caption_log), run.verdict_log, 0)
            learner.observe(dict(run.caption_log), snapshot)
    captions_sent, verdicts_sent = len(run.caption_log), len(run.verdict_log)
    weights = learner.weights()
    fresh = [True] * len(actors)
    loop = asyncio.new_event_loop()  # one for the whole run: a judge may keep connections

    def save() -> None:
        waiting = run.replay.payloads()
        states = {"learner": learner.state(), "trainer": trainer.state() if trainer else None, "epoch": epoch}
        run.save(states, [rows for _, rows in waiting], [fragment for fragment, _ in waiting])

    try:
        while not run.done:
            for index, actor in enumerate(actors):
                fragment, rows = actor.rollout(weights if fresh[index] else None)
                fresh[index] = False
                run.replay.insert(
                    fragment.key, (fragment, rows), fragment.rows, fragment.frames, fragment.policy_version, time.time()
                )
                run.gathered(fragment, rows)
            if trainer is not None:
                assert judge is not None
                loop.run_until_complete(annotate(run, judge))
                captions = dict(run.caption_log[captions_sent:])
                verdicts = run.verdict_log[verdicts_sent:]
                captions_sent, verdicts_sent = len(run.caption_log), len(run.verdict_log)
                report, snapshot = trainer.step(captions, verdicts, experiment.reward.train_steps)
                run.reward_trained(*report)
                learner.observe(captions, snapshot)
            while items := run.replay.sample(experiment.batch_fragments, learner.learner.version):
                payloads: list[tuple[Fragment, pa.RecordBatch]] = [item.payload for item in items]
                metrics, weights = learner.update(*(rows for _, rows in payloads))
                fresh = [True] * len(actors)
                run.learnt(metrics, [fragment for fragment, _ in payloads])
            run.report()
            if run.checkpoint_due:
                save()
        save()
    except Exception:
        with suppress(Exception):  # what was learnt is kept if it can be; the first error is the one to be told
            save()
        raise
    finally:
        loop.close()
        for actor in actors:
            actor.close()


async def annotate(run: Run, judge: Judge) -> None:
    """Ask the judge everything that is pending, now; what fails waits for its retry."""
    deadline_s = run.experiment.annotation.deadline_s
    while (batch := run.annotation.next_batch()) is not None:
        try:
            answers = await asyncio.wait_for(judge.judge(batch.questions), deadline_s)
        except asyncio.TimeoutError:
            run.answered(run.annotation.fail(batch.id, Status.TIMEOUT, f"no answer within {deadline_s:g} s"))
        except Exception as error:  # whatever a judge raises is a fault of the judge, with its cause
            run.answered(run.annotation.fail(batch.id, Status.JUDGE_FAULT, f"{type(error).__name__}: {error}"))
        else:
            run.answered(run.annotation.complete(batch.id, answers, judge.fingerprint))
