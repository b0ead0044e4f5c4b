"""Check of steps that are discovered in a few demonstrations, and of a reward by the features that tell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.stages import Task
from benchmarks.methods.worlds.tabular import q_learning
from rewards.cosines import cosines
from rewards.models.progress.step_classifier import fit_steps
from rewards.models.progress.step_discovery import step_boundaries, steps_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
PLACES, STEPS, TELLING, DISTRACTING = 3, 4, 50, 150
"""Places in order; the ways to them, and being through; and features of the task, and of what goes on around it."""
DEMONSTRATIONS, REST, LONGEST, EPISODES, LOOKS = 8, 4, 60, 200, 16
"""Recordings, which go on for some frames at the end; and episodes of learning."""


class Scene:
    """A task among distractors: each recording has a light of its own, and each frame flickers."""

    def __init__(self, seed: int) -> None:
        """A task, and a fixed random layer that the surroundings are seen through."""
        self.task = Task(seed, stages=PLACES, units=TELLING, plain=2.0)
        self._layer = np.random.default_rng(3000 + seed).normal(size=(3, DISTRACTING))

    def record(self, states: Ints, random: np.random.Generator) -> Floats:
        """Features of a recording `[T, TELLING + DISTRACTING]`."""
        around = random.normal(size=3) + 0.3 * random.normal(size=(len(states), 3))
        return np.concatenate([self.task.look(states, random), np.tanh(around @ self._layer)], -1)


def discovered(seed: int, steps: str) -> Mapping[str, float]:
    """How far steps begin from where they do, and how often who learns from the reward reaches the end.

    The reward is of frames and paid in every step, and the end is no end of an episode, as the paper has it: there is
    something to be had by staying where one is.

    Args:
        seed: of everything.
        steps: `discovered`, `known`, or at `random`; or `final frame`: likeness to the last frames is the reward, and
            the steps that are looked at are even ones.
    """
    scene, random = Scene(seed), np.random.default_rng(seed)
    frames, at, errors = list[Floats](), list[Ints](), list[Floats]()
    for walk in scene.task.complete(random, DEMONSTRATIONS, slow=0.5, astray=0.1):
        states = np.append(walk.states, np.repeat(walk.states[-1], REST))
        seen, count = scene.record(states, random), len(states)
        known = np.append(np.searchsorted(scene.task.stage[states], np.arange(STEPS)), count)
        found = {
            "discovered": step_boundaries(seen, STEPS),
            "known": known,
            "random": np.array([0, *np.sort(random.permutation(count - 1)[: STEPS - 1] + 1), count]),
            "final frame": np.rint(np.linspace(0, count, STEPS + 1)).astype(np.int64),
        }[steps]
        frames.append(seen)
        at.append(steps_of(found))
        errors.append(np.abs(found - known)[1:-1] / count)
    looks = [scene.record(np.arange(len(scene.task.stage)), random) for _ in range(LOOKS)]
    if steps == "final frame":
        last = np.mean([one[-1] for one in frames], axis=0, keepdims=True)
        paid = np.stack([cosines(look, last)[:, 0] for look in looks])
    else:
        classifier = fit_steps(np.concatenate(frames), np.concatenate(at))
        paid = np.stack([classifier.reward(look) for look in looks])
    paid = paid - paid.max()  # so that to a table of zeros what was never tried looks best, whatever the reward is
    endless = replace(scene.task.mdp, terminal=np.zeros(len(scene.task.stage), np.bool_))
    _, returns = q_learning(
        endless,
        seed,
        episodes=EPISODES,
        longest=LONGEST,
        shaped=lambda state, action, after, reward, ended: float(paid[random.integers(LOOKS), after]),
    )
    reached = np.array(returns) > 0
    return {
        "distance of steps": float(np.mean(errors)),
        "success": float(reached.mean()),
        "success of the last quarter": float(reached[-EPISODES // 4 :].mean()),
    }


def _found_and_followed(found: Found) -> bool:
    return found.interval("discovered", "distance of steps")[1] < 0.1 and all(
        found.above("discovered", other, "success") for other in ("final frame", "random")
    )


PERCEPTUAL = Check(
    row=65,
    name="perceptual-step-reward",
    claim="Steps discovered in eight demonstrations begin, in the mean, within a tenth of their length of the true "
    "ones; and who learns from a reward by the features that tell them reaches the end more often than with likeness "
    "to the final frame, and than with random steps.",
    arms={name: partial(discovered, steps=name) for name in ("discovered", "known", "random", "final frame")},
    holds=_found_and_followed,
    seeds=20,
    units={
        "distance of steps": "share of a demonstration",
        "success": "share of episodes",
        "success of the last quarter": "share of episodes",
    },
)
