"""`RewardStage`: the reward view of an experiment, computed by the learner when a batch is sampled.

Experience arrives without rewards. Here each row's columns are brought together (what the environment paid, what the
reward model says of the step's caption, how novel the outcome is, what was seen) and the view makes one reward of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.trajectory import unragged
from pipelines.experiment import RewardConfig
from pipelines.observed import Observed, outcomes
from rewards.aggregation.weighted_sum import WeightedSum
from rewards.columns import Column
from rewards.models.classification import ClassificationModel
from rewards.models.model import RewardModel
from rewards.models.ranking import RankingModel
from rewards.models.retrieval import RetrievalModel
from rewards.novelty.count import CountNovelty
from rewards.novelty.novelty import Novelty
from rewards.novelty.rnd import RandomNetworkDistillation
from rewards.shaping.count_decay import CountDecay
from rewards.views.layout import Layout
from rewards.views.view import Config as ViewConfig
from rewards.views.view import RewardView, ViewResult


def reward_model_for(config: RewardConfig) -> RewardModel | None:
    """The reward model of a judged source; None for the others."""
    match config.source:
        case "retrieval":
            return RetrievalModel(config.retrieval)
        case "classification":
            return ClassificationModel(config.classification)
        case "ranking":
            return RankingModel(config.ranking)
    return None


def novelty_for(config: RewardConfig) -> Novelty | None:
    """The novelty bonus of a source without a judge; None for the others."""
    match config.source:
        case "count":
            return CountNovelty(config.count)
        case "rnd":
            return RandomNetworkDistillation(config.rnd)
    return None


def view_for(config: RewardConfig) -> RewardView:
    """The view: extrinsic and intrinsic, the latter decayed by the caption's count where it comes from captions.

    Where the experiment brings a view of its own, that.
    """
    if config.view is not None:
        return RewardView(config.view)
    coefficients = {"extrinsic": config.extrinsic_coefficient}
    if config.source != "extrinsic":
        coefficients["intrinsic"] = config.intrinsic_coefficient
    decay = (CountDecay(of="intrinsic", beta=config.count_exponent),) if config.judged else ()
    on_null = {name: ("mask" if name == "extrinsic" else config.on_null) for name in coefficients}
    return RewardView(
        ViewConfig(name=config.source, parts=(*decay, WeightedSum(coefficients=coefficients, on_null=on_null)))
    )


class RewardStage:
    """The view with everything that it reads."""

    def __init__(self, config: RewardConfig) -> None:
        """Nothing known yet."""
        self.config = config
        self.model = reward_model_for(config)
        self.novelty = novelty_for(config)
        self.view = view_for(config)
        self.observed = Observed(config.observed)

    def columns(self, rows: pa.RecordBatch) -> dict[str, Column]:
        """The columns that the view reads, `[N]` each, for all steps of all rows."""
        captions = (unragged(rows.column(name)) for name in ("caption_id", "caption_count"))
        columns = self.caption_columns(unragged(rows.column("env_reward")), *captions)
        if self.novelty is not None:
            columns["intrinsic"] = Column.full(self.novelty.score(outcomes(rows)))
        return columns | self.observed(rows)

    def caption_columns(
        self, env_reward: NDArray[np.float32], caption_id: NDArray[np.int64], caption_count: NDArray[np.int32]
    ) -> dict[str, Column]:
        """The columns that need no observations, from what the environment paid and captions, `[N]` each."""
        columns = {"extrinsic": Column.full(env_reward)}
        if self.model is not None:
            columns["intrinsic"] = Column(*self.model.score(caption_id))
            columns["caption_count"] = Column.full(caption_count)
        return columns

    def __call__(self, rows: pa.RecordBatch, learn: bool = True) -> ViewResult:
        """The reward of all steps of all rows; with `learn`, novelty becomes familiar with them afterwards."""
        result = self.view.apply(self.columns(rows), layout_of(rows), learn=learn)
        if learn and self.novelty is not None:
            self.novelty.update(outcomes(rows))
        return result

    def state_dict(self) -> dict[str, Any]:
        """State of view, novelty and reward-model snapshot."""
        return {
            "view": self.view.state_dict(),
            "novelty": None if self.novelty is None else self.novelty.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave; the reward model arrives by its own snapshot."""
        self.view.load_state_dict(state["view"])
        if self.novelty is not None:
            self.novelty.load_state_dict(state["novelty"])


def layout_of(rows: pa.RecordBatch) -> Layout:
    """How steps nest in rows: each row is a stretch of an episode, which may go on in another."""
    lengths = rows.column("env_reward").value_lengths().to_numpy()
    last = unragged(rows.column("discount"))[np.cumsum(lengths) - 1]
    return Layout.of(steps=lengths, ended=last == 0, began=rows.column("first_step").to_numpy() == 0)
