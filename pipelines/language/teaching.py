"""`Teaching`: what a learner takes of a batch of answers: rewards are made of all, tokens are read of its share.

An advantage is measured within a group, and statistics of the view see every answer, so each learner that shares a
batch needs the verdicts on all of it. The tokens it needs are those of its own share, and of answers that can move a
weight.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from learners.language.learner import Config as LearnerConfig
from learners.language.token_batch import TokenBatch, build_token_batch
from pipelines.driver.seats import ONLY, Seat
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.reward_view import layout_of, own_tokens, per_token, spread_over_tokens
from pipelines.language.rewards import RewardSet, Values
from pipelines.language.tasks import task_of
from pipelines.trust.watching import of_answers
from rewards.monitors.observation import Observation
from rewards.views.view import ADVANTAGE

STREAMS = ("behaviour_log_probs", "token_versions")


class Taught(NamedTuple):
    """A batch as one learner takes it.

    Attributes:
        batch: its share.
        metrics: what is to be told of all answers.
        seen: what monitors look at, of all answers.
    """

    batch: TokenBatch
    metrics: dict[str, float]
    seen: Observation


class Teaching:
    """Makes the share of one learner of each batch.

    Attributes:
        rewards: of the experiment; running statistics of their view belong to the learner's state.
    """

    def __init__(self, experiment: LanguageExperiment, config: LearnerConfig, seat: Seat = ONLY) -> None:
        """Find the rewards.

        Args:
            experiment: the run's.
            config: of the learner.
            seat: its place among the learners that share each batch.
        """
        self.rewards = RewardSet(experiment, task_of(experiment))
        self._experiment, self._config, self._seat = experiment, config, seat

    def of(self, rows: pa.Table, values: Values, version: int) -> Taught:
        """Answers with their rewards.

        Args:
            rows: of whole groups, in their order.
            values: the verdicts on them.
            version: of the weights that are about to learn.
        """
        columns = self.rewards.columns(rows, values)
        size = self._experiment.group_size
        seen = self.rewards.seen(rows, columns, learn=True)
        known = seen.weight > 0
        groups = zip(seen.reward.reshape(-1, size), known.reshape(-1, size), strict=True)
        own = own_tokens(rows)
        metrics = {
            "answers": float(rows.num_rows),
            "tokens": float(len(own.mask)),
            "own_tokens": float(own.mask.sum()),
            "reward_nulls": float((~known).sum()),
            "staleness_max": float(version - min(rows.column("policy_version_min").to_pylist())),
            "groups_without_signal": float(np.mean([len(np.unique(reward[valid])) < 2 for reward, valid in groups])),
        }
        if known.any():
            metrics["reward"] = float(seen.reward[known].mean())
        for name, column in columns.items():
            if column.valid.any():
                metrics[f"reward_{name}"] = float(column.values[column.valid].mean())
        told = of_answers(seen, columns, self.rewards.paying, self.rewards.gold, metrics)
        if seen.advantage is None:
            rewards = np.where(known, seen.reward, np.nan)
            mine = self._own(np.arange(rows.num_rows))
            return Taught(_batch(rows, mine, rewards=rewards[mine]), metrics, told)
        level = seen.levels[ADVANTAGE]
        if level == "episode":
            given: Any = seen.advantage.values
            counted = own.per_answer(own.mask) * ~np.isnan(given)
            moving = counted * (given != 0)
        else:
            given = spread_over_tokens(seen.advantage, level, rows, layout_of(rows))
            flat = np.concatenate(given)
            counts = own.mask & ~np.isnan(flat)
            counted, moving = own.per_answer(counts), own.per_answer(counts & (flat != 0))
        chosen, share = self._of_use(counted, moving)
        mine = self._own(chosen)
        advantages = [given[place] * np.float32(share) for place in mine]
        return Taught(_batch(rows, mine, advantages=advantages), metrics, told)

    def _of_use(self, counted: NDArray[np.int64], moving: NDArray[np.int64]) -> tuple[NDArray[np.int64], float]:
        """Answers that can move a weight, where the advantage alone decides: those of a group of equals cannot.

        Args:
            counted: tokens of each answer that count, `[B]`.
            moving: those of them whose advantage is not 0, `[B]`.

        Returns:
            Places of these answers, and what scales their advantages, so that the gradient is that of the whole batch.
        """
        config, everything = self._config, np.arange(len(counted))
        if config.kl is not None or config.entropy_coefficient > 0 or not self._experiment.skip_idle:
            return everything, 1.0
        chosen = np.flatnonzero(moving)
        fewest = self._seat.size * config.minibatches  # so many answers can still be dealt to all
        if not fewest <= len(chosen) < len(counted):
            return everything, 1.0
        if config.loss.aggregation.by == "token":
            return chosen, float(counted[chosen].sum() / counted.sum())
        return chosen, len(chosen) / int((counted > 0).sum())

    def _own(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The share of this learner; neighbours stay together, for answers to one prompt are cheaper so."""
        return np.array_split(places, self._seat.size)[self._seat.rank]


def _batch(rows: pa.Table, places: NDArray[np.int64], **given: Any) -> TokenBatch:
    """The answers at some places, with one number or array each of what is given."""
    needed = rows.select(["token_ids", "loss_mask", "row_id", *STREAMS])
    part = needed if len(places) == rows.num_rows else needed.take(places)
    return build_token_batch(
        per_token(part, "token_ids"),
        [mask.astype(np.bool_) for mask in per_token(part, "loss_mask")],
        streams={name: per_token(part, name) for name in STREAMS},
        row_ids=part.column("row_id").to_pylist(),
        **given,
    )
