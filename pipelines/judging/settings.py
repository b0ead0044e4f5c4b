"""`JudgeConfig`: which judge, and how it is asked; one class a back end.

Whoever serves a judge reads these and no other settings of a run: those of networks know torch, which a judge that asks
a server, or a rule book, has no use for.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.judging.rubric_judges import RewardModelJudge, RubricJudge, VllmJudge


class BuiltinJudge(BaseModel):
    """The small language model that Guerdon builds by itself on first use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["builtin"] = "builtin"
    goal: str | None = Field(default=None, description="None: the goal of the task")
    soft: bool = False


class RulesJudge(BaseModel):
    """A rule book; no model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["rules"] = "rules"
    goal: str | None = None


class TransformersJudge(BaseModel):
    """Any causal language model of the transformers library."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["transformers"] = "transformers"
    model: str = Field(min_length=1, description="directory or hub id")
    device: str = "auto"
    goal: str | None = None
    soft: bool = False


class OpenAIJudge(BaseModel):
    """Any OpenAI-compatible server: vLLM, llama.cpp, a cloud."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["openai"] = "openai"
    url: str = Field(min_length=8, description="base URL, ending in /v1")
    model: str = Field(min_length=1)
    api_key_env: str = Field(default="OPENAI_API_KEY", description="environment variable that holds the key")
    goal: str | None = None
    soft: bool = False
    timeout_s: float = Field(default=30.0, gt=0)


class RecordedJudge(BaseModel):
    """Stored verdicts, replayed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["recorded"] = "recorded"
    path: str = Field(min_length=1, description="verdict directory or file of another run")
    goal: str | None = None


class CustomJudge(BaseModel):
    """A class of the user's own, by dotted path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["custom"] = "custom"
    path: str = Field(pattern=r"^[\w.]+:\w+$", description="package.module:Class; it is called with the goal")
    goal: str | None = None


JudgeConfig = Annotated[
    BuiltinJudge
    | RulesJudge
    | TransformersJudge
    | VllmJudge
    | OpenAIJudge
    | RewardModelJudge
    | RubricJudge
    | RecordedJudge
    | CustomJudge,
    Field(discriminator="kind"),
]
