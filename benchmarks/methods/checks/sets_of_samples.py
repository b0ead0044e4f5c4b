"""Check of rewards of whole sets: a flow that makes a ring is to make three clouds, which no single sample can show."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.flows import STEPS, prefer, taught
from learners.flows.sampler import sample
from rewards.data.contrast_sets import ContrastSets, better_of_pairs, greedy_split
from rewards.sources.distributional import Gaussian, frechet_distance, gaussian, vendi_score

Floats = NDArray[np.float64]
Arm = Literal["as taught", "random split", "each sample", "whole set", "diversity"]
PAIRS, UPDATES, INNER, BETA = 64, 40, 5, 0.3
WAVES = 0.7 * torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
"""Of the encoder: eight directions in the plane, the same for all seeds."""


def encoded(points: Tensor) -> Floats:
    """Embeddings of length 1 `[..., 16]`: cosine and sine along each wave, so that near points are alike."""
    phase = points @ WAVES
    found: Floats = torch.cat([phase.cos(), phase.sin()], -1).double().numpy() / WAVES.shape[1] ** 0.5
    return found


def clouds(number: int, generator: torch.Generator) -> Tensor:
    """Exemplars: three clouds, none of them at the mean of all."""
    centres = torch.tensor([[1.5, 1.0], [-0.5, 2.0], [0.0, -1.5]])
    drawn = torch.randint(len(centres), (number,), generator=generator)
    return centres[drawn] + 0.3 * torch.randn(number, 2, generator=generator)


def split(arm: Arm, pairs: Floats, exemplars: Gaussian, random: np.random.Generator) -> ContrastSets:
    """Positive and negative set of pairs of embeddings `[P, 2, d]`."""
    if arm == "each sample":
        return better_of_pairs(-frechet_distance(gaussian(pairs[:, :, None]), exemplars))
    if arm == "whole set":
        return greedy_split(pairs, lambda chosen: -float(frechet_distance(gaussian(chosen), exemplars)), random)
    if arm == "diversity":
        return greedy_split(pairs, vendi_score, random)
    return greedy_split(pairs, lambda chosen: 0.0, random)


def contrasted(seed: int, arm: Arm) -> Mapping[str, float]:
    """What a flow makes after DPO on positive and negative sets of its own samples.

    Args:
        seed: of everything.
        arm: what the sets are made by.
    """
    flow, generator, random = taught(seed), torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    reference, shown = deepcopy(flow), clouds(500, generator)
    exemplars = gaussian(encoded(shown))
    optimiser = torch.optim.Adam(flow.parameters(), 1e-3)
    for _ in range(0 if arm == "as taught" else UPDATES):
        points = sample(flow, torch.randn(2 * PAIRS, 2), STEPS).states[:, -1].view(PAIRS, 2, 2)
        positive, negative = split(arm, encoded(points), exemplars, random).of(points.numpy())
        for _ in range(INNER):
            prefer(flow, reference, optimiser, torch.as_tensor(positive), torch.as_tensor(negative), beta=BETA)
    made = sample(flow, torch.randn(2000, 2), STEPS).states[:, -1]
    return {
        "Frechet distance": float(frechet_distance(gaussian(encoded(made)), exemplars)),
        "Frechet distance in the plane": float(frechet_distance(gaussian(made.numpy()), gaussian(shown.numpy()))),
        "Vendi score": vendi_score(encoded(made)),
    }


def _nearer_without_collapse(found: Found) -> bool:
    others: tuple[Arm, ...] = ("as taught", "random split", "each sample")
    return (
        all(found.below("whole set", other, "Frechet distance") for other in others)
        and found.below("each sample", "as taught", "Vendi score")
        and found.below("each sample", "whole set", "Vendi score")
        and found.above("diversity", "as taught", "Vendi score")
    )


DRAGON = Check(
    row=85,
    name="distributional-reward-contrast",
    claim="DPO on sets split by the Frechet distance of the positive one brings a flow nearer to exemplars than it was "
    "taught, than a random split, and than the distance of each sample by itself, by which the Vendi score falls below "
    "that of the flow as taught and of the one split by sets; with the Vendi score as the reward it rises.",
    arms={
        "as taught": partial(contrasted, arm="as taught"),
        "random split": partial(contrasted, arm="random split"),
        "each sample": partial(contrasted, arm="each sample"),
        "whole set": partial(contrasted, arm="whole set"),
        "diversity": partial(contrasted, arm="diversity"),
    },
    holds=_nearer_without_collapse,
    units={"Vendi score": "samples that differ"},
)
