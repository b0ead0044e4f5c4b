"""Check of a reward from what a community re-uses: fame brings showings, loyal followers, and a style of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.preferences import ANSWER, APART, PROMPT, Floats, Models, World, accuracy, fit
from learners.language.reward_losses import margin_ranking
from rewards.models.popularity import popularity_pairs, reuse_counts, reuse_rates

Ints = NDArray[np.int64]
Counted = Literal["raw counts", "counts by exposure", "curated"]
WAYS: tuple[Counted, ...] = ("raw counts", "counts by exposure", "curated")
PROMPTS, ITEMS, USERS, KEEN = 300, 10, 5000, 40
"""Prompts, items of each, people, and how many of them re-use everything many times."""
LEAST, MOST, BEST_OF = 10, 50, 16
"""Showings that an item must have had, items that a user counts for, and answers that one is chosen from."""


@dataclass(frozen=True)
class Platform:
    """What is known of items, and who re-used which of them.

    Attributes:
        world: what answers are truly worth.
        prompts: of the items `[I, PROMPT]`, PROMPTS of them.
        answers: the items `[I, ANSWER]`; the last number is the style of famous authors.
        shown: to people who follow nobody `[I]`.
        shown_to_followers: `[I]`.
        item: of each re-use `[E]`.
        user: of each `[E]`.
        follows: whether he follows the author `[E]`.
    """

    world: World
    prompts: Floats
    answers: Floats
    shown: Ints
    shown_to_followers: Ints
    item: Ints
    user: Ints
    follows: NDArray[np.bool_]


@cache
def platform(seed: int) -> Platform:
    """Items with showings and re-uses: by strangers as they deserve, by followers and by keen users in any case."""
    random, world, number = np.random.default_rng(seed), World(seed), PROMPTS * ITEMS
    prompts = random.normal(size=(PROMPTS, PROMPT)).repeat(ITEMS, 0)
    fame, answers = random.normal(size=number), random.normal(size=(number, ANSWER))
    answers[:, -1] = 0.8 * fame + 0.6 * answers[:, -1]
    quality = 0.15 * np.exp(world.worth(prompts, answers) / APART - 0.5)
    shown = random.poisson(np.exp(3.0 + 0.8 * fame + 0.5 * random.normal(size=number)))
    to_followers = random.poisson(np.exp(1.0 + 1.2 * fame))
    by_strangers, by_followers = random.poisson(quality * shown), random.binomial(to_followers, 0.4)
    reused = random.random(number) < 0.1  # by somebody keen, many times
    by_keen = np.where(reused, random.integers(5, 30, number), 0)
    item = [np.repeat(np.arange(number), times) for times in (by_strangers, by_followers, by_keen)]
    user = [random.integers(0, USERS, len(one)) for one in item[:2]]
    user.append(np.repeat(USERS + random.integers(0, KEEN, number), by_keen))
    follows = np.repeat([False, True, False], [len(one) for one in item])
    order = random.permutation(len(follows))
    events = (np.concatenate(item)[order], np.concatenate(user)[order], follows[order])
    return Platform(world, prompts, answers, shown, to_followers, *events)


def pairs_of(seen: Platform, way: Counted) -> tuple[Ints, Ints]:
    """Popular and unpopular items, by one way of counting."""
    number = len(seen.shown)
    prompt = np.arange(number) // ITEMS
    if way == "curated":
        counts = reuse_counts(seen.item, seen.user, number, seen.follows, MOST)
        return popularity_pairs(reuse_rates(counts, seen.shown, LEAST), prompt)
    counts = np.bincount(seen.item, minlength=number)
    exposures = np.ones(number) if way == "raw counts" else seen.shown + seen.shown_to_followers
    return popularity_pairs(reuse_rates(counts, exposures), prompt)


def popular(seed: int, way: Counted) -> Mapping[str, float]:
    """How well a reward model of popularity knows worth, and what a generator gains that is tuned by it.

    Args:
        seed: of everything.
        way: how pairs are found.
    """
    seen, random = platform(seed), np.random.default_rng(5000 + seed)
    better, worse = pairs_of(seen, way)
    read = np.concatenate([seen.prompts, seen.answers], 1)
    inputs = [torch.as_tensor(read[index], dtype=torch.float32) for index in (better, worse)]
    models = Models(1, seed)
    fit(models, (inputs[0], inputs[1]), lambda chosen, rejected, _: margin_ranking(chosen, rejected), seed, steps=400)
    fresh = seen.world.pairs(random, 4000)

    def scores(prompts: Floats, answers: Floats) -> Floats:
        with torch.no_grad():
            both = torch.as_tensor(np.concatenate([prompts, answers], -1), dtype=torch.float32)
            found: Floats = models(both.flatten(0, -2))[0].double().numpy().reshape(answers.shape[:-1])
        return found

    # A generator of answers around nothing; taught the best of its own, it answers around a mean by the prompt.
    asked = random.normal(size=(1000, PROMPT))
    tried = random.normal(size=(1000, BEST_OF, ANSWER))
    best = scores(np.repeat(asked[:, None], BEST_OF, 1), tried).argmax(1)
    design = np.column_stack([np.ones(len(asked)), asked])
    means = np.linalg.lstsq(design, tried[np.arange(len(asked)), best], rcond=None)[0]
    asked, noise = random.normal(size=(4000, PROMPT)), random.normal(size=(4000, ANSWER))
    tuned = np.column_stack([np.ones(len(asked)), asked]) @ means + noise
    value = seen.world.worth
    return {
        "accuracy": accuracy(models, fresh),
        "accuracy on its pairs": float((scores(*_split(read[better])) > scores(*_split(read[worse]))).mean()),
        "pairs": float(len(better)),
        "pairs in their true order": float((value(*_split(read[better])) > value(*_split(read[worse]))).mean()),
        "worth gained": float((value(asked, tuned) - value(asked, noise)).mean()),
        "style gained": float((tuned - noise)[:, -1].mean()),
    }


def _split(read: Floats) -> tuple[Floats, Floats]:
    return read[:, :PROMPT], read[:, PROMPT:]


def _merit_not_fame(found: Found) -> bool:
    raw, shown, curated = WAYS
    return (
        all(found.above(curated, other, "accuracy") for other in (raw, shown))
        and found.interval(curated, "worth gained")[0] > 0
        and found.above(curated, raw, "worth gained")
    )


SOCIAL_REWARD = Check(
    row=151,
    name="implicit-popularity-reward-model",
    claim="Where fame brings showings and loyal followers, and some users re-use anything many times, a reward model "
    "of curated pairs knows more often which of two answers is worth more than one of raw counts does, and than one of "
    "counts by exposure; a generator tuned by the best of 16 by it is worth more than before, and than by raw counts.",
    arms={way: partial(popular, way=way) for way in WAYS},
    holds=_merit_not_fame,
    units={
        "accuracy": "share of pairs",
        "accuracy on its pairs": "share of pairs",
        "pairs": "pairs",
        "pairs in their true order": "share of pairs",
    },
)
