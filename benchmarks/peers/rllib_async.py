"""RLlib's asynchronous learners, IMPALA and APPO, on Ray's new API stack."""

import os
import time

os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
from pathlib import Path

import ray
import torch
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.impala import IMPALAConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.utils import make_target_network
from ray.rllib.core.rl_module.apis import TARGET_NETWORK_ACTION_DIST_INPUTS, TargetNetworkAPI, ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.tune.registry import register_env
from small_net import FEATURES, LEARNING_RATE, Clock, arguments, make_world
from torch import nn


class SmallModule(TorchRLModule, ValueFunctionAPI, TargetNetworkAPI):
    """The small net behind the peer's interface."""

    def setup(self):
        torch.set_num_threads(1)
        self.features = FEATURES[self.model_config["world"]]()
        self.policy = nn.Linear(self.features.size, int(self.action_space.n))
        self.value = nn.Linear(self.features.size, 1)

    def _forward(self, batch, **_):
        return {Columns.ACTION_DIST_INPUTS: self.policy(self.features(batch[Columns.OBS]))}

    def _forward_train(self, batch, **_):
        features = self.features(batch[Columns.OBS])
        return {Columns.ACTION_DIST_INPUTS: self.policy(features), Columns.EMBEDDINGS: features}

    def compute_values(self, batch, embeddings=None):
        features = self.features(batch[Columns.OBS]) if embeddings is None else embeddings
        return self.value(features).squeeze(-1)

    def make_target_networks(self):
        self.old_features, self.old_policy = make_target_network(self.features), make_target_network(self.policy)

    def get_target_network_pairs(self):
        return [(self.features, self.old_features), (self.policy, self.old_policy)]

    def forward_target(self, batch, **_):
        return {TARGET_NETWORK_ACTION_DIST_INPUTS: self.old_policy(self.old_features(batch[Columns.OBS]))}


if __name__ == "__main__":
    asked = arguments(algorithm="impala", batch=2048, rollout=64)
    variables = {"PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    ray.init(
        address="local",
        num_cpus=8,
        include_dashboard=False,
        logging_level="ERROR",
        log_to_driver=False,
        object_store_memory=2**31,
        _node_ip_address="127.0.0.1",
        runtime_env={"env_vars": variables},
    )
    register_env("peer", lambda config: make_world(config["world"]))
    config = (IMPALAConfig if asked.algorithm == "impala" else APPOConfig)()
    config.environment("peer", env_config={"world": asked.world}).framework("torch").debugging(seed=asked.seed)
    config.env_runners(
        num_env_runners=asked.workers, num_envs_per_env_runner=asked.envs, rollout_fragment_length=asked.rollout
    )
    config.learners(num_learners=0, num_aggregator_actors_per_learner=0)
    config.rl_module(rl_module_spec=RLModuleSpec(module_class=SmallModule, model_config={"world": asked.world}))
    config.training(train_batch_size_per_learner=asked.batch, lr=LEARNING_RATE, gamma=0.99, broadcast_interval=1)
    config.reporting(min_time_s_per_iteration=1)
    algorithm, clock, over = config.build_algo(), Clock(asked), False
    while not over:
        found = algorithm.train()
        learnt = found.get("learners", {}).get("__all_modules__", {}).get("num_env_steps_trained_lifetime", 0)
        # A frame counts when it was learnt from; a learner that repeats batches has learnt from none twice.
        over = clock.tick(min(learnt, found["env_runners"].get("num_env_steps_sampled_lifetime", 0)))
        time.sleep(0)
    clock.tell(
        found["env_runners"].get("episode_return_mean"),
        algorithm=asked.algorithm,
        workers=asked.workers,
        envs=asked.envs,
        batch=asked.batch,
        rollout=asked.rollout,
    )
    algorithm.stop()
    ray.shutdown()
