"""Checks of rewards that look at length: topics to be covered, by a policy that was taught to be long-winded."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import attributes
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce, write
from rewards.columns import Column
from rewards.views.view import Config, RewardView

ENOUGH = 0.75
"""Share of a topic's words that makes an answer right."""


def long_winded(seed: int) -> TinyPolicy:
    """A policy taught with answers of which half cover the topic, with padding between, and the other half do not."""
    random = np.random.default_rng(seed)
    asked = attributes.prompts(random, 512)
    topic = (asked[:, 0] - 1) // attributes.WORDS
    shown = np.full((len(asked), attributes.LENGTH), END)
    for row, t in enumerate(topic):
        said = 1 + t * attributes.WORDS + random.permutation(attributes.WORDS)[: 4 if random.random() < 0.5 else 2]
        filler = 1 + attributes.TOPICS * attributes.WORDS + random.integers(0, attributes.PADDING, 5)
        words = random.permutation(np.concatenate([said, filler]))
        shown[row, : len(words)] = words
    policy = TinyPolicy(attributes.VOCABULARY, seed)
    imitate(policy, asked, shown, 200)
    return policy


def right(writing: Writing) -> np.ndarray:
    """1 where enough of the topic was covered `[B]`."""
    return (attributes.coverage(writing) >= ENOUGH).astype(np.float32)


def trained(seed: int, share: float, alpha: float) -> Mapping[str, float]:
    """Accuracy and length after training with a penalty on a share of the groups."""
    view = RewardView(
        Config.model_validate(
            {
                "name": "length",
                "components": {"right": "episode", "length": "episode"},
                "parts": [
                    {"part": "length_penalty", "of": "right", "alpha": alpha, "share": share, "to": "reward"},
                    {"part": "group_relative", "preset": "grpo", "of": "reward"},
                ],
            }
        )
    )
    policy = reinforce(
        long_winded(seed),
        attributes.prompts,
        lambda w: {"right": Column.full(right(w)), "length": Column.full(w.length)},
        view,
        seed,
        updates=250,
        length=attributes.LENGTH,
    )
    asked = attributes.prompts(np.random.default_rng(10_000 + seed), 256)
    found = write(policy, asked, 2, attributes.LENGTH, torch.Generator().manual_seed(seed))
    return {"accuracy": float(right(found).mean()), "tokens": float(found.length.mean())}


def _briefer_and_as_right(found: Found) -> bool:
    """Nearly the accuracy of plain GRPO with at most 70 % of its tokens."""
    accuracy = found.difference("GRPO-λ", "GRPO", "accuracy")
    tokens = found.mean("GRPO-λ", "tokens") / found.mean("GRPO", "tokens")
    return (accuracy.low or 0.0) > -0.05 and tokens <= 0.7


GRPO_LAMBDA = Check(
    row=46,
    name="correctness-gated-length-penalty",
    claim="With length penalised only in the fifth of the groups that are right most often, accuracy stays within 0.05 "
    "of GRPO's with at most 70 % of its tokens.",
    arms={
        "GRPO": lambda seed: trained(seed, share=0.0, alpha=0.2),
        "GRPO-λ": lambda seed: trained(seed, share=0.2, alpha=0.2),
        "penalty everywhere": lambda seed: trained(seed, share=1.0, alpha=1.0),
    },
    holds=_briefer_and_as_right,
    units={"accuracy": "share of answers", "tokens": "tokens"},
)
