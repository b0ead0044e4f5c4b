"""Check of rewards by a flow of hidden states: what the walks of a few experts are good for, besides imitation."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.checks.step_credit import auc
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import errands
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, mask_of
from learners.flows.latent_flow import LatentFlow, latent_losses, velocity_deviation
from rewards.columns import Column

EXPERTS, TAUGHT, BLOCKS = 64, 400, 2
"""Walks of experts, steps in which the flow is taught by them, and its blocks."""
UPDATES = 80

beginner = cache(errands.taught)
"""Who all arms of a seed start from; it is copied, never trained."""


def experts(seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Prompts, and walks without detours `[EXPERTS, LENGTH]`."""
    asked = errands.prompts(np.random.default_rng(3000 + seed), EXPERTS)
    return asked, np.pad(asked, ((0, 0), (0, errands.LENGTH - errands.ERRANDS)), constant_values=END)


@torch.no_grad()
def latents(policy: TinyPolicy, asked: Tensor, walks: Tensor) -> Tensor:
    """The policy's states at the last token of the prompt and at each of the walk `[B, 1, LENGTH + 1, d]`."""
    found: Tensor = policy.cell(policy.embed(torch.cat([asked, walks], 1)))[0]
    return found[:, None, asked.shape[1] - 1 :]


class Field:
    """A flow of one policy's states, with what it learns by."""

    def __init__(self, seed: int, size: int) -> None:
        """Random weights, from `seed`."""
        self.flow = LatentFlow(size, blocks=BLOCKS, seed=seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.optimiser = torch.optim.Adam(self.flow.parameters(), 2e-3)

    def learn(self, states: Tensor, mask: Tensor) -> None:
        """One step on what counts of a batch."""
        sigma = torch.rand(mask.shape, generator=self.generator)
        losses = latent_losses(self.flow, states, sigma, self.generator)
        self.optimiser.zero_grad()
        ((losses * mask).sum() / mask.sum()).backward()
        self.optimiser.step()

    def deviation(self, states: Tensor) -> Tensor:
        """D `[B, T]`."""
        return velocity_deviation(self.flow, states, self.generator)


@cache
def taught(seed: int) -> Field:
    """A flow of the beginner's states along the walks of experts; it is copied, never trained."""
    policy, (asked, walks) = beginner(seed), map(torch.as_tensor, experts(seed))
    field, known, mask = Field(seed, policy.cell.hidden_size), latents(policy, asked, walks), mask_of(walks).float()
    for _ in range(TAUGHT):
        field.learn(known, mask)
    for group in field.optimiser.param_groups:
        group["lr"] = 1e-4  # of what follows, as in the paper
    return field


def told_apart(seed: int) -> float:
    """Whether tokens of new experts that were replaced by others deviate more than those that were not: AUC."""
    random, policy = np.random.default_rng(4000 + seed), beginner(seed)
    asked, walks = experts(5000 + seed)
    wrong = (random.random(walks.shape) < 0.25) & (walks != END)
    other = 1 + (walks - 1 + random.integers(1, errands.IDLE, walks.shape)) % errands.IDLE
    drawn = torch.as_tensor(np.where(wrong, other, walks))
    found = deepcopy(taught(seed)).deviation(latents(policy, torch.as_tensor(asked), drawn)).numpy()
    # Behind a wrong token an expert would not go on as if nothing had happened, so only what is up to the first counts.
    counts = (walks != END) & (np.cumsum(wrong, 1) - wrong == 0)
    return auc(found[counts], wrong[counts])


def shaped(of: str, weight: float) -> list[dict[str, Any]]:
    """The view: the outcome's advantage at the last token, and peaks of a column at theirs, summed to the end."""
    return [
        {"part": "group_relative", "preset": "grpo", "of": "right", "to": "relative"},
        {"part": "redistribute", "preset": "last", "of": "relative", "over": "token", "to": "end"},
        {"part": "peaks", "preset": "rlfr", "of": of},
        {"part": "weighted_sum", "coefficients": {"end": 1.0, of: weight}, "to": "reward"},
        {"part": "returns", "of": "reward", "gamma": 1.0, "to": "advantage"},
    ]


def walked(seed: int, of: str = "deviation", weight: float = 0.0, imitated: int = 0) -> Mapping[str, float]:
    """Success on the way and at the end, and what the flow tells apart before.

    Args:
        seed: of everything.
        of: what tokens are paid by: deviation or entropy.
        weight: of that.
        imitated: steps in which the experts are imitated first.
    """
    policy, field = deepcopy(beginner(seed)), deepcopy(taught(seed))
    if imitated:
        imitate(policy, *experts(seed), imitated)

    def components(writing: Writing) -> Mapping[str, Column]:
        right = errands.success(writing)
        asked, written = torch.as_tensor(writing.prompts), torch.as_tensor(writing.completions)
        if of == "entropy":
            with torch.no_grad():
                logits = policy.logits(asked, written).log_softmax(-1)
            values = -(logits.exp() * logits).sum(-1)
        else:
            states, mask = latents(policy, asked, written), torch.as_tensor(writing.mask).float()
            values = field.deviation(states)
            if right.any():
                field.learn(states[right > 0], mask[right > 0])
        return {"right": Column.full(right), of: Column.full(writing.tokens(values.numpy()))}

    levels = {"right": "episode", of: "token"}
    found = errands.trained(shaped(of, weight), levels, components, seed, policy, UPDATES)
    names = ("success", "success on the way")
    return {"AUC of replaced tokens": told_apart(seed), **{name: found[name] for name in names}}


def _sees_and_helps(found: Found) -> bool:
    """Replaced tokens are seen, and success on the way is above what outcomes, or entropies, give."""
    return found.interval("RLFR", "AUC of replaced tokens")[0] > 0.7 and all(
        found.above("RLFR", other, "success on the way") for other in ("outcomes only", "entropy")
    )


RLFR = Check(
    row=148,
    name="flow-velocity-deviation-reward",
    claim="A flow of hidden states along the walks of 64 experts deviates more at replaced tokens than at others (AUC "
    "above 0.7), and what stands out, taken off outcomes with weight 0.01, gives more success on the way than outcomes "
    "alone and than the same weight of entropy.",
    arms={
        "outcomes only": walked,
        "entropy": partial(walked, of="entropy", weight=0.01),
        "RLFR": partial(walked, weight=-0.01),
        "experts imitated first": partial(walked, imitated=20),
    },
    holds=_sees_and_helps,
    units={"AUC of replaced tokens": "AUC", "success": "share of walks", "success on the way": "share of walks"},
)
