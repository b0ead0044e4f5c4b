"""`RewardsConfig`: which rewards a language run has, and what they may take."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.judging.rubric_judges import RewardModelJudge, RubricJudge
from rewards.views.view import Config as ViewConfig


class RewardsConfig(BaseModel):
    """What is good. The task's own rewards stand unless a weight here says otherwise; 0: recorded, without effect."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: dict[str, float] = Field(default_factory=dict, description="weight by name, instead of the task's own")
    functions: dict[str, str] = Field(
        default_factory=dict, description="more of them, by name: package.module:function with @reward; weight 1"
    )
    judge: RubricJudge | RewardModelJudge | None = Field(default=None, description="a judge of the answer; weight 1")
    on_null: Literal["mask", "omit"] = Field(
        default="mask", description="a NULL: the answer leaves group and loss, or the other rewards are taken alone"
    )
    view: ViewConfig | None = Field(
        default=None, description="another formula over these rewards than the weighted sum, see docs/views.md"
    )
    workers: int = Field(
        default=1, ge=1, description="processes for rewards that are plain functions, and for the judge"
    )
    deadline_s: float = Field(
        default=60.0, gt=0, description="for a reward, from when it is taken up; later, it is NULL"
    )
    attempts: int = Field(default=2, ge=1, description="tries where the reward itself failed")
