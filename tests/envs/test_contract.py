from functools import partial

import numpy as np
import pytest

from envs.captions import NoCaptions
from envs.catch import Catch
from envs.contract import ContractViolation, EnvironmentContract, check_environment, sample_action
from envs.environment import Task
from envs.specs import Box, Discrete, MultiDiscrete
from envs.timestep import StepType, TimeStep, transition


class Unseeded(Catch):
    draws = np.random.default_rng(0)

    def reset(self, seed):
        return super().reset(int(self.draws.integers(1000)))


class NanReward(Catch):
    def step(self, action):
        return super().step(action)._replace(reward=float("nan"))


class PaidReset(Catch):
    def reset(self, seed):
        return super().reset(seed)._replace(reward=1.0)


class NeverFirst(Catch):
    def reset(self, seed):
        return transition(0.0, super().reset(seed).observation)


class WrongDtype(Catch):
    def step(self, action):
        timestep = super().step(action)
        return timestep._replace(observation={"board": timestep.observation["board"].astype(np.int64)})


class EarlyZero(Catch):
    def step(self, action):
        timestep = super().step(action)
        return timestep if timestep.last else TimeStep(StepType.MID, 0.0, 0.0, timestep.observation)


class Tuples(Catch):
    def step(self, action):
        return tuple(super().step(action))


class Unprintable(Catch):
    def render(self):
        return np.zeros((3, 3))


class Mumbler(NoCaptions):
    def caption(self, timestep):
        return None


@pytest.mark.parametrize(
    ("make", "captioner", "problem"),
    [
        (Unseeded, NoCaptions, "seed 1 and the same actions gave other steps"),
        (NanReward, NoCaptions, "step 1: got reward nan; expected a finite number"),
        (PaidReset, NoCaptions, "reset: got reward 1.0; expected none"),
        (NeverFirst, NoCaptions, "reset: got .*MID.*; expected FIRST"),
        (WrongDtype, NoCaptions, "observation 'board': got shape .* of int64; the spec expects"),
        (EarlyZero, NoCaptions, "got discount 0 before the end"),
        (Tuples, NoCaptions, "step 1: got a tuple; expected a TimeStep"),
        (Unprintable, NoCaptions, r"render\(\) gave no str"),
        (Catch, Mumbler, "got a caption of type NoneType"),
        (partial(Catch, height=3), NoCaptions, "cannot be made: .*height.*Check its options"),
    ],
)
def test_each_breach_is_named_in_one_line_with_its_task(make, captioner, problem):
    with pytest.raises(ContractViolation, match=f"^task 'broken'.*{problem}") as caught:
        check_environment(Task("broken", "", make, captioner))
    assert "\n" not in str(caught.value)


def test_an_environment_that_keeps_the_contract_passes():
    check_environment(Task("catch", "", Catch, NoCaptions))


def test_the_mixin_asks_for_a_task():
    with pytest.raises(NotImplementedError, match="return your task"):
        EnvironmentContract().task()


@pytest.mark.parametrize(
    "spec", [Discrete(3), MultiDiscrete((2, 5)), Box((-1.0, 0.0), (1.0, float("inf"))), Box((-np.inf,), (np.inf,))]
)
def test_sampled_actions_are_legal(spec):
    rng = np.random.default_rng(0)
    assert all(spec.contains(sample_action(spec, rng)) for _ in range(20))
