"""Check of the survey of world models that generate: what its page covers, and whether its measures tell models apart.

The world is a pendulum that is seen with noise; a model of it is ridge regression on random features, from little
experience or much, or from much without a look at what is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.checks.surveys import COVERED, counted
from benchmarks.methods.experiment import Check, Found
from rewards.evaluation.world_models import drift, instruction_gain, ranking, trusted_steps, violations

Floats = NDArray[np.float64]
Step = Callable[[Floats, Floats], Floats]
"""From states `[N, 2]` (angle, speed) and torques `[N]` to the states after them."""
DT, NOISE, FEATURES, RIDGE = 0.1, 0.01, 150, 1e-3
LITTLE, MUCH = 20, 3000
ROLLOUTS, LENGTH, ASKED, TOLERANCE = 60, 50, 4, 0.1
"""Rollouts and their steps, steps after which it is read what was asked, and how near a step has to be."""
POLICIES, STARTS = 16, 20


def swung(state: Floats, torque: Floats) -> Floats:
    """The pendulum itself."""
    speed = state[:, 1] + DT * (2.0 * torque - 1.5 * np.sin(state[:, 0]) - 0.3 * state[:, 1])
    return np.stack([state[:, 0] + DT * speed, speed], 1)


def looked(state: Floats, random: np.random.Generator) -> Floats:
    """What is seen of states."""
    return np.asarray(state + NOISE * random.normal(size=state.shape))


def learnt(random: np.random.Generator, number: int, deaf: bool) -> Step:
    """A model of what is seen after a step.

    Args:
        random: of the experience and of the features.
        number: steps that it has seen.
        deaf: whether it does not know what was done.
    """
    state = random.uniform(-2, 2, (number, 2))
    torque = random.uniform(-1, 1, number)
    ways, shift = random.normal(size=(3, FEATURES)), random.uniform(0, 2 * np.pi, FEATURES)

    def read(of: Floats, done: Floats) -> Floats:
        inputs = np.column_stack([of, 0.0 * done if deaf else done])
        return np.column_stack([np.cos(inputs @ ways + shift), inputs])

    seen = read(looked(state, random), torque)
    change = looked(swung(state, torque), random) - state
    weights = np.linalg.solve(seen.T @ seen + RIDGE * np.eye(seen.shape[1]), seen.T @ change)
    # Who has seen little may foretell anything: what it says is cut to where a pendulum can be.
    return lambda of, done: np.clip(of + read(of, done) @ weights, -10, 10)


def rolled(step: Step, state: Floats, torques: Floats | Callable[[Floats], Floats], length: int) -> Floats:
    """States of rollouts, with the first `[N, length + 1, 2]`, by torques `[N, length]` or a policy."""
    found = [state]
    for t in range(length):
        found.append(step(found[-1], torques(found[-1]) if callable(torques) else torques[:, t]))
    return np.stack(found, 1)


def unlawful(states: Floats) -> Floats:
    """How far each step of rollouts is from going on with its own speed `[N, T]`."""
    return np.asarray(np.abs(np.diff(states[..., 0], axis=1) - DT * states[:, 1:, 1]))


def asked_and_read(model: Step, state: Floats, random: np.random.Generator) -> float:
    """The gain of instructions to hold one of three torques; that is read under which the world ends the nearest."""
    asked = random.integers(0, 3, len(state))

    def end(step: Step, torque: Floats) -> Floats:
        return rolled(step, state, np.repeat(torque[:, None], ASKED, 1), ASKED)[:, -1]

    ends = np.stack([end(swung, np.full(len(state), torque)) for torque in (-1.0, 0.0, 1.0)])
    imagined = end(model, asked.astype(np.float64) - 1)
    return instruction_gain(np.linalg.norm(ends - imagined, axis=-1).argmin(0), asked)


def trusted(seed: int, number: int, deaf: bool = False) -> Mapping[str, float]:
    """What the measures say of a model, beside what the page covers.

    Args:
        seed: of everything.
        number: steps of experience.
        deaf: whether it does not know what was done; then all policies earn the same in it, which ranks none: 0.
    """
    model = learnt(np.random.default_rng([seed, number]), number, deaf)
    random = np.random.default_rng(1000 + seed)  # the same tests for all models
    state, torques = random.uniform(-1.5, 1.5, (ROLLOUTS, 2)), random.uniform(-1, 1, (ROLLOUTS, LENGTH))
    real, imagined = (rolled(step, state, torques, LENGTH) for step in (swung, model))
    gains, starts = 2.0 * random.normal(size=(POLICIES, 2)), random.uniform(-1.5, 1.5, (STARTS, 2))

    def earned(step: Step, gain: Floats) -> float:
        held = rolled(step, starts, lambda states: np.clip(states @ gain, -1, 1), LENGTH)
        return -float((held**2).mean())

    ranked = ranking(*(np.array([earned(step, gain) for gain in gains]) for step in (model, swung)))
    return {
        **counted(seed, survey=108),
        "instruction gain": asked_and_read(model, state, random),
        "violations": violations(unlawful(imagined), unlawful(looked(real, random))),
        "steps near the world": trusted_steps(drift(imagined, real), TOLERANCE),
        "rank correlation of policies": ranked.correlation or 0.0,
    }


def _covered_and_told_apart(found: Found) -> bool:
    """All of the page, and by each measure much experience above little; to be deaf shows in the gain."""
    page = found.values["much experience"]
    better = ("instruction gain", "steps near the world", "rank correlation of policies")
    return (
        max(page["dead links"]) == 0
        and min(page["covered"]) == min(page["failures with a measure"]) == 1
        and all(found.above("much experience", "little experience", measure) for measure in better)
        and found.below("much experience", "little experience", "violations")
        and found.above("much experience", "deaf", "instruction gain", by=0.5)
    )


WORLD_MODELS = Check(
    row=108,
    name="survey-video-world-models",
    claim="Each use of a generative world model leads to a part that is there and each of its failures to a measure in "
    "rewards.evaluation; and by those of instructions, physics, drift and ranks a model with much experience is better "
    "than one with little, and one that is deaf to what is done gains less by instructions.",
    arms={
        "much experience": partial(trusted, number=MUCH),
        "little experience": partial(trusted, number=LITTLE),
        "deaf": partial(trusted, number=MUCH, deaf=True),
    },
    holds=_covered_and_told_apart,
    units={**COVERED, "failures with a measure": "share of failures", "violations": "share of steps"},
)
