"""Check of token rewards from a model of outcomes: walks of a policy that succeeds in some of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.methods.checks.step_credit import auc
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import errands
from benchmarks.methods.worlds.language import TinyPolicy, Writing, write
from learners.objectives.implicit_process import implicit_rewards, instructive, outcome_cross_entropy
from rewards.columns import Column

BETA = 0.3
"""Of the rewards: a model so small leaves its reference by few nats, and with 0.05 hardly learns."""
BEFORE, GROUPS, MEMBERS = 60, 16, 8
"""Batches of the first policy that the model learns from before training; prompts and walks of a batch."""


class ImplicitModel:
    """A copy of the first policy that learns to foretell outcomes; the first policy itself is the reference."""

    def __init__(self, policy: TinyPolicy) -> None:
        """Start where the policy does."""
        self.reference, self.model = copy.deepcopy(policy), copy.deepcopy(policy)
        self.optimiser = torch.optim.Adam(self.model.parameters(), 3e-3)

    def rewards(self, writing: Writing) -> Tensor:
        """r_t, 0 where no token counts `[B, T]`."""
        asked, written = torch.as_tensor(writing.prompts), torch.as_tensor(writing.completions)
        with torch.no_grad():
            anchor = self.reference.log_probs(asked, written)
        return implicit_rewards(self.model.log_probs(asked, written), anchor, BETA) * torch.as_tensor(writing.mask)

    def learn(self, writing: Writing, steps: int = 4) -> None:
        """A few steps on what was written, where its prompt tells something."""
        outcomes = torch.as_tensor(errands.success(writing))
        told = torch.where(instructive(outcomes, torch.as_tensor(writing.group)), outcomes, torch.nan)
        if bool(told.isnan().all()):
            return
        for _ in range(steps):
            loss = outcome_cross_entropy(self.rewards(writing).sum(-1), told).mean()
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()

    def ranks(self, policy: TinyPolicy, seed: int) -> float:
        """How well it tells the new walks of a policy that succeed from those that do not: AUC."""
        found = answered(policy, seed)
        with torch.no_grad():
            total = self.rewards(found).sum(-1).numpy()
        return auc(total, errands.success(found) > 0)


def answered(policy: TinyPolicy, seed: int) -> Writing:
    """Walks for prompts that are the same at any time."""
    asked = errands.prompts(np.random.default_rng(20_000 + seed), 256)
    return write(policy, asked, 4, errands.LENGTH, torch.Generator().manual_seed(seed))


PARTS: list[dict[str, Any]] = [
    {"part": "reduce", "of": "implicit", "over": "episode", "by": "mean", "to": "own_mean"},
    {"part": "group_relative", "preset": "rloo", "of": "own_mean", "to": "mean_apart"},
    {"part": "weighted_sum", "coefficients": {"implicit": 1, "own_mean": -1, "mean_apart": 1}, "to": "apart"},
    {"part": "returns", "of": "apart", "to": "process"},
    {"part": "weighted_sum", "coefficients": {"right": 1.0}},
    {"part": "group_relative", "preset": "rloo", "of": "reward", "to": "outcome"},
]


@cache
def learnt(seed: int) -> ImplicitModel:
    """The model that all arms of a seed begin with, taught by walks of the first policy; copied, never trained."""
    policy = errands.taught(seed)
    model = ImplicitModel(policy)
    random, generator = np.random.default_rng(50_000 + seed), torch.Generator().manual_seed(50_000 + seed)
    for _ in range(BEFORE):
        model.learn(write(policy, errands.prompts(random, GROUPS), MEMBERS, errands.LENGTH, generator))
    return model


def trained(seed: int, weight: float, online: bool = True, updates: int = 100) -> Mapping[str, float]:
    """Success at the end and on the way, and how well the model of outcomes tells the policy's walks apart.

    Args:
        seed: of everything.
        weight: of the process advantage; 0: RLOO.
        online: whether the model goes on learning while the policy does.
        updates: batches.
    """
    model = copy.deepcopy(learnt(seed))
    policy = copy.deepcopy(model.reference)
    at_first = model.ranks(policy, seed)

    def judged(writing: Writing) -> Mapping[str, Column]:
        if online:
            model.learn(writing)
        outcomes = errands.success(writing)
        kept = instructive(torch.as_tensor(outcomes), torch.as_tensor(writing.group)).numpy()
        with torch.no_grad():
            implicit = model.rewards(writing).numpy()
        return {"right": Column(outcomes, kept), "implicit": Column.full(writing.tokens(implicit))}

    both = {"part": "weighted_sum", "coefficients": {"outcome": 1.0, "process": weight}, "to": "advantage"}
    levels = {"right": "episode", "implicit": "token"}
    found = errands.trained([*PARTS, both], levels, judged, seed, policy, updates, rate=1e-3)
    return {
        "success": found["success"],
        "success on the way": found["success on the way"],
        "AUC at first": at_first,
        "AUC at the end": model.ranks(policy, seed),
    }


def _sooner_and_lasting(found: Found) -> bool:
    """More success on the way than either, and the frozen model has forgotten what the online one knows."""
    return (
        all(found.above("PRIME", other, "success on the way") for other in ("RLOO", "frozen"))
        and found.interval("frozen", "AUC at the end")[1] < found.interval("frozen", "AUC at first")[0]
        and found.above("PRIME", "frozen", "AUC at the end")
    )


PRIME = Check(
    row=137,
    name="implicit-process-reward",
    claim="Token rewards of a model that learns outcomes online bring more success on the way than RLOO alone, and "
    "than those of the same model frozen before training, which by the end tells good walks from others less well "
    "than at first, and than the one that went on.",
    arms={
        "RLOO": lambda seed: trained(seed, 0.0),
        "PRIME": lambda seed: trained(seed, 1.0),
        "frozen": lambda seed: trained(seed, 1.0, online=False),
    },
    holds=_sooner_and_lasting,
    units={
        "success": "share of walks",
        "success on the way": "share of walks",
        "AUC at first": "AUC",
        "AUC at the end": "AUC",
    },
)
