"""`catch`: a text grid world without dependencies, for a first look in a minute and for tests."""

from __future__ import annotations

from actors.policy import Config as PolicyConfig
from learners.appo import Config as AppoConfig
from pipelines.experiment import ActorsConfig, Experiment, RewardConfig
from rewards.shaping.imagined_direction import ImaginedDirection
from rewards.shaping.intervention import Intervention
from rewards.shaping.scale import Scale
from rewards.views.view import Config as ViewConfig


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


def catch_interventions() -> Experiment:
    """Catch the ball beside a player who takes over where he objects; that he does is the only reward, at −1.

    He misses two balls in five himself. What the environment pays is measured, and not learnt from.
    """
    view = ViewConfig(name="interventions", parts=(Intervention(of="intervened", to="reward"),))
    reward = RewardConfig(source="extrinsic", observed={"intervened": "takeover.0"}, view=view)
    return catch().model_copy(update={"name": "catch-interventions", "task": "catch-overseen", "reward": reward})


def catch_imagined() -> Experiment:
    """Catch the ball, paid besides for going where a model of demonstrations imagines the way to lead."""
    # Every game has as many steps: a price of each would only be what the critic has to learn first.
    view = ViewConfig(name="imagined", parts=(ImaginedDirection(of="extrinsic", price=0.0, to="reward"),))
    columns = {name: f"pipelines.recipes.imagination:{name}" for name in ("direction", "progress")}
    reward = RewardConfig(source="extrinsic", observed=columns, view=view)
    return catch().model_copy(update={"name": "catch-imagined", "reward": reward})


def catch_worded() -> Experiment:
    """Catch the ball, paid only for how near what is seen is to a goal in words, by an encoder of both."""
    view = ViewConfig(name="worded", parts=(Scale(of="likeness", factor=1.0, to="reward"),))
    reward = RewardConfig(source="extrinsic", observed={"likeness": "pipelines.recipes.words:likeness"}, view=view)
    return catch().model_copy(update={"name": "catch-worded", "reward": reward})
