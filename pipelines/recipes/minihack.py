"""Sparse MiniHack tasks: small worlds in which one right act opens the way, and nothing is paid before the end."""

from __future__ import annotations

from actors.policy import Config as PolicyConfig
from learners.appo import Config as AppoConfig
from pipelines.experiment import ActorsConfig, Experiment, RewardConfig


def main() -> Experiment:
    """The main job of `make train`: a room with a key, about ten minutes on two cores."""
    return minihack().model_copy(update={"name": "main"})


def minihack() -> Experiment:
    """A sparse MiniHack task (task=… chooses another), judged captions, a reward model learnt online."""
    return Experiment(
        name="minihack",
        task="minihack-keyroom-s5",
        frames=1_500_000,
        minutes=10,
        actors=ActorsConfig(count=2, environments=16, unroll_length=32),
        policy=PolicyConfig(hidden=128, crop=9),
        learner=AppoConfig(learning_rate=5e-4, entropy_coefficient=0.01, gamma=0.99),
        batch_fragments=2,
        reward=RewardConfig(source="classification", extrinsic_coefficient=1.0, intrinsic_coefficient=0.2),
    )
