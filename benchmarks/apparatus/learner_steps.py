"""A recipe in this process, for so many updates, and the step of its learner: what is timed of it is the caller's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipelines.environment.roles import PolicyLearner
from pipelines.language.roles import LearnerRole
from pipelines.language.train import train as train_language
from pipelines.overrides import apply
from pipelines.recipes.language import LANGUAGE_RECIPES
from pipelines.recipes.table import find_recipe
from pipelines.train import train


def learner_step(recipe: str) -> tuple[type, str]:
    """The class and the method by which a recipe's learner takes a step."""
    return (LearnerRole, "learn") if recipe in LANGUAGE_RECIPES else (PolicyLearner, "update")


def learn(recipe: str, updates: int, settings: Mapping[str, Any]) -> None:
    """Run a recipe by the local runner, without tracking, until its learner has taken so many steps."""
    with TemporaryDirectory() as place:
        quiet = {"tracking.enabled": False, "runner": "local", **settings}
        if recipe in LANGUAGE_RECIPES:
            language = apply(LANGUAGE_RECIPES[recipe](), {**quiet, "updates": updates})
            train_language(language, Path(place), say=lambda text: None)
            return
        base = find_recipe(recipe)
        frames = updates * base.batch_fragments * base.actors.environments * base.actors.unroll_length
        train(apply(base, {**quiet, "frames": frames}), Path(place), None, say=lambda text: None)
