"""The local runner of language experiments: one process, one thing after another, deterministic.

    write (every engine once) → judge → learn → weights into the engines → again

Two runs of one seed are bit-identical on one machine; with `max_staleness=0` the distributed runner does the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pyarrow as pa

from pipelines.driver.lifecycle import Restored
from pipelines.language.annotation import annotate
from pipelines.language.groups import GroupReport, together
from pipelines.language.roles import EngineRole, LearnerRole
from pipelines.language.run import LanguageRun
from pipelines.language.shard import language_shard_of
from pipelines.replay_shard import passed_over


def run_local(run: LanguageRun, restored: Restored | None) -> None:
    """Run to the end.

    Args:
        run: the books, restored already where the run is resumed.
        restored: what it goes on from.
    """
    experiment = run.experiment
    learner = LearnerRole(experiment, run.model, None if restored is None else restored.roles["learner"])
    shard = language_shard_of(experiment, run.directory.shard(0))()
    saved = 0 if restored is None else restored.frontier[0]
    draw, again = shard.rewind(saved)
    if draw > saved:
        run.note("passed over", passed_over(draw - saved))
    behind = again > 0
    epoch = shard.standing().epoch + 1
    engines = [EngineRole(experiment, run.model, actor, epoch) for actor in range(experiment.engines.count)]
    loop = asyncio.new_event_loop()
    weights = learner.weights()
    learnt: list[GroupReport] = []  # since the last checkpoint

    def save() -> None:
        run.shares = (shard.ledger(),)
        run.save({"learner": learner.state()}, [draw], learnt)
        learnt.clear()
        shard.release(draw)
        run.shares = (shard.ledger(),)
        with run.mirror.snapshot() as folder:
            if folder is not None:
                shard.copy_to(folder / "replay" / "0")

    def judge(reports: Sequence[GroupReport], rows: pa.RecordBatch) -> None:
        asked = annotate(run.rewards.parts, run.rewards.answer, rows, experiment.rewards)
        run.judged(reports, loop.run_until_complete(asked))
        shard.judged(reports)

    try:
        stored = shard.reports()
        run.catch_up(stored)
        known, owed = run.recall(stored)
        shard.judged(known)
        if owed:
            run.owe(owed)
            judge(owed, together(shard.rows([report.key for report in owed])))
        while not run.done:
            # What was drawn after the checkpoint is learnt from before anything new is written.
            for engine in () if behind else engines:
                groups = run.begin_groups(experiment.chunk)
                reports, rows = engine.rollout(groups, weights)
                shard.insert(reports, rows)
                for report in reports:
                    run.gathered(report)
                judge(reports, rows)
            behind = False
            while (drawn := shard.draw(draw, learner.learner.version))[1]:
                update, weights = learner.learn(drawn[1], run.values_of(drawn[0][0]))
                draw += 1
                run.learnt(update)
                learnt.extend(drawn[0][0])
            if run.evaluation_due:
                run.looked(engines[0].succeed(weights))
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
        shard.close()
