"""`Experiment`: everything that a run depends on, validated before anything starts.

A recipe (pipelines/recipes/) is a Python function that returns one; `key=value` on the command line overrides it by
dotted path. Both runners, local and distributed, run the same experiment.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actors.policy import Config as PolicyConfig
from cluster.placement import Config as PlacementConfig
from cluster.serving import Config as ServingConfig
from cluster.session import Config as RayConfig
from learners.appo import Config as AppoConfig
from learners.offline.behaviour_cloning import Config as BehaviourCloningConfig
from learners.offline.iql import Config as IqlConfig
from pipelines.judging.settings import BuiltinJudge, JudgeConfig, RulesJudge
from pipelines.rllib.settings import RllibConfig, unsupported
from pipelines.scaling.bounds import Config as ScalingConfig
from pipelines.scaling.bounds import check_learners
from pipelines.tracking import Config as TrackingConfig
from rewards.annotation.hedging import Config as HedgingConfig
from rewards.annotation.ledger import Config as AnnotationConfig
from rewards.budget import Config as BudgetConfig
from rewards.cache import Config as CacheConfig
from rewards.canaries import Config as CanaryConfig
from rewards.models.classification import Config as ClassificationConfig
from rewards.models.ranking import Config as RankingConfig
from rewards.models.retrieval import Config as RetrievalConfig
from rewards.monitors.suite import Config as MonitorsConfig
from rewards.novelty.count import Config as CountConfig
from rewards.novelty.rnd import Config as RndConfig
from rewards.prices import Prices
from rewards.rates import Config as RatesConfig
from rewards.views.view import ADVANTAGE, REWARD, RewardView
from rewards.views.view import Config as ViewConfig

COMPONENT = "intrinsic"  # the component of the reward that judges speak of
Source = Literal["extrinsic", "count", "rnd", "retrieval", "classification", "ranking"]


class ActorsConfig(BaseModel):
    """Who acts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(default=2, ge=1, description="env actors (processes)")
    environments: int = Field(default=16, ge=1, description="environments an actor")
    unroll_length: int = Field(default=32, ge=1, description="steps of each environment in one rollout")
    deadline_s: float = Field(default=120.0, gt=0, description="a rollout that takes longer counts as a hang")
    threads: int = Field(default=1, ge=1, description="threads of numerical libraries in an actor")
    inference: Literal["actor", "server"] = Field(
        default="actor", description="who computes the policy: each actor, or one server for all of them in batches"
    )
    inference_device: Literal["cpu", "cuda"] = Field(default="cpu", description="of the server")
    parts: int | None = Field(
        default=None,
        ge=1,
        description="groups of an actor's environments that take turns, so that one is stepped while another waits for "
        "its actions; None: 1, and 2 where a server computes the policy",
    )

    @model_validator(mode="after")
    def _fits(self) -> ActorsConfig:
        if self.turns > self.environments:
            raise ValueError(
                f"got {self.turns} parts of {self.environments} environments; expected one environment a part at least"
            )
        if self.inference == "actor" and self.inference_device != "cpu":
            raise ValueError("got inference_device without a server: set actors.inference=server")
        return self

    @property
    def turns(self) -> int:
        """How many parts there are."""
        return self.parts or min(self.environments, 2 if self.inference == "server" else 1)


class RewardConfig(BaseModel):
    """What is good: the intrinsic source, and how it is mixed with what the environment pays.

    reward = extrinsic_coefficient · r_env + intrinsic_coefficient · r_int / N(caption)^count_exponent
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source = "retrieval"
    extrinsic_coefficient: float = 1.0
    intrinsic_coefficient: float = 0.1
    count_exponent: float = Field(
        default=3.0, ge=0, description="decay by the caption's count in its episode (β of ONI); judged sources only"
    )
    on_null: Literal["omit", "mask"] = Field(
        default="omit", description="a step without intrinsic reward: it adds nothing, or the step leaves the loss"
    )
    train_steps: int = Field(default=8, ge=0, description="reward-model steps between two learner updates")
    pairs_per_fragment: int = Field(default=8, ge=0, description="ranking: new pairs asked a fragment")
    retrieval: RetrievalConfig = Field(default_factory=RetrievalConfig)
    classification: ClassificationConfig = Field(default_factory=ClassificationConfig)
    ranking: RankingConfig = Field(default_factory=RankingConfig)
    count: CountConfig = Field(default_factory=CountConfig)
    rnd: RndConfig = Field(default_factory=RndConfig)
    view: ViewConfig | None = Field(
        default=None, description="another formula over these columns; None: the one above, from the coefficients"
    )
    observed: dict[str, str] = Field(
        default_factory=dict,
        description="further columns, by name: an entry of the observation that a step led to, such as blstats.12, or "
        "a function of steps, module:function; see pipelines/observed.py",
    )

    @model_validator(mode="after")
    def _view_fits(self) -> RewardConfig:
        if self.observed and self.view is None:
            raise ValueError(
                f"got observed columns {sorted(self.observed)} and no view that reads them: set reward.view"
            )
        if taken := {"extrinsic", "intrinsic", "caption_count", REWARD, ADVANTAGE} & set(self.observed):
            raise ValueError(f"got observed columns {sorted(taken)}; expected other names: these are taken")
        if wrong := [name for name in self.observed if not name.isidentifier()]:
            raise ValueError(f"got observed columns {wrong}; expected names of letters, digits and _")
        if self.view is not None:
            view = RewardView(self.view)
            view.check(dict.fromkeys(self.columns, "step"))
            if ADVANTAGE in view.levels:
                raise ValueError(f"view {view.name!r} goes on to an advantage; expected a reward, for the critic")
            if view.levels[REWARD] != "step":
                raise ValueError(f"view {view.name!r} pays each {view.levels[REWARD]}; expected a reward of each step")
        return self

    @property
    def judged(self) -> bool:
        """Whether a judge is needed."""
        return self.source in ("retrieval", "classification", "ranking")

    @property
    def columns(self) -> tuple[str, ...]:
        """What a view may read, one value of each step."""
        intrinsic = () if self.source == "extrinsic" else ("intrinsic",)
        return ("extrinsic", *intrinsic, *(("caption_count",) if self.judged else ()), *self.observed)


class FallbackConfig(BaseModel):
    """Who judges when the budget is used up and `budget.degrade` is "fallback"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judge: JudgeConfig = Field(default_factory=RulesJudge)
    counts: bool = Field(default=True, description="false: its verdicts are stored, and are NULL to the reward")


class OfflineConfig(BaseModel):
    """Learning from the experience of another run: nobody acts and nobody judges. Made by `from=RUN`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(min_length=1, description="directory of that run")
    store: str = Field(min_length=1, description="identity of its experience: a hash of what was done in it")
    reward_version: str | None = Field(default=None, description="whose verdicts count; None: the newest that fit")
    reward_model_steps: int = Field(default=1000, ge=1, description="reward-model steps on the verdicts, beforehand")
    algorithm: Literal["behaviour_cloning", "iql", "vtrace"] = "iql"
    behaviour_cloning: BehaviourCloningConfig = Field(default_factory=BehaviourCloningConfig)
    iql: IqlConfig = Field(default_factory=IqlConfig)
    vtrace: AppoConfig = Field(default_factory=lambda: AppoConfig(clip=None, learning_rate=1e-3))
    windows: int = Field(default=32, ge=1, description="stretches of episodes in one update")
    window_steps: int = Field(default=64, ge=1, description="steps of each that are learnt from, at most")
    burn_in: int = Field(default=16, ge=0, description="steps before them that only warm up the policy's memory")


class ReplayConfig(BaseModel):
    """How experience is kept: see docs/storage.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: int = Field(default=1, ge=1, description="processes that keep it; each actor writes to one of them")
    fsync: Literal["always", "interval", "none"] = Field(
        default="interval", description="what an insert waits for; a process that dies loses nothing in any case"
    )
    fsync_interval_s: float = Field(default=1.0, gt=0)
    segment_mb: int = Field(default=16, ge=1, description="size of a file of rows")


class CheckpointConfig(BaseModel):
    """When the run is saved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every_s: float = Field(default=60.0, gt=0)
    keep: int = Field(default=3, ge=1)


STORAGE = "folder, or URI such as s3://bucket/runs, in which a copy of the run is kept at each checkpoint; None: none"


class Experiment(BaseModel):
    """One run, complete."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "run"
    task: str = Field(description="name, Gymnasium id or dotted path; see envs/tasks.py")
    task_options: dict[str, Any] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0)
    frames: int = Field(default=1_000_000, ge=1, description="environment steps to learn from")
    minutes: float | None = Field(
        default=None,
        gt=0,
        description="stop after so many of training, frames or not; they count from the first experience on",
    )
    runner: Literal["distributed", "local"] = "distributed"
    actors: ActorsConfig = Field(default_factory=ActorsConfig)
    policy: PolicyConfig = Field(default_factory=PolicyConfig)
    learner: AppoConfig = Field(default_factory=AppoConfig)
    learner_threads: int = Field(default=1, ge=1, description="threads of numerical libraries in a learner")
    learner_device: Literal["cpu", "cuda"] = "cpu"
    learners: int = Field(default=1, ge=1, description="learner processes; each batch is shared out between them")
    batch_fragments: int = Field(default=2, ge=1, description="rollouts in one update")
    max_staleness: int = Field(
        default=2, ge=0, description="policy versions that experience may be behind; 0: lockstep"
    )
    reward: RewardConfig = Field(default_factory=RewardConfig)
    verdict_wait_s: float = Field(
        default=0.0,
        ge=0,
        description="how long a batch waits for verdicts on its captions before it is learnt from; 0: not at all",
    )
    judge: JudgeConfig = Field(default_factory=BuiltinJudge)
    annotation: AnnotationConfig = Field(default_factory=AnnotationConfig)
    prices: Prices = Field(default_factory=Prices)
    cache: CacheConfig = Field(default_factory=CacheConfig)
    budget: BudgetConfig = Field(default_factory=BudgetConfig)
    fallback: FallbackConfig = Field(default_factory=FallbackConfig)
    canaries: CanaryConfig = Field(default_factory=CanaryConfig)
    monitors: MonitorsConfig = Field(default_factory=MonitorsConfig)
    rates: RatesConfig = Field(default_factory=RatesConfig)
    hedging: HedgingConfig = Field(default_factory=HedgingConfig)
    serving: ServingConfig = Field(default_factory=ServingConfig)
    ray: RayConfig = Field(default_factory=RayConfig)
    placement: PlacementConfig = Field(default_factory=PlacementConfig)
    scaling: ScalingConfig = Field(default_factory=ScalingConfig)
    role_deadline_s: float = Field(
        default=120.0,
        gt=0,
        description="a longer call of learner, reward trainer or replay counts as a hang",
    )
    replay: ReplayConfig = Field(default_factory=ReplayConfig)
    checkpoint: CheckpointConfig = Field(default_factory=CheckpointConfig)
    tracking: TrackingConfig = Field(default_factory=TrackingConfig)
    storage: str | None = Field(default=None, description=STORAGE)
    record_mb: int = Field(default=32, ge=0, description="experience to keep after it was learnt from, MB")
    report_every_s: float = Field(default=5.0, gt=0)
    stall_timeout_s: float = Field(
        default=600.0, gt=0, description="no update for this long ends the run with an error"
    )
    offline: OfflineConfig | None = Field(default=None, description="learn from a stored run instead of acting")
    rllib: RllibConfig | None = Field(default=None, description="act and learn by RLlib instead of Guerdon's engine")

    @model_validator(mode="after")
    def _fits(self) -> Experiment:
        if self.verdict_wait_s > 0:
            self._can_wait()
        if self.offline is not None:
            return self
        if self.rllib is not None and (problem := unsupported(self)):
            raise ValueError(problem)
        fragment = self.actors.environments * self.actors.unroll_length
        if self.frames < fragment * self.batch_fragments:
            raise ValueError(
                f"frames is {self.frames}, less than one update of {fragment * self.batch_fragments} steps "
                "(actors.environments × actors.unroll_length × batch_fragments): raise frames or lower one of these"
            )
        bounds, strategy = self.scaling.learners, self.placement.learners
        check_learners(
            self.learners, bounds, self.batch_fragments, "batch_fragments", "rollouts", self.max_staleness, strategy
        )
        if self.max_staleness == 0 and self.batch_fragments % self.actors.count:
            raise ValueError(
                f"max_staleness=0 needs batch_fragments ({self.batch_fragments}) to be a multiple of "
                f"actors.count ({self.actors.count})"
            )
        least, most = self.scaling.actors.around(self.actors.count)
        if least < most and self.max_staleness == 0:
            raise ValueError("max_staleness=0 takes turns in a fixed order: leave scaling.actors out, or raise it")
        return self

    def _can_wait(self) -> None:
        """Refuse a wait for verdicts that nobody owes, or that would count as a stall."""
        asked, wait = f"got verdict_wait_s={self.verdict_wait_s:g} and ", "; leave verdict_wait_s out, or "
        if not self.judged or self.reward.source == "ranking":
            why = "which asks for pairs, not for each caption" if self.reward.judged else "which asks no judge"
            why = why if self.offline is None else "learns offline, from verdicts that are there"
            raise ValueError(f"{asked}reward.source={self.reward.source}, {why}{wait}take retrieval or classification")
        if self.rllib is not None:
            raise ValueError(f"{asked}RLlib's engine, which samples by itself{wait}use Guerdon's engine")
        if self.verdict_wait_s >= self.stall_timeout_s:
            raise ValueError(f"{asked}stall_timeout_s={self.stall_timeout_s:g}{wait}expected less than the latter")

    def identity(self) -> str:
        """Hash of what a resumed run must share with the run that it goes on with.

        Lengths, intervals and places may change; what is learnt, and from what, may not.
        """
        free = {"name", "frames", "minutes", "ray", "serving", "checkpoint", "tracking", "record_mb", "report_every_s"}
        free |= {"stall_timeout_s", "learner_threads", "learner_device", "learners", "runner", "replay"}
        free |= {"placement", "scaling", "role_deadline_s", "storage", "verdict_wait_s"}
        free |= {"prices", "cache", "budget", "fallback", "canaries", "monitors", "rates", "hedging"}
        # Where the source lies may change, what it holds may not. A run that acts is what it was before there was this.
        offline: Any = True
        if self.offline is not None:
            offline = {"source": True, "vtrace": _unset_scale(self.offline.vtrace)}
        rllib: Any = True if self.rllib is None else {"train_s"}
        exclude = {**dict.fromkeys(free, True), "offline": offline, "rllib": rllib, "reward": _unset(self.reward)}
        exclude["learner"] = _unset_scale(self.learner)
        return hashlib.sha256(self.model_dump_json(exclude=exclude).encode()).hexdigest()[:16]

    @property
    def judged(self) -> bool:
        """Whether a judge is asked while it runs: offline, the verdicts are there already."""
        return self.reward.judged and self.offline is None

    @property
    def fallback_judge(self) -> JudgeConfig | None:
        """Who judges when the budget is used up; None: nobody."""
        return self.fallback.judge if self.judged and self.budget.degrade == "fallback" else None

    def reward_version(self, judge_fingerprint: str) -> str:
        """Hash of what determines the intrinsic reward: its source, settings and judge."""
        text = f"{self.reward.model_dump_json(exclude=_unset(self.reward))}|{judge_fingerprint}"
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _unset(reward: RewardConfig) -> set[str]:
    """What is left out of hashes, so that runs without it are what they were before there was such a setting."""
    return {name for name, unset in (("view", reward.view is None), ("observed", not reward.observed)) if unset}


def _unset_scale(learner: AppoConfig) -> set[str]:
    """As `_unset`, of a learner."""
    return set() if learner.normalise_returns else {"normalise_returns"}
