from __future__ import annotations

import numpy as np
import pytest

from rewards.data.formula_edits import PROPOSITION, edited, places, redundant
from rewards.sources.formula_aspects import aspects
from rewards.verifiers.robustness import agreement
from rewards.verifiers.temporal_logic import read

FORMULA = read("(G[1,3](x < 2)) & (y > 0)")


def test_every_place_can_be_changed_and_changes_that_alone():
    random = np.random.default_rng(0)
    assert len(places(FORMULA)) == 1 + 3 + 3 + 3 and len(places(FORMULA, PROPOSITION)) == 6
    for at in places(FORMULA):
        wrong = edited(FORMULA, [at], random, names=("x", "y", "z"), most=4)
        assert wrong != FORMULA and aspects(wrong, FORMULA).succinctness == 1
        right = aspects(wrong, FORMULA)
        assert (right.symbols if at[1] in PROPOSITION else right.propositions) == 1
    assert edited(FORMULA, [], random, names=("x", "y"), most=4) == FORMULA


def test_by_hand():
    random = np.random.default_rng(0)
    assert edited(FORMULA, [(1, "operator"), (2, "direction")], random, ("x", "y"), 4) == read("F[1,3](x > 2) & y > 0")
    assert edited(FORMULA, [(2, "name")], random, ("x", "y"), 4) == read("G[1,3](y < 2) & y > 0")
    with pytest.raises(ValueError, match="expected some of"):
        edited(FORMULA, [(0, "first")], random, ("x", "y"), 4)


def test_what_is_redundant_means_the_same_and_is_longer():
    random = np.random.default_rng(0)
    signals = {name: random.uniform(0, 4, (32, 8)) for name in "xy"}
    for times in (1, 2, 3):
        long = redundant(FORMULA, times, random)
        assert agreement(long, FORMULA, signals) == 1 and aspects(long, FORMULA).succinctness < 1
    assert redundant(FORMULA, 0, random) == FORMULA
