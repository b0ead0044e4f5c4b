"""The sparse MiniHack task of `minihack` on RLlib's engine: the same world, judge, reward and network size.

The network has no memory, and the optimiser's settings are those that RLlib's algorithms can follow.
"""

from __future__ import annotations

from pipelines.experiment import Experiment
from pipelines.recipes.minihack import minihack
from pipelines.rllib.settings import RllibConfig


def rllib_appo() -> Experiment:
    """RLlib's asynchronous PPO: V-trace without lambda, advantages as they are."""
    base = minihack()
    learner = base.learner.model_copy(
        update={"lambda_": 1.0, "value_clip": None, "minibatches": 1, "epochs": 2, "clip": 0.4}
    )
    return base.model_copy(
        update={
            "name": "rllib-appo",
            "rllib": RllibConfig(algorithm="appo"),
            "policy": base.policy.model_copy(update={"recurrent": False}),
            "learner": learner,
        }
    )


def rllib_ppo() -> Experiment:
    """RLlib's PPO, which always brings advantages to mean 0 and deviation 1."""
    base = rllib_appo()
    learner = base.learner.model_copy(
        update={"lambda_": 0.95, "minibatches": 4, "clip": 0.2, "normalise_advantage": True}
    )
    return base.model_copy(update={"name": "rllib-ppo", "rllib": RllibConfig(algorithm="ppo"), "learner": learner})
