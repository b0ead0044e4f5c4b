"""Check of directional preferences: one policy that is told how much length is worth, against one for each worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.checks.lengths import long_winded
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import attributes
from benchmarks.methods.worlds.language import Prompts, TinyPolicy, Writing, reinforce, write
from rewards.columns import Column
from rewards.views.view import Config, RewardView

ANGLES = np.deg2rad([0.0, 15.0, 25.0, 35.0, 45.0])
"""Of the direction: from help alone to as much for length; help never counts against."""
TOLD = attributes.VOCABULARY
"""Token of the first direction."""

VIEW = {
    "name": "directions",
    "components": {"help": "episode", "length": "episode", "v_help": "group", "v_length": "group"},
    "parts": [
        {"part": "directional", "directions": {"help": "v_help", "length": "v_length"}},
        {"part": "best_of_group", "preset": "raft", "of": "reward"},
    ],
}


def rewards(writing: Writing) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What helps, and the square root of length: more is worth less and less."""
    idle = attributes.padding(writing) + attributes.repetition(writing)
    return attributes.coverage(writing) - 0.5 * idle, np.sqrt(writing.length / attributes.LENGTH).astype(np.float32)


def prompts(angles: Sequence[int]) -> Prompts:
    """Prompts that name a topic, then one of those directions."""

    def made(random: np.random.Generator, number: int) -> NDArray[np.int64]:
        told = TOLD + random.choice(np.asarray(angles), number)
        return np.concatenate([attributes.prompts(random, number), told[:, None]], 1)

    return made


first = cache(long_winded)
"""The policy that all start from; it is copied, never trained."""


def untold(seed: int) -> TinyPolicy:
    """The long-winded policy, with tokens for directions that it has never seen."""
    known, policy = first(seed), TinyPolicy(TOLD + len(ANGLES), seed)
    kept = policy.state_dict()
    for name, value in known.state_dict().items():
        kept[name][: len(value)] = value
    kept["head.bias"][TOLD:] = -20.0
    policy.load_state_dict(kept)
    return policy


def taught(seed: int, angles: Sequence[int], updates: int) -> TinyPolicy:
    """A policy fine-tuned on the best of each group along the direction that it was told."""

    def judged(writing: Writing) -> Mapping[str, Column]:
        asked = ANGLES[writing.prompts[:: len(writing.prompts) // 16, 1] - TOLD]
        found = zip(("help", "length"), rewards(writing), strict=True)
        directions = {"v_help": Column.full(np.cos(asked)), "v_length": Column.full(np.sin(asked))}
        return {name: Column.full(values) for name, values in found} | directions

    return reinforce(
        untold(seed),
        prompts(angles),
        judged,
        RewardView(Config.model_validate(VIEW)),
        seed,
        updates=updates,
        length=attributes.LENGTH,
    )


def realised(policy: TinyPolicy, seed: int, angle: int) -> tuple[float, float]:
    """Both rewards of answers to prompts with that direction."""
    topic = attributes.prompts(np.random.default_rng(10_000 + seed), 128)
    asked = np.concatenate([topic, np.full((128, 1), TOLD + angle)], 1)
    found = write(policy, asked, 2, attributes.LENGTH, torch.Generator().manual_seed(seed))
    one, two = rewards(found)
    return float(one.mean()), float(two.mean())


def hypervolume(points: Sequence[tuple[float, float]]) -> float:
    """Area above (0, 0) that is below and left of some point."""
    area, height = 0.0, 0.0
    for x, y in sorted(points, reverse=True):
        area += max(x, 0.0) * max(y - height, 0.0)
        height = max(height, y)
    return area


def front(seed: int, one: bool, updates: int = 300) -> Mapping[str, float]:
    """Hypervolume of the front, and how the realised rewards go with the direction.

    Args:
        seed: of everything.
        one: whether one policy is told the direction; else one policy for each shares the updates out.
        updates: in all.
    """
    every = range(len(ANGLES))
    if one:
        policy = taught(seed, list(every), updates)
        points = [realised(policy, seed, angle) for angle in every]
    else:
        points = [realised(taught(seed, [angle], updates // len(ANGLES)), seed, angle) for angle in every]
    length = np.array([point[1] for point in points])
    order = np.corrcoef(np.argsort(np.argsort(length)), np.arange(len(ANGLES)))[0, 1]
    return {
        "hypervolume": hypervolume(points),
        "rank correlation": float(order),
        "length at 0°": float(length[0]),
        "length at 45°": float(length[-1]),
    }


def _as_wide_and_steered(found: Found) -> bool:
    apart = found.difference("one policy", "one for each", "hypervolume")
    return (apart.low or 0.0) > -0.02 and found.interval("one policy", "rank correlation")[0] > 0.5


DPA = Check(
    row=172,
    name="directional-preference-rsf",
    claim="One policy that is told the direction traces a front whose hypervolume is at most 0.02 below that of five "
    "policies that share the same updates, and the length it writes goes with the direction (rank correlation "
    "above 0.5).",
    arms={"one for each": lambda seed: front(seed, one=False), "one policy": lambda seed: front(seed, one=True)},
    holds=_as_wide_and_steered,
    seeds=3,
)
