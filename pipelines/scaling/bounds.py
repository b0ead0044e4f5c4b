"""How far the roles of a run may grow and shrink while it runs: settings of an experiment."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from cluster.scaler import Bounds
from cluster.scaler import Config as SpeedConfig


class Config(BaseModel):
    """Bounds of env actors and learners. Replicas of the judge: serving.replicas, serving.max_replicas."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    actors: Bounds = Field(default_factory=Bounds)
    learners: Bounds = Field(default_factory=Bounds)
    speed: SpeedConfig = Field(default_factory=SpeedConfig)


class LanguageConfig(BaseModel):
    """Bounds of engines, and of the processes in which rewards and the judge run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engines: Bounds = Field(default_factory=Bounds)
    rewards: Bounds = Field(default_factory=Bounds)
    speed: SpeedConfig = Field(default_factory=SpeedConfig)
