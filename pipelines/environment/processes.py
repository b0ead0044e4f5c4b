"""The processes of a distributed run in environments: what each hosts, its deadline and room. None is started here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from cluster.placement import Ask
from cluster.reservations import Room
from cluster.supervision import Supervised
from envs.specs import EnvSpec
from envs.trajectory import schema_for
from pipelines.driver.learner_group import LearnerGroup
from pipelines.driver.regrouping import learners_of
from pipelines.driver.seats import Seat
from pipelines.driver.shares import share_roles
from pipelines.environment.inference import ServedInference
from pipelines.environment.roles import EnvActor, PolicyLearner, RewardTrainer, policy_for
from pipelines.environment.run import Run
from pipelines.experiment import Experiment
from pipelines.replay_shard import ReplayShard, shard_of
from pipelines.scaling.asks import rooms


def _env_actor(experiment: Experiment, index: int, epoch: int) -> partial[EnvActor]:
    """The factory of an actor."""
    served = experiment.actors.inference == "server"
    inference = ServedInference(experiment.actors.deadline_s) if served else None
    return partial(EnvActor, experiment, index, epoch, inference)


def _replay_shard(experiment: Experiment, schema: pa.Schema, directory: Path, epoch: int) -> partial[ReplayShard]:
    """The factory of a share of the replay."""
    return shard_of(experiment, schema, directory)


def replay_roles(run: Run, ask: Ask, spec: EnvSpec) -> list[Supervised]:
    """The shares of the replay."""
    experiment = run.experiment
    schema = schema_for(spec, policy_for(spec, experiment).state_size)
    return share_roles(run, ask, partial(_replay_shard, experiment, schema))


def actor_roles(run: Run, ask: Ask) -> list[Supervised]:
    """The env actors, as many as there may ever be."""
    experiment, actors = run.experiment, run.experiment.actors
    return [
        Supervised(
            f"env-actor-{index}",
            partial(_env_actor, experiment, index),
            deadline_s=actors.deadline_s,
            threads=actors.threads,
            room=room,
            on_event=run.event,
        )
        for index, room in enumerate(rooms(ask, experiment.scaling.actors.around(actors.count)[1]))
    ]


def learner_roles(run: Run, ask: Ask, spec: EnvSpec, saved: Mapping[str, Any]) -> LearnerGroup:
    """The learners: one thread of each learns, one makes the next batch ready.

    Args:
        run: the books.
        ask: what the fewest ask a cluster for.
        spec: of the environments.
        saved: states of roles in the newest checkpoint, whenever a learner begins.
    """
    experiment = run.experiment

    def learner(place: int, seat: Callable[[int], Seat], room: Room) -> Supervised:
        return Supervised(
            "learner" if place == 0 else f"learner-{place}",
            lambda epoch: partial(PolicyLearner, experiment, spec, saved.get("learner"), seat(epoch)),
            deadline_s=experiment.role_deadline_s,
            threads=experiment.learner_threads,
            room=room,
            concurrency=2,
            on_event=run.event,
            by_itself=False,
        )

    return learners_of(experiment, ask, experiment.batch_fragments, learner, run.event)


def trainer_role(run: Run, ask: Ask, saved: Mapping[str, Any]) -> Supervised:
    """Who trains the reward model.

    Args:
        run: the books.
        ask: what it asks a cluster for.
        saved: states of roles in the newest checkpoint, whenever it begins.
    """
    return Supervised(
        "reward-trainer",
        lambda _: partial(RewardTrainer, run.experiment, saved.get("trainer")),
        deadline_s=run.experiment.role_deadline_s,
        room=rooms(ask, 1)[0],
        on_event=run.event,
    )
