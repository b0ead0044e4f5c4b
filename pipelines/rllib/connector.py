"""What RLlib needs to train on Guerdon's rewards: a callback that sends captions, a connector that brings rewards in.

Both leave word at the desk and go on: an env runner does not wait for a judge, and neither does a learner. Until there
is a verdict the intrinsic reward of a step is NULL, and the view says what that does. RLlib's episodes stay as they
were sampled: rewards go into the batch, so RLlib's own returns are those of the environment.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import ray
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.columns import Columns
from ray.rllib.utils import force_list

from pipelines.experiment import RewardConfig
from pipelines.rllib.experience import MARK, fragment_of
from pipelines.rllib.rewards import BatchRewards, Chunk

EXTENDED = "_added_loss_mask_for_valid_episode_ts"  # RLlib's word for: each chunk has one more step, out of the loss


class SendCaptions:
    """RLlib's `on_sample_end`: says what was sampled, and what happened in it."""

    def __init__(self, desk: Any) -> None:
        """Send to this desk."""
        self._desk = desk
        self._epoch = time.time_ns() // 1_000_000  # a runner that was started again is another writer
        self._started = False
        self._number = 0
        self._sent: set[int] = set()

    def __call__(self, *, env_runner: Any, samples: list[Any], **_: Any) -> None:
        """Leave word of a sample, without waiting."""
        if env_runner.config.in_evaluation:
            return
        if not self._started:  # in the runner's own process, not where this was made
            self._epoch, self._started = time.time_ns() // 1_000_000, True
        key = (int(env_runner.worker_index or 0), self._epoch, self._number)
        self._number += 1
        chunks = [episode for episode in samples if len(episode)]
        for episode in chunks:
            episode.custom_data[MARK] = key
        told = [(str(e.id_), e.get_infos(slice(1, len(e) + 1))) for e in chunks]
        self._desk.sampled.remote(fragment_of(key, told, int(env_runner._weights_seq_no), self._sent))


class GuerdonRewards(ConnectorV2):
    """A learner connector that puts Guerdon's reward into the batch, in the place of the environment's."""

    def __init__(self, reward: RewardConfig, desk: Any, may_mask: bool) -> None:
        """Compute this reward, with the reward models that come to this desk.

        Args:
            reward: the view and its source.
            desk: an actor that hosts a `Desk`.
            may_mask: whether the algorithm takes a step out of its loss and still looks past it.
        """
        super().__init__()
        self._rewards, self._desk, self._may_mask = BatchRewards(reward), desk, may_mask
        self._asked: Any = None

    def __call__(
        self, *, batch: dict[str, Any], episodes: list[Any], shared_data: dict[str, Any] | None = None, **_: Any
    ) -> dict[str, Any]:
        """Add rewards, and take out of the loss what the view takes out.

        Raises:
            RuntimeError: the view masks a step and the algorithm cannot.
        """
        self._hear()
        more = int(bool((shared_data or {}).get(EXTENDED)))
        found = self.single_agent_episode_iterator(episodes, agents_that_stepped_only=False)
        found = [episode for episode in found if len(episode) > more]
        made, paid = self._rewards([_chunk(episode, len(episode) - more) for episode in found])
        masked = any(not rewards.counts.all() for rewards in made)
        if masked and not self._may_mask:
            raise RuntimeError("the view masks a step; RLlib's V-trace would end the return there: omit it instead")
        if masked:
            batch.pop(Columns.LOSS_MASK, None)
        for episode, rewards in zip(found, made, strict=True):
            fill = np.zeros(more, np.float32)
            values = np.concatenate([rewards.reward, fill])
            self.add_n_batch_items(batch, Columns.REWARDS, values, len(values), episode)
            if masked:
                mask = np.concatenate([rewards.counts, fill > 0])
                self.add_n_batch_items(batch, Columns.LOSS_MASK, mask, len(mask), episode)
        self._desk.paid.remote(paid)
        return batch

    def _hear(self) -> None:
        """Take a newer reward model if one has arrived; ask for the next, and do not wait for it."""
        if self._rewards.stage.model is None:
            return
        if self._asked is not None:
            if not ray.wait([self._asked], timeout=0)[0]:
                return
            if (news := ray.get(self._asked)) is not None:
                self._rewards.hear(news)
        self._asked = self._desk.news.remote(self._rewards.number, self._rewards.known)


def _chunk(episode: Any, length: int) -> Chunk:
    env_reward = np.asarray(episode.get_rewards(slice(0, length)), np.float32)
    infos = episode.get_infos(slice(1, length + 1))
    mark, began = episode.custom_data.get(MARK), episode.t_started == 0
    return Chunk(infos, env_reward, bool(episode.is_terminated), mark, began)


def check_attachable(config: AlgorithmConfig, reward: RewardConfig) -> bool:
    """Whether an algorithm can leave steps out of its loss.

    Raises:
        ValueError: it cannot be given rewards in this way, or not this reward.
    """
    if not isinstance(config, PPOConfig | IMPALAConfig):
        raise ValueError(
            f"got {type(config).__name__}; expected PPO, IMPALA or APPO: an algorithm with a replay buffer of its own "
            "adds rewards up before a connector sees them"
        )
    if config.is_multi_agent:
        raise ValueError(
            f"got policies {', '.join(sorted(map(str, config.policies)))}; expected one agent: the books of what was "
            "sampled, and the view, know episodes of one"
        )
    if not (config.enable_rl_module_and_learner and config.enable_env_runner_and_connector_v2):
        raise ValueError(
            "got RLlib's old API stack, which knows no learner connectors; expected the new one: leave api_stack() out"
        )
    if config.num_learners > 1:
        raise ValueError(
            f"got num_learners={config.num_learners}; expected 0 or 1: RLlib cuts episodes up for several, and the "
            "pieces no longer say in which sample they were, so that nothing would count as learnt"
        )
    may_mask = isinstance(config, PPOConfig)
    if reward.on_null == "mask" and reward.judged and not may_mask:
        raise ValueError(
            "got reward.on_null 'mask'; expected 'omit': RLlib's V-trace ends the return at a step that is not in the "
            "loss; PPO can mask"
        )
    BatchRewards(reward)
    return may_mask


def attach(config: AlgorithmConfig, reward: RewardConfig, desk: Any) -> AlgorithmConfig:
    """Let an algorithm of RLlib train on this reward; gives its config, with the callbacks and connectors that it had.

    Args:
        config: of PPO, IMPALA or APPO, with an environment whose infos hold captions (`CaptionedEnv`).
        reward: what is good.
        desk: an actor that hosts a `Desk`, kept by somebody (`pipelines.rllib.keeper`).

    Raises:
        ValueError: the algorithm and the reward do not go together.
    """
    may_mask = check_attachable(config, reward)
    config.callbacks(on_sample_end=[*force_list(config.callbacks_on_sample_end), SendCaptions(desk)])
    config.training(learner_connector=partial(_connectors, config._learner_connector, reward, desk, may_mask))
    return config


def _connectors(before: Any, reward: RewardConfig, desk: Any, may_mask: bool, *spaces: Any) -> list[ConnectorV2]:
    """Those that the algorithm had, and Guerdon's behind them."""
    theirs = [] if before is None else force_list(before(*spaces))
    return [*theirs, GuerdonRewards(reward, desk, may_mask)]
