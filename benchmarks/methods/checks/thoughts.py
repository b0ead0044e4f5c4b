"""Check of thoughts that are rewarded with what they add to foretelling a text."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache

import numpy as np
import torch

from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds.lookups import MARK, NUMBER, THINK, THOUGHTS, Ints, Reader, taught, texts
from learners.weights import follow
from rewards.sources.information import thought_gain


@cache
def reader_of_texts(seed: int) -> Reader:
    """Who has read texts with thoughts; it may not be trained."""
    return taught(seed)


def asked(random: np.random.Generator, number: int) -> tuple[torch.Tensor, torch.Tensor, Ints]:
    """Tokens of texts `[n, P]`, of what follows `[n, 1]`, and useful thoughts `[n, THOUGHTS]`."""
    given, found = texts(random, number)
    return torch.as_tensor(NUMBER + given), torch.as_tensor(NUMBER + found[:, -1:]), THINK + found[:, :-1]


def thoughtful(seed: int, think: bool, updates: int = 200, groups: int = 16, members: int = 16) -> Mapping[str, float]:
    """Accuracy on what follows, with a thought before it or without, after equally many steps.

    Args:
        seed: of everything.
        think: whether thoughts are trained by what they add; else next tokens are, without thinking.
        updates: gradient steps.
        groups: texts of a batch.
        members: thoughts about each; without thinking, as many texts more.
    """
    policy, random = deepcopy(reader_of_texts(seed)), np.random.default_rng(seed)
    slow, generator = deepcopy(policy), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(policy.parameters(), 2e-3)
    gains: list[float] = []
    for _ in range(updates):
        given, follows, _ = asked(random, groups if think else groups * members)
        silent = torch.full((len(given), THOUGHTS), MARK)
        if think:
            many, after = given.repeat_interleave(members, 0), follows.repeat_interleave(members, 0)
            thoughts = policy.think(many, generator)
            with torch.no_grad():
                told = policy.log_probs(many, torch.cat([thoughts, after], 1))[:, -1].view(groups, members)
                untold = slow.log_probs(given, torch.cat([silent, follows], 1))[:, -1]
            gain = thought_gain(told.double().clamp(max=0).numpy(), untold.double().clamp(max=0).numpy())
            gains.append(float(gain.mean()))
            apart = (gain - gain.mean(1, keepdims=True)) * members / (members - 1)
            logs = policy.log_probs(many, torch.cat([thoughts, after], 1))[:, :-1].sum(-1)
            loss = -(logs * torch.as_tensor(apart, dtype=torch.float32).flatten()).mean()
        else:
            loss = -policy.log_probs(given, torch.cat([silent, follows], 1))[:, -1].mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimiser.step()
        follow(slow, policy, 0.001)
    given, follows, useful = asked(np.random.default_rng(9000 + seed), 1000)
    written = policy.think(given, generator) if think else torch.full((1000, THOUGHTS), MARK)
    with torch.no_grad():
        logits = policy.logits(given, torch.cat([written, follows], 1))[:, -1]
    return {
        "accuracy": float((logits.argmax(-1) == follows[:, 0]).float().mean()),
        "gain of the last thoughts": float(np.mean(gains[-20:])) if gains else 0.0,
        "useful thoughts": float((written.numpy() == useful).all(-1).mean()),
    }


RLP = Check(
    row=113,
    name="next-token-information-gain",
    claim="After equally many steps over as many tokens, a policy whose thoughts were rewarded with what they add to "
    "foretelling a text gains more than nothing from them, and foretells better than one that went on learning "
    "next tokens.",
    arms={
        "as taught, thinking": lambda seed: thoughtful(seed, think=True, updates=0),
        "next tokens": lambda seed: thoughtful(seed, think=False),
        "RLP": lambda seed: thoughtful(seed, think=True),
    },
    holds=lambda found: (
        found.interval("RLP", "gain of the last thoughts")[0] > 0 and found.above("RLP", "next tokens", "accuracy")
    ),
    units={
        "accuracy": "share of texts",
        "gain of the last thoughts": "nats",
        "useful thoughts": "share of texts",
    },
)
