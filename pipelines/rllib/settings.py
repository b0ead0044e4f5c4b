"""`RllibConfig`: an experiment on RLlib's engine, and what of an experiment that engine cannot do. No Ray here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from cluster.placement import Config as PlacementConfig
from cluster.placement import Place

if TYPE_CHECKING:
    from pipelines.experiment import Experiment

WAIT_S = PlacementConfig().wait_s


class RllibConfig(BaseModel):
    """Which algorithm of RLlib learns, instead of Guerdon's own engine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    algorithm: Literal["appo", "ppo"] = "appo"
    train_s: float = Field(default=2.0, gt=0, description="shortest time between two looks at RLlib's results")


def unsupported(experiment: Experiment) -> str | None:
    """The first setting that RLlib's engine would not follow, with the remedy; None where there is none."""
    assert experiment.rllib is not None
    appo, learner = experiment.rllib.algorithm == "appo", experiment.learner
    wrong: list[tuple[bool, str]] = [
        (experiment.policy.recurrent, "policy.recurrent=false: networks with memory are not built for RLlib here"),
        (
            experiment.reward.source in ("count", "rnd"),
            "reward=extrinsic or a judged one: novelty is learnt in Guerdon's own learner",
        ),
        (bool(experiment.reward.observed), "no reward.observed: RLlib's chunks keep no observations for the view"),
        (
            appo and experiment.reward.judged and experiment.reward.on_null == "mask",
            "reward.on_null=omit: RLlib's V-trace ends the return where the loss is masked; rllib-ppo can mask",
        ),
        (experiment.scaling.learners.around(experiment.learners)[1] > 1, "learners=1, and no more by scaling.learners"),
        (
            len({*experiment.scaling.actors.around(experiment.actors.count)}) > 1,
            "no scaling.actors: RLlib's env runners keep their number",
        ),
        (
            experiment.placement.model_copy(update={"judge": Place(), "wait_s": WAIT_S}) != PlacementConfig(),
            "no placement.* but placement.judge and placement.wait_s: RLlib places what is its own",
        ),
        (experiment.learner_device != "cpu", "learner_device=cpu"),
        (experiment.actors.inference == "server", "actors.inference=actor"),
        (experiment.replay.shards > 1, "replay.shards=1: RLlib keeps no replay"),
        (experiment.max_staleness != 2, "max_staleness as it is by default: RLlib bounds no staleness"),
        (experiment.runner == "local", "runner=distributed: RLlib runs on Ray"),
        (learner.clip is None, "learner.clip, a number"),
        (learner.value_clip is not None, "learner.value_clip=null: RLlib clips another quantity"),
        (appo and learner.lambda_ != 1.0, "learner.lambda_=1: RLlib's V-trace has no lambda"),
        (learner.c_bar != 1.0, "learner.c_bar=1: RLlib's V-trace has no other"),
        (appo and learner.normalise_advantage, "learner.normalise_advantage=false: RLlib's APPO does not"),
        (not appo and not learner.normalise_advantage, "learner.normalise_advantage=true: RLlib's PPO always does"),
        (learner.normalise_returns, "learner.normalise_returns=false: RLlib's critic learns returns as they are"),
        (learner.precision != "float32" or learner.compile, "learner.precision=float32 learner.compile=false"),
    ]
    return next((f"rllib.algorithm={experiment.rllib.algorithm} needs {text}" for found, text in wrong if found), None)
