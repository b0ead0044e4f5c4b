from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.instruction_population import InstructionPopulation, Trial

nan = float("nan")


def test_one_instruction_without_generation_goes_with_every_question_as_in_plain_grpo():
    alone = InstructionPopulation(["answer"])
    for _ in range(3):
        given_out = alone.draw(5, np.random.default_rng(0))
        alone.credit(given_out, np.linspace(0, 1, 5))
        assert given_out.tolist() == [0] * 5 and alone.prune(1.0).tolist() == []
    assert alone.probabilities().tolist() == [1.0]


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8), st.floats(0, 1), st.integers(0, 3))
def test_chances_are_a_probability_vector_and_pruned_members_have_none(weights, share, joining):
    population = InstructionPopulation(range(len(weights)))
    population.credit(np.arange(len(weights)), weights)
    gone = population.prune(share)
    population.admit([f"new {k}" for k in range(joining)], np.linspace(0, 1, joining), most=10)
    chances = population.probabilities()
    assert chances.sum() == pytest.approx(1) and (chances >= 0).all() and (chances[gone] == 0).all()
    assert chances[population.best] == chances.max() and population.living.sum() >= 1


def test_weights_are_running_means_and_chances_their_softmax_by_hand():
    population = InstructionPopulation(["a", "b", "c"], temperature=0.5, rate=0.5)
    assert population.probabilities().tolist() == pytest.approx([1 / 3] * 3)
    population.credit([0, 0, 1], [0.0, 1.0, nan])
    assert population.weights[0] == 0.5 and np.isnan(population.weights[1:]).all()
    population.credit([0, 1], [1.0, 0.25])
    assert population.weights[:2].tolist() == [0.75, 0.25]
    powers = [math.exp(w / 0.5) for w in (0.75, 0.25, 0.5)]  # nobody has given c yet: it stands at the mean
    assert population.probabilities() == pytest.approx(np.array(powers) / sum(powers))


def test_the_lower_half_goes_and_what_was_not_given_stays():
    population = InstructionPopulation(list("abcd"))
    population.credit([0, 1, 2], [0.9, 0.1, 0.5])
    assert population.prune().tolist() == [1, 2]
    assert population.prune(1.0).tolist() == [] and population.living.tolist() == [True, False, False, True]


def test_what_failed_is_reflected_on_and_what_is_verified_best_joins():
    population = InstructionPopulation(["a", "b"], remembered=2)
    population.credit([0, 1], [0.8, 0.2])
    population.remember([Trial("a", 1, 1.0), Trial("a", 2, 0.0), Trial("b", 3, nan), Trial("b", 4, 0.5)])
    shown = []
    written = iter(["a", "c", "d", "c"])

    def reflect(parent, failures):
        shown.append((parent, [one.trajectory for one in failures]))
        return next(written)

    joined = population.evolve(reflect, {"c": 0.3, "d": 0.6}.__getitem__, candidates=4, most=2)
    assert shown == [("a", [2, 4])] * 4 and joined.tolist() == [2]
    assert population.instructions == ["a", "b", "d"] and population.living.tolist() == [True, False, True]
    assert population.weights[2] == 0.6 and population.failures == []


@pytest.mark.parametrize("broken", [{"first": []}, {"first": ["a"], "temperature": 0}, {"first": ["a"], "rate": 2}])
def test_settings_out_of_range_are_refused(broken):
    with pytest.raises(ValueError, match="expected at least one"):
        InstructionPopulation(**broken)


def test_what_does_not_fit_is_refused():
    population = InstructionPopulation(["a"])
    with pytest.raises(ValueError, match="twice"):
        population.credit([0], [1.0, 2.0])
    with pytest.raises(ValueError, match="0 to 1"):
        population.prune(2)
    with pytest.raises(ValueError, match="one for each"):
        population.admit(["b"], [], most=3)
