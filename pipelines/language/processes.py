"""The processes of a distributed language run: what each hosts, its deadline and its room. None is started here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from cluster.placement import Ask
from cluster.reservations import Room
from cluster.supervision import Supervised
from pipelines.driver.learner_group import LearnerGroup
from pipelines.driver.regrouping import learners_of
from pipelines.driver.seats import Seat
from pipelines.driver.shares import share_roles
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.reward_parts import RewardHost
from pipelines.language.roles import EngineRole, LearnerRole
from pipelines.language.run import LanguageRun
from pipelines.language.shard import LanguageShard, language_shard_of
from pipelines.scaling.asks import rooms

GRACE_S = 1.0  # a worker ends a reward that waits too long by itself; one that computes is killed so much later


def _shard(experiment: LanguageExperiment, directory: Path, epoch: int) -> partial[LanguageShard]:
    """The factory of a share of the replay."""
    return language_shard_of(experiment, directory)


def replay_roles(run: LanguageRun, ask: Ask) -> list[Supervised]:
    """The shares of the replay."""
    return share_roles(run, ask, partial(_shard, run.experiment))


def engine_roles(run: LanguageRun, ask: Ask) -> list[Supervised]:
    """The engines, as many as there may ever be."""
    experiment, engines = run.experiment, run.experiment.engines
    return [
        Supervised(
            f"engine-{index}",
            partial(partial, EngineRole, experiment, run.model, index),
            deadline_s=engines.deadline_s,
            threads=engines.threads,
            room=room,
            concurrency=2,  # weights arrive while answers are written
            on_event=run.event,
        )
        for index, room in enumerate(rooms(ask, experiment.scaling.engines.around(engines.count)[1]))
    ]


def learner_roles(run: LanguageRun, ask: Ask, saved: Mapping[str, Any], engines: int) -> LearnerGroup:
    """The learners.

    Args:
        run: the books.
        ask: what the fewest ask a cluster for.
        saved: states of roles in the newest checkpoint, whenever a learner begins.
        engines: how many may come for weights.
    """
    experiment, direct = run.experiment, run.experiment.engines.sync != "object_store"

    def learner(place: int, seat: Callable[[int], Seat], room: Room) -> Supervised:
        return Supervised(
            "learner" if place == 0 else f"learner-{place}",
            lambda epoch: partial(LearnerRole, experiment, run.model, saved.get("learner"), seat(epoch)),
            deadline_s=experiment.role_deadline_s,
            threads=experiment.learner_threads,
            room=room,
            concurrency=1 + engines if direct else 1,  # it learns, and sends to each
            on_event=run.event,
            by_itself=False,
        )

    return learners_of(experiment, ask, experiment.prompts, learner, run.event)


def reward_role(run: LanguageRun, number: int, room: Room) -> Supervised:
    """A process that computes rewards."""
    experiment, judge = run.experiment, run.rewards.judge
    return Supervised(
        f"rewards-{number}",
        lambda _: partial(RewardHost, experiment.rewards, experiment.task, experiment.task_options, judge),
        deadline_s=experiment.rewards.deadline_s + GRACE_S,
        room=room,
        # What it computes is somebody else's code: each death is a NULL with its cause.
        max_deaths_in_a_row=10**9,
        on_event=run.event,
    )
