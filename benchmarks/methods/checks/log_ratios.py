"""Check of the outcome less the log-ratio to go: sums of two numbers, from a policy that half knows them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from benchmarks.methods.experiment import Check, Measured
from benchmarks.methods.worlds import arithmetic
from benchmarks.methods.worlds.language import Writing, reinforce, write
from rewards.columns import Column
from rewards.views.view import Config, RewardView

ETA, TRIES = 10.0, 8


def trained(seed: int, last: Mapping[str, Any]) -> Measured:
    """Right answers after training, on average and in one of TRIES, with a last part that knows both policies."""
    policy = arithmetic.beginner(seed)
    reference = copy.deepcopy(policy)

    def components(writing: Writing) -> Mapping[str, Column]:
        with torch.no_grad():
            theirs = reference.log_probs(torch.as_tensor(writing.prompts), torch.as_tensor(writing.completions))
        return {
            "right": Column.full(arithmetic.right(writing)),
            "log_probs": Column.full(writing.tokens(writing.log_probs)),
            "reference": Column.full(writing.tokens(theirs.numpy())),
        }

    parts = [
        {"part": "scale", "of": "right", "factor": 1.0, "to": "reward"},
        {"part": "group_relative", "preset": "grpo", "of": "reward", "to": "outcome"},
        {**last, "to": "advantage"},
    ]
    levels = {"right": "episode", "log_probs": "token", "reference": "token"}
    view = RewardView(Config.model_validate({"name": "log-ratios", "components": levels, "parts": parts}))
    reinforce(policy, arithmetic.prompts, components, view, seed, updates=150, length=arithmetic.LENGTH)
    asked = arithmetic.prompts(np.random.default_rng(10_000 + seed), 256)
    found = write(policy, asked, TRIES, arithmetic.LENGTH, torch.Generator().manual_seed(seed))
    right = arithmetic.right(found).reshape(-1, TRIES)
    return {"average": float(right.mean()), "one of 8": float(right.max(-1).mean())}


def token_penalty(weight: float) -> Mapping[str, Any]:
    """The gradient of the KL divergence of each token, beside the advantage: what a KL term of the loss does."""
    coefficients = {"outcome": 1.0, "log_probs": -weight, "reference": weight}
    return {"part": "weighted_sum", "coefficients": coefficients}


PRL = Check(
    row=52,
    name="entropy-ratio-process-reward",
    claim="With the same price of leaving the reference, the outcome less the log-ratio to go is right at least as "
    "often as GRPO with a KL term, on average and in one of 8 tries, within 0.03.",
    arms={
        "GRPO": lambda seed: trained(seed, token_penalty(0.0)),
        "GRPO with KL": lambda seed: trained(seed, token_penalty(1 / ETA)),
        "PRL": lambda seed: trained(seed, {"part": "log_ratio_value", "of": "outcome", "eta": ETA, "chunk": 1}),
    },
    holds=lambda found: all(
        (found.difference("PRL", "GRPO with KL", measure).low or 0.0) > -0.03 for measure in ("average", "one of 8")
    ),
    units={"average": "share of answers", "one of 8": "share of sums"},
)
