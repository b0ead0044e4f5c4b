"""Judges by a rubric file, by a reward model, or by vLLM: their configs, and how they are built.

A rubric says how is judged; a model says who. So a rubric judge names a file and a model, and for juries further models
and reward models by the names that the file uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from rewards.judges.chat_model import ChatModel, LocalModel
from rewards.judges.judge import Judge
from rewards.judges.rubric import Parts, judge_from_file
from rewards.sandbox.tiers import Config as SandboxConfig

Config = TypeVar("Config")
Built = TypeVar("Built")

_STRICT = ConfigDict(frozen=True, extra="forbid")


class TransformersModel(BaseModel):
    """A causal language model in this process."""

    model_config = _STRICT

    backend: Literal["transformers"] = "transformers"
    model: str = Field(min_length=1, description="Hugging Face directory or hub id")
    device: str = "auto"


class VllmModel(BaseModel):
    """A causal language model in vLLM, in this process."""

    model_config = _STRICT

    backend: Literal["vllm"] = "vllm"
    model: str = Field(min_length=1, description="Hugging Face directory or hub id")
    memory: float = Field(default=0.5, gt=0, le=1, description="share of the memory that vLLM takes")
    cache_mb: int | None = Field(default=None, ge=1, description="for keys and values; None: what `memory` leaves")
    compiled: bool = Field(default=True, description="capture graphs: slower to start, faster to run")


class ServedModel(BaseModel):
    """A language model behind any OpenAI-compatible server."""

    model_config = _STRICT

    backend: Literal["openai"] = "openai"
    url: str = Field(min_length=8, description="base URL, ending in /v1")
    model: str = Field(min_length=1)
    api_key_env: str = Field(default="OPENAI_API_KEY", description="environment variable that holds the key")
    timeout_s: float = Field(default=30.0, gt=0)
    max_in_flight: int = Field(default=16, ge=1)
    logprobs: bool = Field(default=True, description="ask for log-probabilities")
    structured: Literal["response_format", "structured_outputs", "none"] = Field(
        default="response_format", description="how the server is asked to keep to a schema"
    )


ModelConfig = Annotated[TransformersModel | VllmModel | ServedModel, Field(discriminator="backend")]


class RewardModelJudge(BaseModel):
    """A learned reward model: a sequence classifier in Hugging Face format."""

    model_config = _STRICT

    kind: Literal["reward_model"] = "reward_model"
    backend: Literal["transformers", "vllm"] = "transformers"
    model: str = Field(min_length=1, description="Hugging Face directory or hub id")
    device: str = "auto"
    output: int = Field(default=0, ge=0, description="which output is the reward")
    softmax: bool = Field(default=False, description="outputs are classes")
    centre: float = Field(default=0.0, description="the logit that is worth one half")
    scale: float = Field(default=1.0, gt=0, description="by how much logits are divided")
    goal: str | None = None


class VllmJudge(BaseModel):
    """Captions and pairs, judged by a causal language model in vLLM."""

    model_config = _STRICT

    kind: Literal["vllm"] = "vllm"
    model: str = Field(min_length=1, description="Hugging Face directory or hub id")
    memory: float = Field(default=0.5, gt=0, le=1, description="share of the memory that vLLM takes")
    cache_mb: int | None = Field(default=None, ge=1, description="for keys and values; None: what `memory` leaves")
    goal: str | None = None
    soft: bool = False


class RubricJudge(BaseModel):
    """Whatever a rubric file says."""

    model_config = _STRICT

    kind: Literal["rubric"] = "rubric"
    path: str = Field(min_length=1, description="rubric file, .yaml or .md")
    model: ModelConfig | None = Field(default=None, description="who is asked")
    models: dict[str, ModelConfig] = Field(default_factory=dict, description="more of them, by name, for juries")
    judges: dict[str, RewardModelJudge] = Field(default_factory=dict, description="reward models by name, for juries")
    sandbox: SandboxConfig | None = Field(default=None, description="gives judges that use tools the tool `code`")
    goal: str | None = None


def build_rubric_judge(config: RubricJudge, threads: int = 1) -> Judge:
    """The judge of a rubric file; slow where models are loaded, each of them once.

    Raises:
        OSError: a file or a model is not there.
        ValueError: the rubric cannot be used, or names what is not configured.
    """
    loaded: dict[str, ChatModel] = {}

    def model(wanted: ModelConfig) -> ChatModel:
        key = wanted.model_dump_json()
        if key not in loaded:
            loaded[key] = build_model(wanted, threads)
        return loaded[key]

    tools = {}
    if config.sandbox is not None:
        from rewards.judges.kinds.code_tool import code_tool

        tools["code"] = code_tool(config.sandbox)
    parts = Parts(
        model=model(config.model) if config.model is not None else None,
        models=_each(config.models, model),
        judges=_each(config.judges, lambda one: build_reward_model_judge(one, threads)),
        tools=tools,
    )
    return judge_from_file(Path(config.path), parts)


def build_model(config: ModelConfig, threads: int = 1) -> ChatModel:
    """A language model; slow where it is loaded.

    Raises:
        OSError: the model is not there.
        ValueError: it has no chat template.
        ImportError: vLLM is asked for and not installed.
    """
    match config:
        case TransformersModel(model=name, device=device):
            from actors.engines import transformers_engine

            settings = transformers_engine.Config(model=name, device=device, num_threads=threads)
            return LocalModel(transformers_engine.TransformersEngine(settings))
        case VllmModel(model=name, memory=memory, cache_mb=cache_mb, compiled=compiled):
            from actors.engines import vllm_engine

            chosen = vllm_engine.Config(model=name, memory=memory, cache_mb=cache_mb, compiled=compiled)
            return LocalModel(vllm_engine.VllmEngine(chosen))
        case ServedModel():
            from rewards.judges import openai_model

            served = openai_model.Config(**config.model_dump(exclude={"backend"}))
            return openai_model.OpenAIModel(served)


def build_reward_model_judge(config: RewardModelJudge, threads: int = 1) -> Judge:
    """A judge by a reward model; slow, the model is loaded.

    Raises:
        OSError: the model is not there.
        ImportError: vLLM is asked for and not installed.
    """
    from rewards.judges import reward_model

    read = reward_model.Config(output=config.output, softmax=config.softmax, centre=config.centre, scale=config.scale)
    if config.backend == "vllm":
        from actors.engines import vllm_engine

        return reward_model.RewardModelJudge(vllm_engine.VllmRewardModel(vllm_engine.Config(model=config.model)), read)
    from actors.engines import reward_model_engine

    settings = reward_model_engine.Config(model=config.model, device=config.device, num_threads=threads)
    return reward_model.RewardModelJudge(reward_model_engine.RewardModelEngine(settings), read)


def build_vllm_judge(config: VllmJudge, goal: str) -> Judge:
    """The judge of captions and pairs, on vLLM; slow, the model is loaded.

    Raises:
        ImportError: vLLM is not installed.
        ValueError: the model has no chat template.
    """
    from actors.engines import vllm_engine
    from rewards.judges import language_model

    settings = vllm_engine.Config(model=config.model, memory=config.memory, cache_mb=config.cache_mb)
    how = language_model.Config(goal=goal, soft=config.soft)
    return language_model.LanguageModelJudge(vllm_engine.VllmEngine(settings), how)


def _each(configs: Mapping[str, Config], build: Callable[[Config], Built]) -> dict[str, Built]:
    return {name: build(config) for name, config in configs.items()}
