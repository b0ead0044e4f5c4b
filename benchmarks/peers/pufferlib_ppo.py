"""PufferLib's trainer on Gymnasium worlds; to install it, no nvcc may be on the PATH (see docs/speed.md)."""

import os
import sys
import tempfile

import pufferlib.emulation
import pufferlib.vector
import torch
from small_net import ACTIONS, FEATURES, LEARNING_RATE, Clock, arguments, make_world


def world_of(world=None, buf=None, seed=0, **_):
    return pufferlib.emulation.GymnasiumPufferEnv(env=make_world(world), buf=buf, seed=seed)


class SmallPolicy(torch.nn.Module):
    """The small net behind the peer's interface."""

    def __init__(self, world):
        super().__init__()
        self.features = FEATURES[world]()
        self.hidden_size = self.features.size
        self.policy = torch.nn.Linear(self.hidden_size, ACTIONS[world])
        self.value = torch.nn.Linear(self.hidden_size, 1)

    def forward_eval(self, seen, state=None):
        features = self.features(seen)
        return self.policy(features), self.value(features)

    def forward(self, seen, state=None):
        return self.forward_eval(seen, state)


if __name__ == "__main__":
    asked = arguments(batch=2048, rollout=32)
    sys.argv = sys.argv[:1]  # the trainer reads the command line, too
    from pufferlib import pufferl

    torch.set_num_threads(1)
    worlds = pufferlib.vector.make(
        world_of,
        env_kwargs={"world": asked.world},
        num_envs=asked.envs,
        num_workers=asked.workers,
        batch_size=asked.envs // 2,
        backend=pufferlib.vector.Multiprocessing,
        zero_copy=True,
    )
    settings = pufferl.load_config("default")["train"]
    settings.update(
        env=asked.world,
        device="cpu",
        seed=asked.seed,
        batch_size=asked.batch,
        bptt_horizon=asked.rollout,
        minibatch_size=asked.batch,
        update_epochs=1,
        total_timesteps=10**9,
        optimizer="adam",
        learning_rate=LEARNING_RATE,
        adam_beta1=0.9,
        adam_eps=1e-8,
        data_dir=tempfile.mkdtemp(),
        use_rnn=False,
        checkpoint_interval=10**9,
    )
    trainer = pufferl.PuffeRL(settings, worlds, SmallPolicy(asked.world))
    trainer.print_dashboard = lambda *_, **__: None
    clock, returns = Clock(asked), []
    while not clock.tick(trainer.global_step):
        trainer.evaluate()
        trainer.train()
        returns = [*returns, *trainer.stats.get("episode_return", [])][-100:]
    clock.tell(sum(returns) / len(returns) if returns else None, envs=asked.envs, batch=asked.batch)
    trainer.utilization.stop()
    worlds.close()
    os._exit(0)  # its helpers do not end by themselves
