"""The table of recipes: one line adds one."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from pipelines.dotted import made
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.recipes import catch, minihack, nethack, rllib
from pipelines.recipes.language import LANGUAGE_RECIPES

RECIPES: dict[str, Callable[[], Experiment]] = {
    "main": minihack.main,
    "catch": catch.catch,
    "catch-imagined": catch.catch_imagined,
    "catch-interventions": catch.catch_interventions,
    "catch-worded": catch.catch_worded,
    "minihack": minihack.minihack,
    "nethack-score": nethack.nethack_score,
    "nethack-score-reward-free": nethack.nethack_score_reward_free,
    "nethack-oracle": nethack.nethack_oracle,
    "nethack-staircase": nethack.nethack_staircase,
    "nethack-staircase-3": nethack.nethack_staircase_3,
    "nethack-staircase-4": nethack.nethack_staircase_4,
    "rllib-appo": rllib.rllib_appo,
    "rllib-ppo": rllib.rllib_ppo,
}


def find_recipe(name: str) -> Experiment:
    """The experiment of a recipe: by its name in the table, or by dotted path (`my_lab.recipes:mine`).

    Raises:
        UserError: there is none.
    """
    if name in RECIPES:
        return RECIPES[name]()
    if ":" in name:
        found = made(name, f"recipe {name!r}")
        if not isinstance(found, Experiment):
            raise UserError(f"recipe {name!r}: got a {type(found).__name__}; expected an Experiment")
        return found
    names = [*RECIPES, *LANGUAGE_RECIPES]
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.4)
    hint = f"; did you mean {' or '.join(near)}?" if near else "."
    raise UserError(f"unknown recipe {name!r}{hint} Recipes: {', '.join(names)}, or a dotted path module:function")
