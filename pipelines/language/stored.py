"""Language experiments by name, by dotted path, or as a run was started with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipelines import checkpoint
from pipelines.dotted import made
from pipelines.errors import UserError
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.kept_models import judge_of
from pipelines.language.rewards import RewardSet
from pipelines.language.tasks import task_of
from pipelines.overrides import apply, explain
from pipelines.recipes.language import LANGUAGE_RECIPES
from pipelines.run_directory import RunDirectory


def is_language(directory: RunDirectory) -> bool:
    """Whether a run is one of a language model."""
    try:
        tree = yaml.safe_load(directory.config.read_text())
    except (OSError, ValueError, yaml.YAMLError):
        return False
    return isinstance(tree, dict) and tree.get("kind") == "language"


def stored_language(directory: RunDirectory) -> LanguageExperiment:
    """The experiment that a run was started with.

    Raises:
        UserError: its config is not readable.
    """
    try:
        return LanguageExperiment.model_validate(yaml.safe_load(directory.config.read_text()))
    except ValidationError as error:
        raise UserError(f"{directory.config}: {explain(error)}; it was written by another version") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{directory.config} cannot be read: {' '.join(str(error).split())}") from None


def stored_rewards(directory: RunDirectory) -> RewardSet:
    """The rewards of a run; where its view has learnt something (scales, multipliers), as its newest checkpoint has it.

    Raises:
        UserError: its config, a reward, or the checkpoint cannot be used.
    """
    experiment = stored_language(directory)
    rewards = RewardSet(experiment, task_of(experiment), judge_of(directory, experiment.rewards.judge))
    if any(part.initial_state() for part in rewards.view.config.parts) and checkpoint.numbers(directory.checkpoints):
        _, tree, _ = checkpoint.load(directory.checkpoints)
        rewards.view.load_state_dict(tree["roles"]["learner"]["view"])
    return rewards


def resolve_language(
    recipe: str | None, values: dict[str, Any], runs: Path, resume: str | None
) -> LanguageExperiment | None:
    """The language experiment that is meant, with overrides; None where another kind is.

    Raises:
        UserError: a recipe or a value does not fit.
    """
    if resume is not None:
        directory = RunDirectory.existing(resume, runs)
        return apply(stored_language(directory), values) if is_language(directory) else None
    if recipe in LANGUAGE_RECIPES:
        return apply(LANGUAGE_RECIPES[recipe](), values)
    if recipe is not None and ":" in recipe:
        found = made(recipe, f"recipe {recipe!r}")
        return apply(found, values) if isinstance(found, LanguageExperiment) else None
    return None
