"""What the roles of an experiment ask a cluster for, by role; the runner reserves it and `guerdon plan` prints it."""

from __future__ import annotations

import math

from cluster.autoscaler import autoscaled, never_placed
from cluster.nodes import shapes_now
from cluster.placement import Ask, Impossible, Place, check_room
from cluster.reservations import Reservation, Room
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.language.experiment import LanguageExperiment

GPU_SHARE = 0.25  # of a role that computes on a GPU and says no more: it stands where a GPU is, beside others


def asks_of(experiment: Experiment, node: str | None = None) -> dict[str, Ask]:
    """What a run in an environment asks for to begin with.

    Args:
        experiment: the run's.
        node: of the driver, where the run's directory is; None: it is not known yet.
    """
    place, actors = experiment.placement, experiment.actors
    if experiment.rllib is not None:  # it learns in the driver's process, keeps no replay, and asks for a CPU each
        runners = {"actors": Ask.of("actors", actors.count, Place())}
        return runners | ({"judge": _judge(experiment)} if experiment.judged else {})
    learner_gpus = GPU_SHARE if experiment.learner_device == "cuda" else 0.0
    asks = {
        **_replay_and_learner(experiment, node, learner_gpus),
        "actors": Ask.of("actors", experiment.scaling.actors.around(actors.count)[0], place.actors),
    }
    if actors.inference == "server":
        gpus = GPU_SHARE if actors.inference_device == "cuda" else 0.0
        asks["inference"] = Ask.of("inference", 1, place.inference, gpus=gpus)
    if experiment.judged:
        asks["trainer"] = Ask.of("trainer", 1, place.trainer)
        asks["judge"] = _judge(experiment)
    return asks


def _judge(experiment: Experiment) -> Ask:
    """What the replicas of the judge ask for."""
    serving = experiment.serving
    return Ask.of("judge", serving.replicas, experiment.placement.judge, cpus=serving.cpus, gpus=serving.gpus)


def language_asks(experiment: LanguageExperiment, node: str | None = None) -> dict[str, Ask]:
    """What a language run asks for to begin with; see `asks_of`."""
    place, engines = experiment.placement, experiment.engines
    gpus = experiment.learner_gpus or (GPU_SHARE if experiment.learner_device.startswith("cuda") else 0.0)
    return {
        **_replay_and_learner(experiment, node, gpus),
        "rewards": Ask.of("rewards", experiment.scaling.rewards.around(experiment.rewards.workers)[0], place.rewards),
        "engines": Ask.of(
            "engines", experiment.scaling.engines.around(engines.count)[0], place.engines, gpus=engines.gpus
        ),
    }


def _replay_and_learner(
    experiment: Experiment | LanguageExperiment, node: str | None, learner_gpus: float
) -> dict[str, Ask]:
    """What runs of both kinds ask for: the replay where the run's directory is, and the fewest learners."""
    place, learners = experiment.placement, experiment.scaling.learners.around(experiment.learners)[0]
    beside = None if place.replay_anywhere else node
    # Where it is bound to one node it asks for no CPU: the head of a cluster, on which the driver is, offers none.
    cpus = 1.0 if beside is None else 0.0
    return {
        "replay": Ask.of("replay", experiment.replay.shards, place.replay, cpus=cpus, node=beside),
        "learner": Ask.of("learner", learners, place.learner, gpus=learner_gpus, strategy=place.learners),
    }


def most_of(experiment: Experiment | LanguageExperiment) -> dict[str, int]:
    """Of the roles of which there may be more or fewer, how many there may be at most."""
    most = {"learner": experiment.scaling.learners.around(experiment.learners)[1]}
    if isinstance(experiment, LanguageExperiment):
        return most | {
            "engines": experiment.scaling.engines.around(experiment.engines.count)[1],
            "rewards": experiment.scaling.rewards.around(experiment.rewards.workers)[1],
        }
    return most | {
        "actors": experiment.scaling.actors.around(experiment.actors.count)[1],
        "judge": experiment.serving.max_replicas or experiment.serving.replicas,
    }


def needed_cpus(experiment: Experiment | LanguageExperiment) -> int:
    """Logical CPUs of all roles, as many as there may ever be; they share the cores of a small machine by design."""
    asks = language_asks(experiment) if isinstance(experiment, LanguageExperiment) else asks_of(experiment)
    most = most_of(experiment)
    return math.ceil(sum(most.get(role, ask.count) * ask.bundle.get("CPU", 0.0) for role, ask in asks.items())) + 1


def expect_room(asks: dict[str, Ask]) -> None:
    """See at once that the cluster can ever give what is asked.

    Raises:
        UserError: it cannot; the message says what was asked and what there is.
    """
    needed = [ask for ask in asks.values() if ask.count]
    there, addable = shapes_now()
    try:
        check_room(needed, there, addable)
    except Impossible as error:
        if addable or not autoscaled():
            raise UserError(str(error)) from None
        # It may add nodes, and has not told which: it is asked for them.
        if never := never_placed([ask for ask in needed if ask.node is None]):
            raise UserError(f"{error}; the autoscaler says that no node it may add fits {', '.join(never)}") from None


def rooms(ask: Ask, count: int) -> list[Room]:
    """Room for `count` processes, each reserved for itself: they come, move and go one by one."""
    one = Ask(ask.role, 1, ask.bundle, ask.labels, ask.strategy, ask.node)
    return [Room(Reservation(one)) for _ in range(count)]


def shared_room(ask: Ask) -> list[Room]:
    """Room for all processes of an ask, reserved together."""
    reservation = Reservation(ask)
    return [Room(reservation, index) for index in range(ask.count)]
