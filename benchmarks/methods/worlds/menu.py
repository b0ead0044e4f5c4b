"""A policy that picks from a menu: softmax over a few answers to each prompt, trained with a reward view in a second.

What an answer is worth by whom is a table that a check brings. Everything is numbers, so a claim about weights,
scales and normalisation can be told apart from what a network makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewards.columns import Column
from rewards.views.layout import Layout, Level
from rewards.views.view import Config, RewardView

Floats = NDArray[np.float64]
Picked = Callable[[NDArray[np.int64], NDArray[np.int64], np.random.Generator], Mapping[str, Column]]
"""From prompts and picked answers `[B]`, what is judged: columns of episodes, or of groups in the order of prompts."""


def view(levels: Mapping[str, Level], *parts: Mapping[str, Any]) -> RewardView:
    """A view of those components and parts."""
    return RewardView(Config.model_validate({"name": "menu", "components": levels, "parts": list(parts)}))


def softmax(logits: Floats) -> Floats:
    """Chances of each answer `[P, A]`."""
    apart = np.exp(logits - logits.max(-1, keepdims=True))
    found: Floats = apart / apart.sum(-1, keepdims=True)
    return found


def trained(
    start: Floats,
    judged: Picked,
    made: RewardView,
    seed: int,
    updates: int = 300,
    groups: int = 8,
    members: int = 8,
    rate: float = 2.0,
    on_update: Callable[[Floats], None] | None = None,
) -> Floats:
    """Chances of each answer `[P, A]` after policy gradient with the view's advantage.

    Args:
        start: logits `[P, A]`.
        judged: of what was picked.
        made: must write a column `advantage` of episodes.
        seed: of sampling.
        updates: how many; each one step on one batch.
        groups: prompts of a batch, drawn with equal chances.
        members: answers to each.
        rate: of the steps.
        on_update: sees the chances before each step.
    """
    random, logits = np.random.default_rng(seed), start.astype(np.float64).copy()
    group = np.repeat(np.arange(groups), members)
    layout = Layout.of(np.ones(len(group)), group)
    for _ in range(updates):
        chances = softmax(logits)
        if on_update is not None:
            on_update(chances)
        prompt = random.integers(0, len(logits), groups)[group]
        picked = (chances[prompt].cumsum(-1) > random.random((len(group), 1))).argmax(-1)
        advantage = made.apply(judged(prompt, picked, random), layout).advantage
        if advantage is None:
            raise ValueError("got a view without an advantage; expected one that writes it")
        gain = np.where(advantage.valid, advantage.values, 0.0) / max(int(advantage.valid.sum()), 1)
        step = np.zeros_like(logits)
        np.add.at(step, (prompt, picked), gain)
        np.add.at(step, prompt, -gain[:, None] * chances[prompt])
        logits += rate * step
    return softmax(logits)
