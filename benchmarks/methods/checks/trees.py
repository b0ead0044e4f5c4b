"""Checks of advantages among siblings: completions that begin alike are a tree of what was tried from one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Measured
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, reinforce, write
from rewards.columns import Column
from rewards.credit.sibling_relative import prefix_nodes
from rewards.views.view import Config, RewardView

Parts = list[dict[str, Any]]
GRPO = {"part": "group_relative", "preset": "grpo", "of": "reward", "to": "trajectory"}


def nodes(writing: Writing) -> Column:
    """The tree of each prompt's completions, of tokens."""
    return Column.full(prefix_nodes(writing.layout, writing.completions[writing.mask], "token"))


def summed(siblings: Parts, weight: float) -> Parts:
    """Advantage of the trajectory, and that among siblings."""
    coefficients = {"trajectory": 1.0, "sibling": weight}
    return [GRPO, *siblings, {"part": "weighted_sum", "coefficients": coefficients, "to": "advantage"}]


def trained(
    seed: int,
    view: Parts,
    levels: Mapping[str, str],
    prompts: Callable[[np.random.Generator, int], NDArray[np.int64]],
    components: Callable[[Writing], Mapping[str, Column]],
    vocabulary: int,
    length: int,
    updates: int,
    members: int,
) -> tuple[Writing, list[float]]:
    """What a policy writes after training from nothing, and its mean reward on the way."""
    on_the_way: list[float] = []
    policy = reinforce(
        TinyPolicy(vocabulary, seed),
        prompts,
        components,
        RewardView(Config.model_validate({"name": "tree", "components": levels, "parts": view})),
        seed,
        updates=updates,
        groups=8,
        members=members,
        length=length,
        on_update=lambda update, writing: on_the_way.append(float(components(writing)["outcome"].values.mean())),
    )
    asked = prompts(np.random.default_rng(10_000 + seed), 64)
    return write(policy, asked, 8, length, torch.Generator().manual_seed(seed)), on_the_way


# PORTool: tools, of which some are no use.

TOPICS, USEFUL, TOOLS, CALLS = 4, 3, 8, 6
ANSWER = TOOLS + 1
"""Token that answers; before it come calls of tools 1 … TOOLS. Each topic needs its own USEFUL tools, in any order."""


def tool_prompts(random: np.random.Generator, number: int) -> NDArray[np.int64]:
    """A topic each `[n, 1]`."""
    return 1 + random.integers(0, TOPICS, (number, 1))


def answered(writing: Writing) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Whether all the useful tools were called before the answer, and how many calls there were before it `[B]`."""
    needed = np.stack([np.random.default_rng(topic).permutation(TOOLS)[:USEFUL] + 1 for topic in range(TOPICS)])
    wanted = needed[writing.prompts[:, 0] - 1]
    told = writing.completions == ANSWER
    before = (np.cumsum(told, axis=1) == 0) & writing.mask & (writing.completions != END)
    called = np.where(before, writing.completions, -1)
    complete = (called[:, :, None] == wanted[:, None, :]).any(1).all(-1)
    return (complete & told.any(-1)).astype(np.float32), before.sum(-1)


def tools(seed: int, weight: float) -> Measured:
    """Accuracy and calls after training with advantages of trajectories, and among siblings with a weight."""

    def components(writing: Writing) -> Mapping[str, Column]:
        right, _ = answered(writing)
        return {"outcome": Column.full(right), "node": nodes(writing)}

    discounted: Parts = [
        {"part": "redistribute", "preset": "last", "of": "outcome", "over": "token", "to": "value"},
        {"part": "returns", "of": "value", "gamma": 0.95},
        {"part": "sibling_relative", "preset": "portool", "of": "value", "to": "sibling"},
    ]
    parts = [{"part": "scale", "of": "outcome", "factor": 1.0, "to": "reward"}, *summed(discounted, weight)]
    levels = {"outcome": "episode", "node": "token"}
    found, on_the_way = trained(
        seed, parts, levels, tool_prompts, components, vocabulary=ANSWER + 1, length=CALLS, updates=120, members=16
    )
    right, calls = answered(found)
    return {"accuracy": float(right.mean()), "on the way": float(np.mean(on_the_way)), "calls": float(calls.mean())}


PORTOOL = Check(
    row=135,
    name="fork-relative-advantage",
    claim="With the advantage among siblings, discounted by the calls that remain, accuracy on the way and at the end "
    "is higher than GRPO's from the same number of completions, with fewer calls.",
    arms={"GRPO": lambda seed: tools(seed, 0.0), "GRPO and siblings": lambda seed: tools(seed, 1.0)},
    holds=lambda found: (
        found.above("GRPO and siblings", "GRPO", "accuracy")
        and found.above("GRPO and siblings", "GRPO", "on the way")
        and found.below("GRPO and siblings", "GRPO", "calls")
    ),
    units={"accuracy": "share of answers", "on the way": "share of answers", "calls": "calls"},
)


# V-STAR: items named by three tokens, with the reward below an improbable beginning.

CODES, DEPTH = 8, 3


def one_user(random: np.random.Generator, number: int) -> NDArray[np.int64]:
    """A user each `[n, 1]`, of four."""
    return 1 + random.integers(0, 4, (number, 1))


def relevance(writing: Writing) -> NDArray[np.float32]:
    """Of a user's one item 1; of items that share its first token 0.3, and its first two 0.6; 0 for others `[B]`."""
    wanted = np.stack([1 + np.random.default_rng(100 + user).integers(0, CODES, DEPTH) for user in range(4)])
    same = np.cumprod(writing.completions[:, :DEPTH] == wanted[writing.prompts[:, 0] - 1], axis=1).sum(-1)
    found: NDArray[np.float32] = np.array([0.0, 0.3, 0.6, 1.0], np.float32)[same]
    return found


def items(seed: int, weight: float) -> Measured:
    """Relevance after training, how often the item is found in 8 tries, and how much advantages differ in a group."""
    spread: list[float] = []
    siblings: Parts = [{"part": "sibling_relative", "preset": "v_star", "of": "outcome", "to": "sibling"}]
    parts = [{"part": "scale", "of": "outcome", "factor": 1.0, "to": "reward"}, *summed(siblings, weight)]
    levels = {"outcome": "episode", "node": "token"}
    view = RewardView(Config.model_validate({"name": "siblings", "components": levels, "parts": parts}))

    def components(writing: Writing) -> Mapping[str, Column]:
        columns = {"outcome": Column.full(relevance(writing)), "node": nodes(writing)}
        advantage = view.apply(columns, writing.layout).advantage
        group = writing.layout.owner("token", "group")
        if advantage is not None:
            spread.append(float(np.mean([advantage.values[group == g].var() for g in range(group.max() + 1)])))
        return columns

    found, on_the_way = trained(
        seed, parts, levels, one_user, components, vocabulary=CODES + 1, length=DEPTH, updates=60, members=16
    )
    got = relevance(found)
    hit = np.maximum.reduceat(got, np.arange(0, len(got), 8)) == 1
    return {
        "relevance": float(got.mean()),
        "on the way": float(np.mean(on_the_way)),
        "item in 8 tries": float(hit.mean()),
        "variance of advantages": float(np.mean(spread)),
    }


V_STAR = Check(
    row=159,
    name="sibling-relative-advantage",
    claim="Sibling-GRPO beside GRPO makes advantages within a group differ more, and finds more relevant items on the "
    "way and at the end than GRPO alone.",
    arms={"GRPO": lambda seed: items(seed, 0.0), "Sibling-GRPO": lambda seed: items(seed, 1.0)},
    holds=lambda found: (
        found.above("Sibling-GRPO", "GRPO", "variance of advantages")
        and found.above("Sibling-GRPO", "GRPO", "on the way")
        and found.above("Sibling-GRPO", "GRPO", "relevance")
    ),
    units={"relevance": "mean", "on the way": "mean", "item in 8 tries": "share of users"},
)
