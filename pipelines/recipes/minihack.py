"""Sparse MiniHack tasks: small worlds in which one right act opens the way, and nothing is paid before the end.

MiniHack takes 0.01 for every key press that costs no game time. In small budgets that penalty is all that a policy
learns from, so these recipes leave it out: what the environment pays is 1 at the goal and 0 elsewhere.
"""

from __future__ import annotations

from actors.policy import Config as PolicyConfig
from learners.appo import Config as AppoConfig
from pipelines.experiment import ActorsConfig, Experiment, RewardConfig
from rewards.models.classification import Config as ClassificationConfig
from rewards.models.ranking import Config as RankingConfig


def main() -> Experiment:
    """The main job of `make train`: four rooms with a key and a locked closet, about ten minutes on two cores."""
    return minihack().model_copy(update={"name": "main", "minutes": 10.0, "frames": 3_000_000})


def minihack() -> Experiment:
    """A sparse MiniHack task (task=… chooses another), judged captions, a reward model learnt online."""
    return Experiment(
        name="minihack",
        task="minihack-keyroom-s10",
        task_options={"penalty_step": 0.0, "games": 4},
        frames=400_000,
        actors=ActorsConfig(count=2, environments=16, unroll_length=32),
        policy=PolicyConfig(hidden=128, crop=9),
        learner=AppoConfig(
            learning_rate=7e-4,
            epochs=2,
            minibatches=4,
            clip=0.2,
            lambda_=0.95,
            entropy_coefficient=0.005,
            # Most batches hold no reward at all: brought to deviation 1, their noise would drown the rest.
            normalise_advantage=False,
        ),
        batch_fragments=2,
        reward=RewardConfig(
            source="classification",
            extrinsic_coefficient=1.0,
            intrinsic_coefficient=1.0,
            # These worlds have a dozen captions in all.
            classification=ClassificationConfig(min_labels=4),
            ranking=RankingConfig(min_labels=8),
        ),
    )
