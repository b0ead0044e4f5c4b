"""The local runner: the whole experiment in one process, one thing after another, deterministic.

For tests, debugging and experiments over many seeds. With the same seed two runs are bit-identical; with
`max_staleness=0` the distributed runner does the same in many processes.

    act (every actor once) → ask and judge → train the reward model → learn → again
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from envs.trajectory import schema_for
from pipelines.driver.lifecycle import Restored
from pipelines.environment.roles import EnvActor, PolicyLearner, RewardTrainer, task_of
from pipelines.environment.run import Run
from pipelines.judging.asking import annotator_for, answer, examine_judge
from pipelines.judging.judges import build_judge
from pipelines.replay_shard import passed_over, shard_of
from rewards.annotation.annotator import Annotator
from rewards.judges.judge import Judge, in_process


def run_local(run: Run, restored: Restored | None, judge: Judge | None = None) -> None:
    """Run to the end.

    Args:
        run: the books, restored already where the run is resumed.
        restored: what it goes on from.
        judge: instead of the one that the experiment names.
    """
    experiment = run.experiment
    roles = None if restored is None else restored.roles
    task = task_of(experiment)
    environment = task.make()
    spec = environment.spec
    environment.close()
    loop = asyncio.new_event_loop()  # one for the whole run: a judge may keep connections
    try:
        annotator = _annotator(run, judge, task.goal, loop, new=roles is None) if experiment.reward.judged else None
    except BaseException:
        loop.close()
        raise
    learner = PolicyLearner(experiment, spec, None if roles is None else roles["learner"])
    schema = schema_for(spec, learner.policy.state_size)
    replay = shard_of(experiment, schema, run.directory.shard(0))()
    saved = 0 if restored is None else restored.frontier[0]
    draw, again = replay.rewind(saved)
    if draw > saved:
        run.note("passed over", passed_over(draw - saved))
    behind = again > 0
    waiting = replay.fragments()  # for the learner
    run.catch_up(waiting)
    epoch = replay.standing().epoch + 1
    actors = [EnvActor(experiment, actor, epoch) for actor in range(experiment.actors.count)]
    trainer = None
    if experiment.reward.judged:
        trainer = RewardTrainer(experiment, None if roles is None else roles["trainer"])
        if roles is not None:
            _, snapshot = trainer.step(dict(run.verdicts.caption_log), run.verdicts.counted, 0)
            learner.observe(dict(run.verdicts.caption_log), snapshot)
    captions_sent, verdicts_sent = len(run.verdicts.caption_log), len(run.verdicts.counted)
    weights = learner.weights()
    fresh = [True] * len(actors)

    def save() -> None:
        states = {"learner": learner.state(), "trainer": trainer.state() if trainer else None}
        run.shares = (replay.ledger(),)
        run.save(states, [draw])
        replay.release(draw)
        run.shares = (replay.ledger(),)
        with run.mirror.snapshot() as folder:
            if folder is not None:
                replay.copy_to(folder / "replay" / "0")

    try:
        while not run.done:
            # What was drawn after the checkpoint is learnt from before anything new is done.
            for index, actor in enumerate(() if behind else actors):
                fragment, rows = actor.rollout(weights if fresh[index] else None)
                fresh[index] = False
                replay.insert(fragment, rows)
                run.gathered(fragment)
                waiting.append(fragment)
            behind = False
            if trainer is not None:
                assert annotator is not None
                loop.run_until_complete(answer(run, annotator, waiting))
                waiting.clear()
                captions = dict(run.verdicts.caption_log[captions_sent:])
                verdicts = run.verdicts.counted[verdicts_sent:]
                captions_sent, verdicts_sent = len(run.verdicts.caption_log), len(run.verdicts.counted)
                report, snapshot = trainer.step(captions, verdicts, experiment.reward.train_steps)
                run.reward_trained(*report)
                learner.observe(captions, snapshot)
            while batches := (drawn := replay.draw(draw, learner.learner.version))[1]:
                metrics, weights = learner.update(batches)
                draw += 1
                fresh = [True] * len(actors)
                run.learnt(metrics, drawn[0][0])
            if run.report() and run.verdicts.reward_begins_anew() and trainer is not None:
                trainer.begin_anew()
                captions_sent = verdicts_sent = 0
            if run.checkpoint_due:
                save()
        save()
    except Exception:
        with suppress(Exception):  # what was learnt is kept if it can be; the first error is the one to be told
            save()
        raise
    finally:
        loop.close()
        replay.close()
        for actor in actors:
            actor.close()


def _annotator(run: Run, judge: Judge | None, goal: str, loop: asyncio.AbstractEventLoop, new: bool) -> Annotator:
    """What asks the run's judges, which are seen to be sound before a new run begins."""
    judge = judge or build_judge(run.experiment.judge, goal)
    if new:
        loop.run_until_complete(examine_judge(run, in_process(judge)))
    second = run.experiment.fallback_judge
    fallback = None if second is None else in_process(build_judge(second, goal))
    return annotator_for(run, in_process(judge), judge.fingerprint, fallback)
