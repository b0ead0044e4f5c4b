"""Checks of pairs whose preferences have a strength: said by people, or found by models that doubt a label."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache, partial
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.preferences import APART, PROMPT, Loss, Models, Pairs, World, accuracy, fit
from learners.language.reward_losses import bradley_terry, regression, scaled_bradley_terry
from learners.objectives.meta_reward import meta_gradients, score_difference
from learners.weights import follow
from rewards.comparison.correlation import spearman
from rewards.data.preference_strength import believed, flipped, preference_strength, smoothed

STEPS = 200
Mask = NDArray[np.bool_]


def tensor(values: NDArray[np.floating]) -> Tensor:
    """As the losses take it."""
    return torch.as_tensor(values, dtype=torch.float32)


# --- 169: strengths of preferences, and ratings -----------------------------------------------------------------------

Way = Literal["regular", "margin", "scaled", "regression"]


def graded(seed: int, *ways: Way, factor: float = 1.0, number: int = 600) -> Mapping[str, float]:
    """What a model has learnt of pairs and ratings by people, who err the less, the further apart two answers are.

    Args:
        seed: of everything.
        ways: to be taught, one after another; they share the steps.
        factor: how far to go from the model as it was before the last way to that after it; 1: there, and no further.
        number: of pairs.
    """
    random, world = np.random.default_rng(seed), World(seed)
    pairs = world.pairs(random, number)
    found = pairs.gap + random.logistic(size=number)  # so that labels are those of Bradley and Terry
    strength = tensor(1.0 + np.searchsorted(np.quantile(np.abs(found), [1 / 3, 2 / 3]), np.abs(found)))
    first = found > 0
    spread = APART / np.sqrt(2)
    rated = [
        np.clip(np.round(2 + world.worth(pairs.prompts, answers) / spread + 0.5 * random.normal(size=number)), 0, 4)
        for answers in (pairs.first, pairs.second)
    ]
    ratings = tensor(np.where(first, *rated)), tensor(np.where(first, *rated[::-1]))

    def loss(way: Way, chosen: Tensor, rejected: Tensor, rows: Tensor) -> Tensor:
        if way == "regression":
            one, other = ratings
            return regression(chosen, one[rows]) + regression(rejected, other[rows])
        if way == "scaled":
            return scaled_bradley_terry(chosen, rejected, strength[rows])
        return bradley_terry(chosen, rejected, strength[rows] if way == "margin" else None)

    models = before = Models(1, seed)
    for place, way in enumerate(ways):
        before = copy.deepcopy(models)
        fit(models, pairs.inputs(first), partial(loss, way), 100 * seed + place, STEPS // len(ways))
    follow(before, models, factor)
    fresh = world.pairs(random, 2000)
    with torch.no_grad():
        scores = before(fresh.inputs(np.ones(2000, np.bool_))[0])[0].numpy()
    return {
        "accuracy": accuracy(before, fresh),
        "rank correlation": spearman(scores, world.worth(fresh.prompts, fresh.first)) or 0.0,
    }


def _scaled_is_best(found: Found) -> bool:
    """Above regular, not below margin, and better from a regression than from scratch."""
    measures = ("accuracy", "rank correlation")
    return (
        all(found.above("scaled", "regular", measure) for measure in measures)
        and all(found.mean("scaled", measure) >= found.mean("margin", measure) for measure in measures)
        and found.above("regression, then regular", "regular", "accuracy")
    )


HELPSTEER2_PREFERENCE = Check(
    row=169,
    name="scaled-bradley-terry",
    claim="Where the gap of worth decides how sure and how strong a preference is, a model taught by scaled "
    "Bradley-Terry orders new pairs and answers more rightly than one taught without strengths and no less than one "
    "with margins, and Bradley-Terry that starts from a regression on ratings is better than from scratch.",
    arms={
        "regular": lambda seed: graded(seed, "regular"),
        "margin": lambda seed: graded(seed, "margin"),
        "scaled": lambda seed: graded(seed, "scaled"),
        "regression": lambda seed: graded(seed, "regression"),
        "regression, then regular": lambda seed: graded(seed, "regression", "regular"),
        "regression, then scaled": lambda seed: graded(seed, "regression", "scaled"),
        "regression, then scaled, extrapolated": lambda seed: graded(seed, "regression", "scaled", factor=1.5),
    },
    holds=_scaled_is_best,
    seeds=10,
    units={"accuracy": "share of pairs"},
)


# --- 44: labels that are doubted, and a policy that moves on ----------------------------------------------------------

Doubt = Literal["none", "smoothed", "soft", "flipped", "margin", "flipped and margin"]
ROUNDS, ANSWERS, MODELS = 3, 4, 10


@cache
def voted(seed: int) -> tuple[World, Pairs, Mask, Mask, Models]:
    """A world, pairs, whether the first was chosen, where that is wrong (a quarter), and ten models taught with it."""
    random, world = np.random.default_rng(seed), World(seed)
    pairs = world.pairs(random, 1500)
    wrong = random.random(len(pairs.gap)) < 0.25
    first = (pairs.gap > 0) ^ wrong
    models = Models(MODELS, seed)
    fit(models, pairs.inputs(first), lambda c, r, _: bradley_terry(c, r), seed, STEPS)
    return world, pairs, first, wrong, models


def doubted(seed: int, doubt: Doubt, rate: float = 0.0, vote: bool = False) -> Mapping[str, float]:
    """What a model has learnt of labels of which a quarter is wrong, and what it still knows of a policy that moved on.

    Args:
        seed: of everything.
        doubt: what is made of the strength that ten models give to each pair.
        rate: η of MetaRM; 0: without.
        vote: whether the ten models are taken themselves, by their mean.
    """
    world, pairs, first, wrong, ten = voted(seed)
    shown = pairs.inputs(first)
    with torch.no_grad():
        strength = preference_strength(ten(shown[0]).numpy(), ten(shown[1]).numpy()).mean
    told = {"smoothed": smoothed, "soft": believed, "flipped": flipped, "flipped and margin": flipped}.get(doubt)
    labels = tensor(np.ones(len(wrong)) if told is None else told(strength))
    margins = tensor(strength if "margin" in doubt else np.zeros(len(wrong)))

    def loss(chosen: Tensor, rejected: Tensor, rows: Tensor) -> Tensor:
        return bradley_terry(chosen, rejected, margins[rows], soft_labels=labels[rows])

    models = copy.deepcopy(ten) if vote else Models(1, 1000 + seed)
    if not vote:
        fit(models, shown, loss, 1000 + seed, STEPS)
    random = np.random.default_rng(2000 + seed)
    known = accuracy(models, world.pairs(random, 2000))
    mean = torch.zeros(pairs.first.shape[1])
    for number in range(ROUNDS):
        mean = improved(models, mean, 3000 + 10 * seed + number)
        again(models, shown, loss, mean, rate, 4000 + 10 * seed + number)
    moved = world.pairs(random, 2000, mean.double().numpy())
    return {
        "accuracy": known,
        "clean pairs are stronger": float((strength[~wrong][:, None] > strength[wrong]).mean()),
        "accuracy after three rounds": accuracy(models, moved),
        "worth of the policy": float(world.worth(moved.prompts, moved.first).mean()),
    }


def improved(models: Models, mean: Tensor, seed: int, steps: int = 10) -> Tensor:
    """The mean of a policy's answers after it has climbed its reward, the mean score of the models."""
    generator = torch.Generator().manual_seed(seed)
    theta = mean.clone().requires_grad_()
    optimiser = torch.optim.Adam([theta], 0.05)
    for _ in range(steps):
        prompts, noise = (torch.randn(64, size, generator=generator) for size in (PROMPT, len(mean)))
        (theta.grad,) = torch.autograd.grad(-models(torch.cat([prompts, theta + noise], 1)).mean(), theta)
        optimiser.step()
    return theta.detach()


def again(
    models: Models, shown: tuple[Tensor, Tensor], loss: Loss, mean: Tensor, rate: float, seed: int, steps: int = 50
) -> None:
    """Teach models with the old pairs again, looking at answers of the policy of now where the rate is above 0."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(models.parameters(), 1e-3)
    for _ in range(steps):
        rows = torch.randint(len(shown[0]), (models.members, 64), generator=generator)
        prompts = torch.randn(64, 1, PROMPT, generator=generator).expand(-1, ANSWERS, -1)
        read = torch.cat([prompts, mean + torch.randn(64, ANSWERS, len(mean), generator=generator)], 2).flatten(0, 1)

        def apart(read: Tensor = read) -> Tensor:
            return score_difference(models(read).view(-1, ANSWERS)).mean()

        def wrong(rows: Tensor = rows) -> Tensor:
            return loss(models(shown[0][rows]), models(shown[1][rows]), rows).mean(1).sum()

        meta_gradients(models.parameters(), apart, wrong, rate)
        optimiser.step()


def _doubt_helps(found: Found) -> bool:
    """Each way is above the next, strengths tell wrong labels, and MetaRM knows more of a policy that moved on."""
    order = ("flipped, with margins", "flipped", "soft labels", "as labelled")
    return (
        all(found.above(one, other, "accuracy") for one, other in pairwise(order))
        and found.mean("as labelled", "clean pairs are stronger") > 0.8
        and any(found.above(f"MetaRM, η = {rate}", "as labelled", "accuracy after three rounds") for rate in (0.2, 2))
    )


SECRETS = Check(
    row=44,
    name="preference-strength-denoising",
    claim="With a quarter of the labels wrong, the mean strength by ten models is higher for a right label than for a "
    "wrong one in 80 % of cases; flipping with adaptive margins is more accurate than flipping, that than soft "
    "labels, and these than the labels as they are; and after three rounds of a policy that moves on, MetaRM is at one "
    "of two rates more accurate on its answers than a model without.",
    arms={
        "as labelled": lambda seed: doubted(seed, "none"),
        "as labelled, mean of ten": lambda seed: doubted(seed, "none", vote=True),
        "smoothed labels": lambda seed: doubted(seed, "smoothed"),
        "soft labels": lambda seed: doubted(seed, "soft"),
        "flipped": lambda seed: doubted(seed, "flipped"),
        "with margins": lambda seed: doubted(seed, "margin"),
        "flipped, with margins": lambda seed: doubted(seed, "flipped and margin"),
        "MetaRM, η = 0.2": lambda seed: doubted(seed, "none", rate=0.2),
        "MetaRM, η = 2": lambda seed: doubted(seed, "none", rate=2.0),
    },
    holds=_doubt_helps,
    seeds=10,
    units={
        "accuracy": "share of pairs",
        "clean pairs are stronger": "share of two pairs",
        "accuracy after three rounds": "share of pairs",
    },
)
