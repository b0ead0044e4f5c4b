"""`catch`: a text grid world without dependencies, for a first look in a minute and for tests."""

from __future__ import annotations

from actors.policy import Config as PolicyConfig
from learners.appo import Config as AppoConfig
from pipelines.experiment import ActorsConfig, Experiment, RewardConfig


def catch() -> Experiment:
    """Catch a falling ball, paid by the environment alone."""
    return Experiment(
        name="catch",
        task="catch",
        frames=60_000,
        actors=ActorsConfig(count=1, environments=16, unroll_length=9),
        policy=PolicyConfig(hidden=32),
        learner=AppoConfig(learning_rate=3e-3, entropy_coefficient=0.01),
        batch_fragments=1,
        reward=RewardConfig(source="extrinsic"),
    )
