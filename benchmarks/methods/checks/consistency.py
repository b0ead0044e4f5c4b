"""Check of reward models that look too much at how an answer is worded, and of what makes them more consistent."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Measured
from learners.language.reward_losses import bradley_terry
from rewards.cosines import cosines
from rewards.evaluation.contrast import contrast, contrast_pairs
from rewards.evaluation.overoptimisation import optimised
from rewards.models.convex_augmentation import convex_corners
from rewards.models.fusion import fused_rewards

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOPIC, WORDING = 3, 4
"""Numbers of what a text is about, of length 1, and of how it is worded; the first of these is fluency."""
PAIRS, VARIANTS, STEPS = 300, 5, 250
SHARPNESS = np.concatenate([[0.0], np.geomspace(0.05, 50, 40)])
FAR = 2.0
"""KL, in nats, to which policies are optimised."""
Rewording = Literal["none", "any", "corners"]


def unit(vectors: Floats) -> Floats:
    """Of length 1."""
    found: Floats = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return found


def responses(random: np.random.Generator, about: Floats, away: float, fluency: float) -> Floats:
    """Responses `[n, TOPIC + WORDING]` about something, more or less beside it, and more or less fluent."""
    meaning = unit(about + away * random.normal(size=about.shape))
    wording = random.normal(size=(len(about), WORDING))
    wording[:, 0] += fluency
    return np.concatenate([meaning, wording], axis=1)


def reworded(random: np.random.Generator, texts: Floats) -> Floats:
    """Each text and VARIANTS of it with half of its wording replaced, and its meaning all but kept `[n, 1 + V, …]`."""
    variants = np.repeat(texts[:, None], 1 + VARIANTS, axis=1)
    replaced = random.random((len(texts), VARIANTS, WORDING)) < 0.5
    common = random.normal(size=replaced.shape)
    variants[:, 1:, TOPIC:] = np.where(replaced, common, variants[:, 1:, TOPIC:])
    moved = 0.05 * random.normal(size=(len(texts), VARIANTS, TOPIC))
    variants[:, 1:, :TOPIC] = unit(variants[:, 1:, :TOPIC] + moved)
    return variants


class Scorer(nn.Module):
    """A reward model of instruction and response; that the two may match is something that it can see."""

    def __init__(self, seed: int) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Linear(3 * TOPIC + WORDING, 24), nn.Tanh(), nn.Linear(24, 1))

    def forward(self, asked: Tensor, said: Tensor) -> Tensor:
        """Rewards `[n]`."""
        found: Tensor = self.body(torch.cat([asked * said[:, :TOPIC], asked, said], dim=1))[:, 0]
        return found

    def scores(self, asked: Floats, said: Floats) -> Floats:
        """Rewards `[n]`, without gradient."""
        with torch.no_grad():
            one, other = (torch.as_tensor(each, dtype=torch.float32) for each in (asked, said))
            found: Floats = self(one, other).double().numpy()
            return found


@cache
def lessons(seed: int) -> tuple[Floats, Floats, Floats]:
    """Instructions, and good and bad responses: what is beside the point is also less fluent, as a rule."""
    random = np.random.default_rng(seed)
    asked = unit(random.normal(size=(PAIRS, TOPIC)))
    beside = unit(random.normal(size=(PAIRS, TOPIC)))
    return asked, responses(random, asked, 0.25, 1.0), responses(random, beside, 0.25, -1.0)


@cache
def taught(seed: int, rewording: Rewording) -> Scorer:
    """A reward model after STEPS on PAIRS; of the rewordings of each response, one is drawn at each step."""
    random = np.random.default_rng(100 + seed)
    asked, *both = lessons(seed)
    variants = [reworded(random, texts) for texts in both]
    corners = [[convex_corners(own) for own in each] for each in variants]
    every = np.arange(1 + VARIANTS)
    model, given = Scorer(seed), torch.as_tensor(asked, dtype=torch.float32)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(STEPS):
        chosen, rejected = (
            _drawn(random, each, own if rewording == "corners" else [every] * PAIRS, rewording != "none")
            for each, own in zip(variants, corners, strict=True)
        )
        optimiser.zero_grad()
        bradley_terry(model(given, chosen), model(given, rejected)).mean().backward()
        optimiser.step()
    return model


def _drawn(random: np.random.Generator, variants: Floats, kept: list[list[int]] | list[Ints], any_: bool) -> Tensor:
    """One of the kept variants of each text; the text itself where none is to be drawn."""
    place = [own[int(random.random() * len(own))] if any_ else 0 for own in kept]
    return torch.as_tensor(variants[np.arange(len(variants)), place], dtype=torch.float32)


def scored(seed: int, model: Scorer, asked: Floats, said: Floats, fused: bool) -> Floats:
    """Rewards `[n]`, averaged with those of similar lessons where they are to be fused."""
    rewards = model.scores(asked, said)
    if not fused:
        return rewards
    given, *both = lessons(seed)
    known = np.concatenate([np.concatenate([given, texts[:, :TOPIC]], axis=1) for texts in both])
    similarity = cosines(np.concatenate([asked, said[:, :TOPIC]], axis=1), known)
    return fused_rewards(rewards, similarity, np.concatenate([model.scores(given, texts) for texts in both]))


def consistent(seed: int, rewording: Rewording = "none", fused: bool = False) -> Measured:
    """Consistency of a reward model on instructions that sound alike, and what a policy gains that goes after it.

    Args:
        seed: of everything.
        rewording: of the responses that the model is taught on: none, any variant, or corners of their hull.
        fused: whether rewards are averaged with those of similar lessons.
    """
    random, model = np.random.default_rng(5000 + seed), taught(seed, rewording)
    asked = unit(random.normal(size=(150, TOPIC)))
    pairs = random.permutation(contrast_pairs(asked))[:400]
    said = responses(random, asked, 0.1, 1.0)
    i, j = pairs.T
    own = [scored(seed, model, asked[k], said[k], fused) for k in (i, j)]
    other = [scored(seed, model, asked[k], said[n], fused) for k, n in ((i, j), (j, i))]
    found = contrast(np.stack(own, axis=1), np.stack(other, axis=1))
    prompts = np.repeat(unit(random.normal(size=(200, TOPIC))), 64, axis=0)
    tried = responses(random, prompts, 1.0, 0.0)
    rewards = scored(seed, model, prompts, tried, fused).reshape(200, 64)
    gold = (prompts * tried[:, :TOPIC]).sum(axis=1).reshape(200, 64)
    return {
        "response consistency": found.response.value or 0.0,
        "instruction consistency": found.instruction.value or 0.0,
        "gold of the policy": optimised(rewards, gold, SHARPNESS / rewards.std()).at(FAR),
    }


CONSISTENCY = Check(
    row=76,
    name="reward-consistency-bench",
    claim="A reward model that is taught on corners of the hull of rewordings is more consistent on instructions that "
    "sound alike, by response and by instruction, than one taught as long on the responses themselves; averaging with "
    "similar lessons makes it more consistent by response; a policy that goes after the first has more gold.",
    arms={
        "standard": lambda seed: consistent(seed),
        "any rewording": lambda seed: consistent(seed, "any"),
        "ConvexDA": lambda seed: consistent(seed, "corners"),
        "RewardFusion": lambda seed: consistent(seed, fused=True),
        "ConvexDA and RewardFusion": lambda seed: consistent(seed, "corners", fused=True),
    },
    holds=lambda found: (
        found.above("ConvexDA", "standard", "response consistency")
        and found.above("ConvexDA", "standard", "instruction consistency")
        and found.above("RewardFusion", "standard", "response consistency")
        and found.above("ConvexDA", "standard", "gold of the policy")
    ),
    units={
        "response consistency": "share of pairs",
        "instruction consistency": "share of pairs",
        "gold of the policy": "cosine",
    },
)
