"""`LanguageExperiment`: everything that a run of a language model depends on, validated before anything starts.

Like `Experiment` it comes from a recipe, is overridden by `key=value`, and runs locally or on Ray with the same result.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actors.language.generation import Sampling
from cluster.placement import Config as PlacementConfig
from cluster.session import Config as RayConfig
from learners.language.learner import Config as LearnerConfig
from learners.language.policy_loss import PolicyLoss
from learners.language.presets import NAMES as METHODS
from learners.language.presets import preset
from pipelines.experiment import STORAGE, CheckpointConfig, ReplayConfig
from pipelines.language.preferences import Config as PreferencesConfig
from pipelines.language.reward_settings import RewardsConfig
from pipelines.language.tiny_model import Config as TinyConfig
from pipelines.scaling.bounds import LanguageConfig as ScalingConfig
from pipelines.scaling.bounds import check_learners
from pipelines.tracking import Config as TrackingConfig
from rewards.monitors.suite import Config as MonitorsConfig

TINY = "tiny"

_STRICT = ConfigDict(frozen=True, extra="forbid")


class SamplingConfig(BaseModel):
    """How tokens are chosen, see `actors.language.generation.Sampling`."""

    model_config = _STRICT

    max_tokens: int = Field(default=16, ge=1, description="of one reply")
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    stop: tuple[str, ...] = ()

    def build(self) -> Sampling:
        """As the engines know it."""
        return Sampling(**self.model_dump())


class EnginesConfig(BaseModel):
    """Who writes."""

    model_config = _STRICT

    backend: Literal["transformers", "vllm"] = "transformers"
    count: int = Field(default=1, ge=1, description="engines (processes)")
    device: str = Field(default="cpu", description="'auto', or a torch device such as 'cuda'")
    gpus: float = Field(default=0.0, ge=0, description="GPUs an engine; fractions allowed")
    threads: int = Field(default=1, ge=1, description="threads of numerical libraries in an engine")
    deadline_s: float = Field(default=300.0, gt=0, description="a rollout that takes longer counts as a hang")
    sync_deadline_s: float = Field(default=60.0, gt=0, description="weights that take longer to arrive are a failure")
    sync: Literal["object_store", "nccl", "gloo"] = Field(
        default="object_store",
        description="how weights come to engines of the distributed runner: by Ray's object store, or straight from "
        "the learner's memory, 'nccl' from GPU to GPU and 'gloo' between processors",
    )
    in_flight: bool = Field(default=True, description="new weights reach answers that are under way")


class LanguageExperiment(BaseModel):
    """One run, complete."""

    model_config = _STRICT

    kind: Literal["language"] = "language"
    name: str = "language"
    task: str = Field(description="name of a language task, or dotted path; see envs/language")
    task_options: dict[str, Any] = Field(default_factory=dict)
    model: str = Field(default=TINY, description="'tiny', a Hugging Face directory, or a hub id")
    tiny: TinyConfig = Field(default_factory=TinyConfig)
    seed: int = Field(default=0, ge=0)
    updates: int = Field(default=300, ge=1)
    minutes: float | None = Field(
        default=None,
        gt=0,
        description="stop after so many of training, updates or not; they count from the first experience on",
    )
    target: float | None = Field(default=None, gt=0, le=1, description="stop when `evaluate` finds this success")
    evaluate_every: int = Field(default=0, ge=0, description="updates between two looks at the test split; 0: never")
    evaluate_prompts: int = Field(default=256, ge=1)
    runner: Literal["distributed", "local"] = "local"
    prompts: int = Field(default=64, ge=1, description="groups in one update")
    group_size: int = Field(default=8, ge=1, description="answers to each prompt")
    method: str = Field(default="grpo", description="policy loss and advantage: " + ", ".join(METHODS))
    learner: LearnerConfig = Field(default_factory=LearnerConfig)
    skip_idle: bool = Field(
        default=True, description="leave out answers without advantage, where they cannot move a weight"
    )
    learners: int = Field(default=1, ge=1, description="learner processes; each batch is shared out between them")
    learner_sharding: Literal["replicated", "sharded"] = Field(
        default="replicated", description="each of several learners has all weights (DDP), or a part of them (FSDP2)"
    )
    learner_threads: int = Field(default=1, ge=1)
    learner_device: str = "cpu"
    learner_gpus: float = Field(
        default=0.0, ge=0, description="GPUs of a learner's process, fractions allowed; 0: a share of one"
    )
    sampling: SamplingConfig = Field(default_factory=SamplingConfig)
    engines: EnginesConfig = Field(default_factory=EnginesConfig)
    rewards: RewardsConfig = Field(default_factory=RewardsConfig)
    preferences: PreferencesConfig | None = Field(
        default=None, description="first learn from pairs: a reward model for PPO, or the policy itself by DPO"
    )
    max_staleness: int = Field(default=1, ge=0, description="policy versions that answers may be behind; 0: lockstep")
    ray: RayConfig = Field(default_factory=RayConfig)
    placement: PlacementConfig = Field(default_factory=PlacementConfig)
    scaling: ScalingConfig = Field(default_factory=ScalingConfig)
    role_deadline_s: float = Field(
        default=600.0, gt=0, description="a call of the learner or the replay that takes longer counts as a hang"
    )
    replay: ReplayConfig = Field(default_factory=ReplayConfig)
    checkpoint: CheckpointConfig = Field(default_factory=CheckpointConfig)
    tracking: TrackingConfig = Field(default_factory=TrackingConfig)
    monitors: MonitorsConfig = Field(default_factory=MonitorsConfig)
    storage: str | None = Field(default=None, description=STORAGE)
    record_mb: int = Field(default=16, ge=0, description="answers to keep after they were learnt from, MB")
    report_every_s: float = Field(default=5.0, gt=0)
    stall_timeout_s: float = Field(default=600.0, gt=0, description="no update for this long ends the run")

    @model_validator(mode="after")
    def _fits(self) -> LanguageExperiment:
        if self.method not in METHODS:
            raise ValueError(f"method: got {self.method!r}; expected one of {', '.join(METHODS)}")
        if self.prompts % self.engines.count:
            raise ValueError(
                f"prompts is {self.prompts}, which {self.engines.count} engines cannot share evenly: make it a "
                "multiple of engines.count"
            )
        bounds, strategy = self.scaling.learners, self.placement.learners
        check_learners(self.learners, bounds, self.prompts, "prompts", "groups", self.max_staleness, strategy)
        most, minibatches = bounds.around(self.learners)[1], self.learner.minibatches
        if self.prompts * self.group_size < most * minibatches:
            raise ValueError(
                f"got prompts × group_size = {self.prompts * self.group_size} answers in a batch for "
                f"learner.minibatches={minibatches} of each of {most} learners; expected as many answers at least"
            )
        if self.group_size < 2 and self.method != "ppo" and self.preferences is None:
            raise ValueError(
                f"group_size is {self.group_size}: {self.method} compares the answers of a group; give at least 2, "
                "or take method=ppo"
            )
        if self.rewards.view is not None and self.preferences is not None and self.preferences.into == "reward_model":
            raise ValueError(
                "rewards.view is over rewards that are there at the start, and preferences.into=reward_model makes the "
                "one that pays: leave the view out, or name a trained model by rewards.judge and leave preferences out"
            )
        if self.learner.loss != PolicyLoss():
            raise ValueError(
                f"learner.loss: method={self.method} names the policy loss, and another one would be without effect: "
                f"leave learner.loss out, or take another method of {', '.join(METHODS)}"
            )
        acts = self.preferences is None or self.preferences.into != "policy"
        in_reward = self.learner.kl is not None and self.learner.kl.where == "reward"
        if acts and in_reward and preset(self.method, self.sampling.max_tokens).advantage is not None:
            raise ValueError(
                f"learner.kl.where=reward is paid token by token, and method={self.method} gives answers one advantage "
                "each: set learner.kl.where=loss, or take method=ppo"
            )
        if self.target is not None and not self.evaluate_every:
            raise ValueError("target needs evaluate_every: say after how many updates to look")
        least, most = self.scaling.engines.around(self.engines.count)
        if least < most and self.max_staleness == 0:
            raise ValueError("max_staleness=0 takes turns in a fixed order: leave scaling.engines out, or raise it")
        if self.engines.sync == "nccl":
            places = {"learner_device": self.learner_device, "engines.device": self.engines.device}
            if wrong := [f"{name}={place}" for name, place in places.items() if not place.startswith("cuda")]:
                raise ValueError(
                    f"engines.sync=nccl goes from GPU to GPU, but {' and '.join(wrong)}: set both to cuda, with "
                    "learner_gpus and engines.gpus, or take engines.sync=gloo or object_store"
                )
        return self

    @property
    def chunk(self) -> int:
        """Groups that one engine plays in one call."""
        return self.prompts // self.engines.count

    def identity(self) -> str:
        """Hash of what a resumed run must share with the run that it goes on with."""
        free = {"name", "updates", "minutes", "target", "ray", "checkpoint", "tracking", "record_mb", "report_every_s"}
        free |= {"stall_timeout_s", "learner_threads", "runner", "replay", "evaluate_every", "evaluate_prompts"}
        free |= {"learners", "learner_sharding", "learner_gpus", "engines", "placement", "scaling"}
        free |= {"role_deadline_s", "monitors", "storage"}
        exclude: dict[str, Any] = dict.fromkeys(free, True)
        if self.rewards.view is None:  # runs without one are what they were before there was one
            exclude["rewards"] = {"view"}
        return hashlib.sha256(self.model_dump_json(exclude=exclude).encode()).hexdigest()[:16]

    @property
    def options_text(self) -> str:
        """The task's options, as text that does not depend on their order."""
        return json.dumps(self.task_options, sort_keys=True)
