"""How far the roles of a run may grow and shrink while it runs: settings of an experiment."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cluster.placement import Strategy
from cluster.scaler import Bounds
from cluster.scaler import Config as SpeedConfig


class Config(BaseModel):
    """Bounds of env actors and learners. Replicas of the judge: serving.replicas, serving.max_replicas."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    actors: Bounds = Field(default_factory=Bounds)
    learners: Bounds = Field(default_factory=Bounds)
    speed: SpeedConfig = Field(default_factory=SpeedConfig)


class LanguageConfig(BaseModel):
    """Bounds of engines, learners, and of the processes in which rewards and the judge run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engines: Bounds = Field(default_factory=Bounds)
    learners: Bounds = Field(default_factory=Bounds)
    rewards: Bounds = Field(default_factory=Bounds)
    speed: SpeedConfig = Field(default_factory=SpeedConfig)


def check_learners(
    learners: int, bounds: Bounds, parts: int, parts_of: str, part: str, max_staleness: int, strategy: Strategy
) -> None:
    """See that any number of learners that there may be can share each batch.

    Args:
        learners: how many begin.
        bounds: how few and how many there may be.
        parts: that a batch has.
        parts_of: the setting that says so.
        part: what a part is, in the plural.
        max_staleness: of the run.
        strategy: how learners are put on nodes.

    Raises:
        ValueError: they cannot.
    """
    fewest, last = bounds.around(learners)
    named = (("learners", learners), ("scaling.learners.least", fewest), ("scaling.learners.most", last))
    for name, number in named:
        if parts % number:
            raise ValueError(
                f"{parts_of} ({parts}) must be a multiple of {name} ({number}): each learner takes as many {part} of a "
                "batch"
            )
    if fewest < last and max_staleness == 0:
        raise ValueError("max_staleness=0 takes turns in a fixed order: leave scaling.learners out, or raise it")
    if fewest < last and strategy != "PACK":
        raise ValueError(
            f"got placement.learners={strategy} and scaling.learners: learners that come and go get room one by one; "
            "leave one of the two out"
        )
