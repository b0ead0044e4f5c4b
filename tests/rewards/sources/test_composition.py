from __future__ import annotations

import math

import pytest

from rewards.sources.composition import Trained, composition_rewards

NAMES = ("g1", "g2", "g3", "g4")


def test_what_is_no_formula_earns_minus_one_and_nothing_is_run_by_it():
    asked = []

    def train(formula, start):
        asked.append(formula.text)
        return Trained(0.25, start)

    texts = ["g1 + g2", "g1 ** g2", "__import__('os').abort()", "1 + 1", "", "g5", "g1 / (g4 - 0.5)"]
    found = composition_rewards(texts, NAMES, train, start=0)
    assert found.rewards.values.tolist() == [0.25, -1, -1, -1, -1, -1, 0.25]
    assert asked == ["g1 + g2", "g1 / (g4 - 0.5)"]


def test_all_begin_alike_and_the_best_policy_is_what_the_next_round_may_begin_with():
    started = []

    def train(formula, start):
        started.append(start)
        return Trained(0.1 * len(formula.used), start + len(formula.used))

    found = composition_rewards(["g1", "g1 + g2 + g3", "g2 * g4"], NAMES, train, start=10)
    assert found.policy == 13 and started == [10, 10, 10]
    assert composition_rewards(["g1 +", "no"], NAMES, train, start=10).policy == 10


def test_a_validation_that_is_not_known_is_null_and_never_the_best():
    def train(formula, start):
        return Trained(math.nan if formula.text == "g1" else 0.0, formula.text)

    found = composition_rewards(["g1", "g2"], NAMES, train, "")
    assert found.rewards.valid.tolist() == [False, True] and found.policy == "g2"
    assert found.rewards.values[1] == pytest.approx(0)
