"""`BatchRewards`: the reward view over a batch of RLlib's chunks, in plain arrays; and what is reported of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.environment.roles import reward_metrics
from pipelines.experiment import RewardConfig
from pipelines.reward_stage import RewardStage
from pipelines.rllib.desk import News, Paid
from pipelines.rllib.experience import Infos, Key, captions_of
from rewards.views.layout import Layout


@dataclass(frozen=True)
class Chunk:
    """T steps of an episode as RLlib cut it.

    Attributes:
        infos: that the steps led to, `[T]`.
        env_reward: `[T]`.
        terminated: whether the episode is over with the last of them; False where it goes on, or was cut off.
        key: of the fragment in which it was sampled; None where nobody has said.
        began: whether the episode begins with the first of them.
    """

    infos: Infos
    env_reward: NDArray[np.float32]
    terminated: bool
    key: Key | None = None
    began: bool = True


@dataclass(frozen=True)
class ChunkRewards:
    """What is learnt from a chunk: rewards `[T]`, and whether each step counts in the loss `[T]`."""

    reward: NDArray[np.float32]
    counts: NDArray[np.bool_]


class BatchRewards:
    """The view, with the newest reward model that has come."""

    def __init__(self, config: RewardConfig) -> None:
        """Nothing is known yet: what a judge must say is NULL.

        Raises:
            ValueError: the source is a novelty bonus, whose state lives in Guerdon's own learner.
        """
        self.stage = RewardStage(config)
        if self.stage.novelty is not None:
            raise ValueError(
                f"got reward.source {config.source!r}; expected extrinsic, retrieval, classification or ranking: "
                "novelty is learnt in Guerdon's own learner"
            )
        self.number = self.known = 0

    def hear(self, news: News) -> None:
        """Score with a newer reward model from now on."""
        assert self.stage.model is not None
        self.stage.model.observe(news.captions)
        self.stage.model.load_snapshot(news.snapshot)
        self.number, self.known = news.number, news.known

    def __call__(self, chunks: Sequence[Chunk]) -> tuple[list[ChunkRewards], Paid]:
        """The rewards of chunks, none of them empty, and the report of them."""
        told = captions_of([info for chunk in chunks for info in chunk.infos])
        env_reward = np.concatenate([chunk.env_reward for chunk in chunks]).astype(np.float32)
        lengths = np.array([len(chunk.infos) for chunk in chunks], np.int64)
        columns = self.stage.caption_columns(env_reward, told.ids, told.counts)
        ended, began = ([getattr(chunk, name) for chunk in chunks] for name in ("terminated", "began"))
        layout = Layout.of(steps=lengths, ended=ended, began=began)
        result = self.stage.view.apply(columns, layout)
        captioned = told.ids != 0
        valid = columns["intrinsic"].valid if "intrinsic" in columns else np.zeros(len(captioned), np.bool_)
        steps: dict[Key, tuple[int, int]] = {}
        for chunk, length in zip(chunks, lengths.tolist(), strict=True):
            if chunk.key is not None:
                rows, frames = steps.get(chunk.key, (0, 0))
                steps[chunk.key] = (rows + 1, frames + length)
        cuts = np.cumsum(lengths)[:-1]
        made = zip(np.split(result.reward, cuts), np.split(result.weight > 0, cuts), strict=True)
        paid = Paid(steps, int(captioned.sum()), int((captioned & valid).sum()), reward_metrics([result]))
        return [ChunkRewards(reward, counts) for reward, counts in made], paid
