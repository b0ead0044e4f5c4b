"""Checks of what says how good a reward model is: one right answer among many, and probes of what it represents."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found, Measured
from learners.language.reward_losses import bradley_terry
from rewards.comparison.correlation import spearman
from rewards.evaluation.accuracy import one_to_many, pair_accuracy
from rewards.evaluation.confidence import centroids, distances
from rewards.evaluation.overoptimisation import optimised
from rewards.evaluation.probing import probe_accuracies

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# --- 49: solutions with slips, in a style -----------------------------------------------------------------------------

MODELS, KINDS, PROBLEMS, WRONG, TRIES = 20, 4, 300, 9, 64
NEAR = 0.5
"""Deviation of the style where all solutions are rewritten to one; that of the policy's is 1."""
APART = 2.0
"""How far the styles of right and wrong solutions lie from the middle where people wrote the right ones."""
SHARPNESS = np.concatenate([[0.0], np.geomspace(0.05, 50, 40)])
FAR = 2.5
"""KL, in nats, to which policies are optimised."""


@dataclass(frozen=True)
class Solutions:
    """Solutions to problems.

    Attributes:
        slip: kind of the slip in each `[N, K]`; −1: none, it is right.
        style: of each, one number `[N, K]`.
    """

    slip: Ints
    style: Floats

    @property
    def right(self) -> Floats:
        """1 where there is no slip `[N, K]`."""
        return (self.slip < 0).astype(np.float64)


def tried(random: np.random.Generator) -> Solutions:
    """What the policy writes: about a third is right, and hardly anything in a style far from its own."""
    style = random.normal(size=(PROBLEMS, TRIES))
    right = random.random(style.shape) < np.where(np.abs(style) > 1.5, 0.05, 0.4)
    return Solutions(np.where(right, -1, random.integers(0, KINDS, style.shape)), style)


def posed(random: np.random.Generator, wrong: int, same_style: bool) -> Solutions:
    """A right solution and wrong ones to each problem `[N, 1 + wrong]`, as a benchmark has them."""
    slip = np.concatenate([np.full((PROBLEMS, 1), -1), random.integers(0, KINDS, (PROBLEMS, wrong))], axis=1)
    middle = 0.0 if same_style else np.where(slip < 0, -APART, APART)
    return Solutions(slip, middle + NEAR * random.normal(size=slip.shape))


@dataclass(frozen=True)
class Linear:
    """A reward model: so much off for each kind of slip `[KINDS]`, so much for style, and noise of its own."""

    slips: Floats
    style: float

    def scores(self, of: Solutions, random: np.random.Generator) -> Floats:
        """`[N, K]`."""
        off = np.append(self.slips, 0.0)[of.slip]  # the last one is of no slip
        found: Floats = self.style * of.style - off + 0.5 * random.normal(size=of.slip.shape)
        return found


def models(random: np.random.Generator) -> list[Linear]:
    """Reward models that mind slips, the better ones more, and each kind more or less; each has a taste of style."""
    return [Linear(3.0 * random.random() * (0.5 + random.random(KINDS)), 0.75 * random.normal()) for _ in range(MODELS)]


def foretold(seed: int, wrong: int, same_style: bool) -> Measured:
    """How well a benchmark's accuracies of reward models foretell what comes of following them.

    Args:
        seed: of models, solutions and noise.
        wrong: solutions beside the right one.
        same_style: whether all are rewritten to one style, so that it does not tell which is right.
    """
    random = np.random.default_rng(seed)
    judged, answers = models(random), tried(random)
    accuracy, rank, best, followed, lost = [], [], [], [], []
    for model in judged:
        scores = model.scores(answers, random)
        best.append(float(answers.right[np.arange(PROBLEMS), scores.argmax(1)].mean()))
        path = optimised(scores, answers.right, SHARPNESS / scores.std())
        followed.append(path.at(FAR))
        lost.append(path.drop)
    bench = np.random.default_rng(1000 + seed)
    questions = posed(bench, wrong, same_style)
    for model in judged:
        scores = model.scores(questions, bench)
        found = one_to_many(scores[:, 0].tolist(), scores[:, 1:].tolist())
        accuracy.append(found.accuracy.value or 0.0)
        rank.append(found.mean_reciprocal_rank or 0.0)
    return {
        "best of 64": spearman(accuracy, best) or 0.0,
        "best of 64, by rank": spearman(rank, best) or 0.0,
        "optimised policy": spearman(accuracy, followed) or 0.0,
        "over-optimisation": spearman(accuracy, lost) or 0.0,
        "mean accuracy": float(np.mean(accuracy)),
    }


def _foretells(found: Found) -> bool:
    many, gap = "one to many, one style", "one to one, style gap"
    return (
        found.interval(many, "best of 64")[0] > 0.8
        and found.above(many, gap, "best of 64")
        and found.above(many, gap, "optimised policy")
        and found.below(many, gap, "over-optimisation")
    )


REWARD_MATH = Check(
    row=49,
    name="one-to-many-rm-bench",
    claim="Over 20 reward models, the accuracy of one right solution against nine wrong ones of the same style has a "
    "rank correlation above 0.8 with the best of 64, and foretells that, an optimised policy and its over-optimisation "
    "better than pairs whose right solution has a style of its own.",
    arms={
        "one to many, one style": lambda seed: foretold(seed, WRONG, True),
        "one to one, one style": lambda seed: foretold(seed, 1, True),
        "one to many, style gap": lambda seed: foretold(seed, WRONG, False),
        "one to one, style gap": lambda seed: foretold(seed, 1, False),
    },
    holds=_foretells,
    units={
        "best of 64": "Spearman's ρ",
        "best of 64, by rank": "Spearman's ρ",
        "optimised policy": "Spearman's ρ",
        "over-optimisation": "Spearman's ρ",
        "mean accuracy": "share of problems",
    },
)


# --- 136: answers with six attributes, of which a reward model knows some ---------------------------------------------

ATTRIBUTES, SHOWN, WIDTH = 6, 12, 8
"""What makes an answer good, numbers by which it is seen, and numbers that stand for it in a reward model."""
SIZES = (1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6)
"""How many attributes the preferences speak of that each reward model learns from."""
CANDIDATES, STRANGE, KEPT, CLUSTERS = 16, 0.3, 0.5, 8
"""Answers of which the best is taken; share that looks strange; share of pairs that is kept; clusters of a label."""


class World:
    """Answers with attributes, each worth one, and how they look: the attributes mixed, with noise."""

    def __init__(self, seed: int, draw: int) -> None:
        """One mixture for all draws of a seed."""
        self.random = np.random.default_rng([seed, draw])
        self.mixture = np.random.default_rng(400 + seed).normal(size=(ATTRIBUTES, SHOWN)) / ATTRIBUTES**0.5

    def attributes(self, number: int) -> Floats:
        """Each there or not `[n, ATTRIBUTES]`."""
        return (self.random.random((number, ATTRIBUTES)) < 0.5).astype(np.float64)

    def looks(self, attributes: Floats, strange: float = 0.0) -> Floats:
        """How answers look `[n, SHOWN]`; a share of them with ten times the noise."""
        noise = np.where(self.random.random((len(attributes), 1)) < strange, 2.0, 0.2) / SHOWN**0.5
        found: Floats = (attributes - 0.5) @ self.mixture + noise * self.random.normal(size=(len(attributes), SHOWN))
        return found


class Scorer(nn.Module):
    """A reward model: linear in what its body makes of an answer."""

    def __init__(self, seed: int) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Linear(SHOWN, 32), nn.ReLU(), nn.Linear(32, WIDTH), nn.ReLU())
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, looks: Tensor) -> Tensor:
        """Rewards `[n]`."""
        found: Tensor = self.head(self.body(looks))[:, 0]
        return found

    def scores(self, looks: Floats) -> Floats:
        """Rewards `[n]`, without gradient."""
        with torch.no_grad():
            found: Floats = self(torch.as_tensor(looks, dtype=torch.float32)).double().numpy()
            return found

    def represented(self, looks: Floats) -> Floats:
        """The last hidden state `[n, WIDTH]`, without gradient."""
        with torch.no_grad():
            found: Floats = self.body(torch.as_tensor(looks, dtype=torch.float32)).double().numpy()
            return found


@cache
def scorers(seed: int, pairs: int = 512, steps: int = 200) -> list[Scorer]:
    """Reward models, each taught on preferences by some of the attributes; the last one by all of them."""
    world, found = World(seed, 0), []
    for number, size in enumerate(SIZES):
        known = world.random.permutation(ATTRIBUTES)[:size]
        one, other = world.attributes(pairs), world.attributes(pairs)
        better = (one - other)[:, known].sum(axis=1)
        looks = [torch.as_tensor(world.looks(each)[better != 0], dtype=torch.float32) for each in (one, other)]
        sign = torch.as_tensor(np.sign(better[better != 0]), dtype=torch.float32)
        model = Scorer(100 * seed + number)
        optimiser = torch.optim.AdamW(model.parameters(), 5e-3, weight_decay=1.0)
        for _ in range(steps):
            apart = sign * (model(looks[0]) - model(looks[1]))
            optimiser.zero_grad()
            bradley_terry(apart, torch.zeros_like(apart)).mean().backward()
            optimiser.step()
        found.append(model)
    return found


def in_order(scores: list[Floats], worth: list[Floats], of: Bools) -> float:
    """Share of pairs whose better one scores higher, of those that count; pairs of equal worth do not."""
    better, use = worth[0] - worth[1], of & (worth[0] != worth[1])
    chosen, rejected = np.where(better > 0, *scores), np.where(better > 0, *scores[::-1])
    return pair_accuracy(chosen[use], rejected[use]).value or 0.0


def evaluated(seed: int, way: Literal["probes", "narrow pairs", "pairs"]) -> Measured:
    """How a way to evaluate reward models ranks them, and what its confidence is worth.

    Args:
        seed: of everything.
        way: by probes of all attributes, or by pairs that differ in two attributes or in any. The confidence of a
            pair's rewards is nearness to centroids, how far apart they are, or chance.
    """
    world, tested = World(seed, 1), World(seed, 2)
    worth = world.attributes(200 * CANDIDATES)
    looks, gold = world.looks(worth), worth.sum(axis=1).reshape(-1, CANDIDATES)
    told, asked = tested.attributes(1500), tested.attributes(3000)
    shown, unseen = tested.looks(told), tested.looks(asked)
    apart = np.arange(2 if way == "narrow pairs" else ATTRIBUTES)
    other = asked.copy()
    other[:, apart] = tested.attributes(len(asked))[:, apart]
    against = tested.looks(other)
    best, ranked = [], []
    for model in scorers(seed):
        first = model.scores(looks).reshape(gold.shape).argmax(axis=1)
        best.append(float(gold[np.arange(len(gold)), first].mean()))
        if way == "probes":
            rates = probe_accuracies(model.represented(shown), told, model.represented(unseen), asked)
            ranked.append(float(np.mean([rate.value for rate in rates])))
        else:
            scores, values = [model.scores(unseen), model.scores(against)], [asked.sum(axis=1), other.sum(axis=1)]
            ranked.append(in_order(scores, values, np.ones(len(asked), np.bool_)))
    return {"rank correlation": spearman(ranked, best) or 0.0, **surest(seed, way, scorers(seed)[-1], shown, told)}


def surest(seed: int, way: str, model: Scorer, shown: Floats, told: Floats) -> Measured:
    """Agreement with the truth on pairs of which some look strange and whose worth differs by one.

    Of all of them, and of those with the surest rewards.
    """
    world = World(seed, 3)
    both = [world.attributes(4000) for _ in range(2)]
    looks = [world.looks(each, STRANGE) for each in both]
    scores, worth = [model.scores(each) for each in looks], [each.sum(axis=1) for each in both]
    if way == "probes":
        centres = centroids(model.represented(shown), told, CLUSTERS)
        sure = -np.maximum(*(distances(model.represented(each), centres).min(axis=1) for each in looks))
    else:
        sure = np.abs(scores[0] - scores[1]) if way == "narrow pairs" else world.random.random(len(scores[0]))
    hard = np.abs(worth[0] - worth[1]) == 1  # so that the surest pairs are not merely the easiest ones
    return {
        "agreement of all": in_order(scores, worth, hard),
        "agreement of the surest half": in_order(scores, worth, hard & (sure >= np.quantile(sure[hard], 1 - KEPT))),
    }


MRM_BENCH = Check(
    row=136,
    name="preference-dimension-probe",
    claim="Over 12 reward models that know one to six attributes, the mean accuracy of probes has a rank correlation "
    "above 0.7 with the best of 16, and a higher one than pairs that differ in two attributes; the half of the pairs "
    "that is nearest to the centroids agrees with the truth more often than a half drawn by chance.",
    arms={
        "probes": lambda seed: evaluated(seed, "probes"),
        "narrow pairs, dropped by margin": lambda seed: evaluated(seed, "narrow pairs"),
        "all pairs, dropped by chance": lambda seed: evaluated(seed, "pairs"),
    },
    holds=lambda found: (
        found.interval("probes", "rank correlation")[0] > 0.7
        and found.above("probes", "narrow pairs, dropped by margin", "rank correlation")
        and found.above("probes", "all pairs, dropped by chance", "agreement of the surest half")
    ),
    units={
        "rank correlation": "Spearman's ρ",
        "agreement of all": "share of pairs",
        "agreement of the surest half": "share of pairs",
    },
)
