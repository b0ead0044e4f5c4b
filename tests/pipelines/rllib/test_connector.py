"""What joins an algorithm of RLlib to Guerdon's rewards; no Ray is started."""

from __future__ import annotations

import pytest
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.connector_v2 import ConnectorV2

from pipelines.experiment import RewardConfig
from pipelines.rllib.connector import GuerdonRewards, SendCaptions, attach

REWARD = RewardConfig(source="retrieval")
pytestmark = pytest.mark.filterwarnings("default")  # RLlib warns of its own interfaces


class Mine(ConnectorV2):
    def __call__(self, *, batch, **_):
        return batch


def mine(**_):
    pass


@pytest.mark.slow
def test_callbacks_and_connectors_that_an_algorithm_had_stay():
    config = PPOConfig().callbacks(on_sample_end=mine).training(learner_connector=lambda *spaces: Mine())
    attach(config, REWARD, None)
    first, ours = config.callbacks_on_sample_end
    assert first is mine and isinstance(ours, SendCaptions)
    assert [type(one) for one in config._learner_connector(None, None)] == [Mine, GuerdonRewards]
    alone = attach(PPOConfig(), REWARD, None)
    assert [type(one) for one in alone._learner_connector(None, None)] == [GuerdonRewards]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (lambda: PPOConfig().multi_agent(policies={"red", "blue"}), "blue, red; expected one agent"),
        (lambda: PPOConfig().multi_agent(policies={"one"}), "expected one agent"),
        (
            lambda: PPOConfig().api_stack(enable_rl_module_and_learner=False, enable_env_runner_and_connector_v2=False),
            "old API stack",
        ),
        (lambda: PPOConfig().learners(num_learners=2), "got num_learners=2; expected 0 or 1"),
        (DQNConfig, "got DQNConfig; expected PPO, IMPALA or APPO"),
    ],
)
def test_what_cannot_be_paid_is_refused_before_anything_is_sampled(config, message):
    with pytest.raises(ValueError, match=message):
        attach(config(), REWARD, None)
