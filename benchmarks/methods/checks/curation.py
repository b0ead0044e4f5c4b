"""Check of the curation of preference pairs: few that people verify, and a pool that was labelled carelessly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.preferences import APART, Floats, Models, Pairs, World, accuracy, apart, fit
from learners.language.reward_losses import bradley_terry
from rewards.data.curation import consistent, retrieval_counts, retrieved
from rewards.data.preference_strength import believed

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]
Fault = Literal["labels swayed by style", "labels flipped at random"]
Use = Literal["pool", "gold", "silver", "dropped", "flipped"]
FAULTS: tuple[Fault, ...] = ("labels swayed by style", "labels flipped at random")
POOL, GOLD, SEARCHES, TEAM = 4000, 80, 3, 4
"""Pairs of the pool, those of them that people verify, searches for more, and models that judge by their mean."""
FITS = 3 + SEARCHES
"""Teams that are taught: with gold, with silver before and after each search, and with what was curated."""


@dataclass(frozen=True)
class Stage1:
    """What is known after the searches.

    Attributes:
        world: what answers are worth.
        pool: pairs; people have verified the first GOLD.
        labels: of the pool, whether the first answer was chosen; three in ten are wrong.
        known: which pairs were verified, or annotated by an assistant.
        better: labels of those: true where verified, else the assistant's, right in 85 % of pairs.
        best: taught with annotated pairs.
        gold: taught with verified pairs.
    """

    world: World
    pool: Pairs
    labels: Mask
    known: Mask
    better: Mask
    best: Models
    gold: Models


def taught(seed: int, pool: Pairs, places: Places, labels: Mask, members: int = TEAM) -> Models:
    """Models taught with the pairs at some places."""
    models = Models(members, seed)
    chosen, rejected = pool.inputs(labels)
    fit(models, (chosen[places], rejected[places]), lambda c, r, _: bradley_terry(c, r), seed)
    return models


def chances(models: Models, pool: Pairs, labels: Mask) -> Floats:
    """What the mean of models gives to labels `[P]`."""
    towards = apart(models, pool).mean(0)
    return believed(np.where(labels, towards, -towards))


@cache
def searched(seed: int, fault: Fault) -> Stage1:
    """Stage 1: where the best model errs on verified pairs, similar ones are annotated, and it is taught anew."""
    random, world = np.random.default_rng(seed), World(seed)
    pool = world.pairs(random, POOL)
    truth = pool.gap > 0
    if fault == "labels swayed by style":  # so much taste that three in ten are wrong, were gaps normal
        taste = APART * np.tan(0.3 * np.pi) / np.sqrt(2)
        labels = pool.gap + taste * (pool.first[:, -1] - pool.second[:, -1]) > 0
    else:
        labels = truth ^ (random.random(POOL) < 0.3)
    number = np.arange(POOL)
    verified, annotated = number < GOLD, (number >= GOLD) & (number < 2 * GOLD)
    better = np.where(verified, truth, truth ^ (random.random(POOL) < 0.15))
    gold = taught(10_000 + seed, pool, np.flatnonzero(verified), better)
    best = taught(20_000 + 10 * seed, pool, np.flatnonzero(annotated), better)
    for search in range(SEARCHES):
        counts = retrieval_counts(chances(best, pool, truth)[verified], most=4)
        annotated[retrieved(pool.prompts[verified], pool.prompts, counts, verified | annotated)] = True
        best = taught(20_001 + 10 * seed + search, pool, np.flatnonzero(annotated), better)
    return Stage1(world, pool, labels, verified | annotated, better, best, gold)


def training_set(stage: Stage1, use: Use) -> tuple[Places, Mask]:
    """Which pairs are taught, and all labels."""
    if use == "pool":
        return np.arange(POOL), stage.labels
    if use == "gold":
        return np.arange(GOLD), stage.better
    if use == "silver":
        return np.flatnonzero(stage.known), stage.better
    found = consistent(chances(stage.best, stage.pool, stage.labels), chances(stage.gold, stage.pool, stage.labels))
    used = found.kept | stage.known | (found.flipped if use == "flipped" else False)
    return np.flatnonzero(used), np.where(stage.known, stage.better, stage.labels ^ found.flipped)


def curated(seed: int, use: Use) -> Mapping[str, float]:
    """Accuracy of models taught with what is made of a pool, for either fault of its labels."""
    measured = {}
    for fault in FAULTS:
        stage = searched(seed, fault)
        places, labels = training_set(stage, use)
        members = TEAM * FITS if use in ("pool", "gold") else TEAM  # as many are taught in all
        models = taught(30_000 + seed, stage.pool, places, labels, members)
        fresh = stage.world.pairs(np.random.default_rng(40_000 + seed), 2000)
        measured[f"accuracy, {fault}"] = accuracy(models, fresh)
        measured[f"pairs used, {fault}"] = float(len(places))
        measured[f"right among them, {fault}"] = float((labels == (stage.pool.gap > 0))[places].mean())
    return measured


def _curation_pays(found: Found) -> bool:
    """Above the raw pool, gold alone, and dropping what both models contradict."""
    others = ("raw pool", "gold alone", "kept, others dropped")
    return all(found.above("kept and flipped", other, f"accuracy, {FAULTS[0]}") for other in others)


SKYWORK_REWARD_V2 = Check(
    row=164,
    name="human-ai-preference-curation",
    claim="Of a pool of which three in ten labels are wrong for a taste for style, and 2 % verified, curation makes a "
    "model that is more accurate on clean pairs than the raw pool does and the verified pairs alone do; and turning "
    "round what both models contradict makes a more accurate one than dropping it.",
    arms={
        "raw pool": lambda seed: curated(seed, "pool"),
        "gold alone": lambda seed: curated(seed, "gold"),
        "gold and silver": lambda seed: curated(seed, "silver"),
        "kept, others dropped": lambda seed: curated(seed, "dropped"),
        "kept and flipped": lambda seed: curated(seed, "flipped"),
    },
    holds=_curation_pays,
    units={
        f"{what}, {fault}": unit
        for fault in FAULTS
        for what, unit in (("accuracy", "share of pairs"), ("pairs used", "pairs"), ("right among them", "share"))
    },
)
