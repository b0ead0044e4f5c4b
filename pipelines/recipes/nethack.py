"""NetHack: the tasks of ONI, with its reward: a judge's opinion of messages, learnt online."""

from __future__ import annotations

from actors.policy import Config as PolicyConfig
from learners.appo import Config as AppoConfig
from pipelines.experiment import ActorsConfig, Experiment, RewardConfig


def _nethack(name: str, task: str, extrinsic: float) -> Experiment:
    return Experiment(
        name=name,
        task=task,
        frames=20_000_000,
        actors=ActorsConfig(count=2, environments=32, unroll_length=32),
        policy=PolicyConfig(hidden=256, crop=9),
        learner=AppoConfig(learning_rate=3e-4, gamma=0.99, entropy_coefficient=0.003),
        batch_fragments=2,
        # Two steps an update see each label some fifty times while it is new; more would slow the learner beside them.
        reward=RewardConfig(
            source="classification", extrinsic_coefficient=extrinsic, intrinsic_coefficient=0.4, train_steps=2
        ),
    )


def nethack_score() -> Experiment:
    """Raise the score; the coefficients are ONI's (0.1 for the score, 0.4 for the judge)."""
    return _nethack("nethack-score", "nethack-score", 0.1)


def nethack_score_reward_free() -> Experiment:
    """Play without any reward from the game: the judge's opinion alone."""
    return _nethack("nethack-score-reward-free", "nethack-score", 0.0)


def nethack_oracle() -> Experiment:
    """Find the Oracle."""
    return _nethack("nethack-oracle", "nethack-oracle", 10.0)


def nethack_staircase() -> Experiment:
    """Reach dungeon level 2."""
    return _nethack("nethack-staircase", "nethack-staircase", 10.0)


def nethack_staircase_3() -> Experiment:
    """Reach dungeon level 3."""
    return _nethack("nethack-staircase-3", "nethack-staircase-3", 10.0)


def nethack_staircase_4() -> Experiment:
    """Reach dungeon level 4."""
    return _nethack("nethack-staircase-4", "nethack-staircase-4", 10.0)
