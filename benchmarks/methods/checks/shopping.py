"""Check of hierarchical rewards of actions: a shop in which leaving is easy to foresee, and what is clicked is not."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from rewards.columns import Column
from rewards.verifiers.hierarchical_actions import action_levels

Ints = NDArray[np.int64]
LEAVE, CLICK = 1, 2
WORDS = 8
FIRST, SECOND = 3, 3 + WORDS
"""Tokens of the first and second word of a name."""
CONTEXTS = WORDS * WORDS
SEEN = 3 + 2 * WORDS
VOCABULARY = SEEN + 2 * WORDS
LEAVING = 0.4


def names(prompts: Ints) -> Ints:
    """Tokens of what a person would click, who has seen two things `[B, 2]`."""
    one, two = prompts[:, 0] - SEEN, prompts[:, 1] - SEEN - WORDS
    return np.stack([FIRST + (3 * one + two) % WORDS, SECOND + (one + 5 * two) % WORDS], -1)


def prompts(random: np.random.Generator, number: int) -> Ints:
    """Two things seen, and whether the person will leave: a share of them does, and no context says who `[n, 3]`.

    The third token is what he does, for the judge; the policy is shown a blank in its place.
    """
    seen = np.stack([SEEN + random.integers(0, WORDS, number), SEEN + WORDS + random.integers(0, WORDS, number)], -1)
    return np.column_stack([seen, np.where(random.random(number) < LEAVING, LEAVE, CLICK)])


class Shopper(TinyPolicy):
    """A policy that does not see what the person will do."""

    def logits(self, prompts: torch.Tensor, completions: torch.Tensor) -> torch.Tensor:
        """As any policy's, of the first two tokens."""
        return super().logits(prompts[:, :2], completions)

    @torch.no_grad()
    def write(
        self, prompts: torch.Tensor, length: int, generator: torch.Generator, greedy: bool = False
    ) -> torch.Tensor:
        """As any policy's, of the first two tokens."""
        return super().write(prompts[:, :2], length, generator, greedy)


def actions(prompts: Ints) -> Ints:
    """What the persons do, as completions `[B, 4]`."""
    found = np.column_stack([prompts[:, 2], names(prompts), np.zeros(len(prompts), np.int64)])
    found[prompts[:, 2] == LEAVE, 1:] = END
    return found


def told(tokens: Ints) -> str:
    """A completion as JSON; what is no action of the language is no JSON."""
    kept = [int(t) for t in tokens if t != END]
    if kept == [LEAVE]:
        action: dict[str, str] = {"type": "terminate"}
    elif len(kept) >= 1 and kept[0] == CLICK:
        action = {"type": "click", "name": " ".join(f"w{t}" for t in kept[1:])}
    else:
        return "nothing"
    return json.dumps({"rationale": "seen", "action": action})


def score(writing: Writing, scaling: float) -> NDArray[np.float64]:
    """The hierarchical reward of each completion `[B]`; with scaling 0, 1 for exactly the person's action."""
    wanted, found = actions(writing.prompts), np.zeros(len(writing.completions))
    for row, (tokens, aim) in enumerate(zip(writing.completions, wanted, strict=True)):
        if scaling:
            action = json.loads(told(aim))["action"]
            found[row] = action_levels(told(tokens), action, scaling).total
        else:
            found[row] = told(tokens) == told(aim)
    return found


def shopped(seed: int, scaling: float | None, updates: int = 300) -> Mapping[str, float]:
    """How often the policy foresees exactly what persons do, and how often it says that they leave.

    Args:
        seed: of everything.
        scaling: DARS; 0 for exact matches, None for supervised training alone.
        updates: of GRPO.
    """
    policy, random = Shopper(VOCABULARY, seed), np.random.default_rng(1000 + seed)
    shown = prompts(random, 96)
    imitate(policy, shown, actions(shown), 120)
    if scaling is not None:

        def judged(writing: Writing) -> Mapping[str, Column]:
            return {"score": Column.full(score(writing, scaling))}

        reinforce(policy, prompts, judged, grpo(), seed, updates=updates, length=4)
    asked = prompts(np.random.default_rng(10_000 + seed), 1024)
    found = write(policy, asked, 1, 4, torch.Generator().manual_seed(seed), greedy=True)
    clicks = asked[:, 2] == CLICK
    exact = score(found, 0.0)
    return {
        "exact": float(exact.mean()),
        "exact of clicks": float(exact[clicks].mean()),
        "says they leave": float((found.completions[:, 0] == LEAVE).mean()),
    }


def _no_collapse(found: Found) -> bool:
    return (
        found.above("hierarchical, DARS 1000", "supervised", "exact of clicks")
        and found.above("hierarchical, DARS 1000", "exact or not", "exact of clicks")
        and found.above("exact or not", "hierarchical, DARS 1000", "says they leave")
    )


SHOP_R1 = Check(
    row=163,
    name="hierarchical-action-reward",
    claim="Where four in ten persons leave and it cannot be foreseen who, a reward for exact matches teaches to say "
    "more often that they leave than the hierarchical one with DARS does; with this, more clicks are foreseen exactly "
    "than by supervised training and than with the reward for exact matches.",
    arms={
        "supervised": lambda seed: shopped(seed, None),
        "exact or not": lambda seed: shopped(seed, 0.0),
        "hierarchical, DARS 1": lambda seed: shopped(seed, 1.0),
        "hierarchical, DARS 1000": lambda seed: shopped(seed, 1000.0),
    },
    holds=_no_collapse,
    units=dict.fromkeys(("exact", "exact of clicks", "says they leave"), "share"),
)
