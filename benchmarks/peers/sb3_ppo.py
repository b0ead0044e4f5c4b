"""Stable-Baselines3's PPO: one process that acts and learns in turns, worlds in processes beside it or in it."""

import numpy as np
import torch
from small_net import FEATURES, LEARNING_RATE, Clock, arguments, make_world
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv


class SmallFeatures(BaseFeaturesExtractor):
    """The small net behind the peer's interface."""

    def __init__(self, space, world):
        net = FEATURES[world]()
        super().__init__(space, net.size)
        self.net = net

    def forward(self, seen):
        return self.net(seen)


class Watch(BaseCallback):
    """Counts frames when they have been learnt from: at the beginning of the next rollout."""

    def __init__(self, clock):
        super().__init__()
        self.clock, self.over = clock, False

    def _on_rollout_start(self):
        self.over = self.clock.tick(self.num_timesteps)

    def _on_step(self):
        return not self.over


if __name__ == "__main__":
    asked = arguments(batch=2048, envs=16, apart=0)
    torch.set_num_threads(1)
    makers = [lambda: Monitor(make_world(asked.world)) for _ in range(asked.envs)]
    worlds = SubprocVecEnv(makers, start_method="fork") if asked.apart else DummyVecEnv(makers)
    model = PPO(
        "MlpPolicy",
        worlds,
        n_steps=asked.batch // asked.envs,
        batch_size=asked.batch,
        n_epochs=1,
        learning_rate=LEARNING_RATE,
        device="cpu",
        seed=asked.seed,
        policy_kwargs={
            "features_extractor_class": SmallFeatures,
            "features_extractor_kwargs": {"world": asked.world},
            "net_arch": [],
            "normalize_images": False,
        },
    )
    clock = Clock(asked)
    model.learn(10**9, callback=Watch(clock))
    returns = [episode["r"] for episode in model.ep_info_buffer]
    clock.tell(float(np.mean(returns)) if returns else None, envs=asked.envs, batch=asked.batch, apart=asked.apart)
    worlds.close()
