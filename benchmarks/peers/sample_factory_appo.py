"""Sample Factory's asynchronous PPO on the processor; wants gymnasium below 1.0 and numpy below 2."""

import shutil
import tempfile

import numpy as np
from sample_factory.algo.runners.runner import AlgoObserver
from sample_factory.algo.utils.context import global_model_factory
from sample_factory.cfg.arguments import parse_full_cfg, parse_sf_args
from sample_factory.envs.env_utils import register_env
from sample_factory.model.encoder import Encoder
from sample_factory.train import make_runner
from small_net import ACTIONS, FEATURES, LEARNING_RATE, Clock, arguments, make_world


class SmallEncoder(Encoder):
    """The small net behind the peer's interface."""

    def __init__(self, cfg, space):
        super().__init__(cfg)
        self.features = FEATURES[cfg.env]()

    def forward(self, seen):
        return self.features(seen["obs"])

    def get_out_size(self):
        return self.features.size


class Watch(AlgoObserver):
    """Ends the run when enough was seen."""

    def __init__(self, clock):
        self.clock, self.over = clock, False

    def on_training_step(self, runner, iteration):
        if not self.over and self.clock.tick(runner.total_env_steps_since_resume or 0):
            self.over = True
            runner.cfg.train_for_env_steps = 0  # train_for_seconds never fires in 2.1.1


def world_of(name, cfg=None, env_config=None, render_mode=None):
    return make_world(name)


def encoder_of(cfg, space):
    return SmallEncoder(cfg, space)


if __name__ == "__main__":
    asked = arguments(batch=2048, rollout=32, splits=1)
    place = tempfile.mkdtemp(prefix="peer-")
    settings = {
        "algo": "APPO",
        "env": asked.world,
        "seed": asked.seed,
        "device": "cpu",
        "async_rl": True,
        "serial_mode": False,
        "batched_sampling": True,
        "num_workers": asked.workers,
        "num_envs_per_worker": max(1, asked.envs),
        "worker_num_splits": asked.splits,
        "rollout": asked.rollout,
        "batch_size": asked.batch,
        "num_batches_per_epoch": 1,
        "num_epochs": 1,
        "use_rnn": False,
        "normalize_input": False,
        "nonlinearity": "tanh" if asked.world == "cartpole" else "relu",
        "learning_rate": LEARNING_RATE,
        "save_every_sec": 10**6,
        "save_best_every_sec": 10**6,
        "experiment_summaries_interval": 100,
        "stats_avg": 100,
        "log_to_file": False,
        "with_wandb": False,
        "restart_behavior": "overwrite",
        "experiment": "peer",
        "train_dir": place,
    }
    for world in ACTIONS:
        register_env(world, world_of)
    global_model_factory().register_encoder_factory(encoder_of)
    words = [f"--{key}={value}" for key, value in settings.items()]
    parser, _ = parse_sf_args(words)
    _, runner = make_runner(parse_full_cfg(parser, words))
    clock = Clock(asked)
    runner.register_observer(Watch(clock))
    runner.init()
    runner.run()
    shutil.rmtree(place, ignore_errors=True)
    returns = runner.policy_avg_stats.get("reward", [[]])[0]
    clock.tell(
        float(np.mean(returns)) if len(returns) else None,
        **{k: settings[k] for k in sorted(settings) if k != "train_dir"},
    )
