"""Checks of reward models that read principles: in pairs, with yes or no of single answers, and in whole lists."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.methods.checks.judging import answered, novice
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import attributes
from benchmarks.methods.worlds.language import Writing, reinforce, write
from benchmarks.methods.worlds.principles import (
    ATTRIBUTES,
    FEATURES,
    WORDS,
    Floats,
    Ints,
    World,
    held_out,
    in_order,
    taught,
)
from benchmarks.methods.worlds.scores import grpo
from learners.language.reward_losses import bradley_terry, entailment
from pipelines.results import figure
from rewards.columns import Column
from rewards.groups import group_advantages
from rewards.models.conditioned_reward import ConditionedReward
from rewards.sources.judge_training import ranking_reward
from rewards.sources.principle_preferences import both_orders, decided, drawn

TESTED = 4000

# --- 83: preferences by principles that are drawn, and a principle more ----------------------------------------------

PAIRS, NOISE, PLACE = 6000, 0.3, 0.5
"""Pairs, noise of a judge's score of one of them, and how much it likes whatever stands first."""
BIAS = 0.5
"""How much length alone is taken for coverage of a topic."""
COVER, LONG = np.array([1, 0, 0, 0]), np.array([0, 0, 0, 1])
"""Principles about answers in words: cover the topic; be long."""


def labelled(random: np.random.Generator, gaps: Floats) -> tuple[Ints, Floats]:
    """Principles for pairs, and whether the first answer is better by them, as a judge scores both orders `[N, K]`."""
    forward, backward = (gaps + place + NOISE * random.normal(size=gaps.shape) for place in (PLACE, -PLACE))
    signs = drawn(random, *gaps.shape)
    return signs, decided(both_orders(forward, backward), signs).first


def learnt(world: World, pairs: Floats, signs: Ints, first: Floats, seed: int) -> ConditionedReward:
    """A reward model taught by Bradley-Terry on pairs `[N, 2, K]` that some principle decides."""
    use = ~np.isnan(first)
    better = np.where((first == 1)[:, None, None], pairs, pairs[:, ::-1])[use]
    answers, conditions = world.seen(better), world.clauses(signs[use])[:, None]
    model = ConditionedReward(FEATURES, WORDS, seed=seed)

    def loss(rows: Tensor) -> Tensor:
        scores = model(answers[rows], conditions[rows])
        return bradley_terry(scores[:, 0], scores[:, 1])

    taught(model, loss, len(answers), seed, steps=400)
    return model


class Completions:
    """Completions about topics as a reward model sees them, and one that was taught with pairs of them."""

    def __init__(self, seed: int, reads: int) -> None:
        """Teach it with answers of a policy that is yet to learn; it reads principles, or (0) does not."""
        self._world, self._reads = World(500 + seed, attributes=4), reads
        pairs = answered(seed, 800)
        found = traits(pairs)
        self._mean, self._spread = found.mean(0), found.std(0) + 1e-6
        judged = found.copy()
        judged[:, 0] += BIAS * found[:, 3]  # who judges coverage takes length for some of it
        judged = (judged / (judged.std(0) + 1e-6)).reshape(-1, 2, 4)
        signs, first = labelled(self._world.random, judged[:, 0] - judged[:, 1])
        shown = ((found - self._mean) / self._spread).reshape(-1, 2, 4)
        self._model = learnt(self._world, shown, signs * reads, first, seed)

    @torch.no_grad()
    def rewards(self, writing: Writing, principles: Ints) -> Floats:
        """Of completions by these principles `[4]`, `[B]`."""
        answers = self._world.seen((traits(writing) - self._mean) / self._spread)
        found: Floats = self._model(answers, self._world.clauses(principles * self._reads)).double().numpy()
        return found


def traits(writing: Writing) -> Floats:
    """Coverage, padding, repetition and length of completions `[B, 4]`."""
    length = writing.length / attributes.LENGTH
    counted = attributes.coverage(writing), attributes.padding(writing), attributes.repetition(writing)
    return np.column_stack([*counted, length]).astype(np.float64)


def steered(seed: int, judge: Completions, principles: Sequence[Ints]) -> list[tuple[float, float]]:
    """Words and worth of a policy's answers after policy gradient by each of these principles, one after another."""
    policy, found = copy.deepcopy(novice(seed)), []
    asked = attributes.prompts(np.random.default_rng(10_000 + seed), 256)
    for stage, of_now in enumerate(principles):

        def components(writing: Writing, of_now: Ints = of_now) -> Mapping[str, Column]:
            return {"score": Column.full(judge.rewards(writing, of_now))}

        reinforce(
            policy,
            attributes.prompts,
            components,
            grpo(),
            100 * seed + stage,
            updates=60,
            length=attributes.LENGTH,
            entropy=0.03,  # else a policy that always writes to the end never finds out what it is to stop
        )
        written = write(policy, asked, 2, attributes.LENGTH, torch.Generator().manual_seed(seed))
        found.append((float(written.length.mean()), float(attributes.gold(written).mean())))
    return found


def following(seed: int, reads: int) -> Mapping[str, float]:
    """What a reward model knows of sets of principles that it was not taught, and what comes of one principle more.

    Args:
        seed: of everything.
        reads: 1: it reads the principles; 0: it sees the same pairs and labels, and no principles.
    """
    world = World(seed)
    pairs = world.random.normal(size=(PAIRS, 2, ATTRIBUTES))
    signs, first = labelled(world.random, pairs[:, 0] - pairs[:, 1])
    known = ~held_out(signs)
    model = learnt(world, pairs[known], signs[known] * reads, first[known], seed)
    fresh = world.random.normal(size=(TESTED, 2, ATTRIBUTES))
    signs = drawn(world.random, TESTED, ATTRIBUTES)
    fresh, signs = fresh[held_out(signs)], signs[held_out(signs)]
    answers, gaps = world.seen(fresh), fresh[:, 0] - fresh[:, 1]
    alone = np.eye(ATTRIBUTES, dtype=np.int64)[world.random.integers(0, ATTRIBUTES, len(fresh))]
    with torch.no_grad():
        scores, one, negated = (
            model(answers, world.clauses(asked * reads)[:, None]) for asked in (signs, alone, -alone)
        )
    right = in_order(scores, 2 * decided(gaps, signs).first - 1)
    pulled = ((gaps * signs) > 0).any(1) & ((gaps * signs) < 0).any(1)
    flipped = ((one[:, 0] - one[:, 1]) * (negated[:, 0] - negated[:, 1]) < 0).double().mean()
    before, after = steered(seed, Completions(seed, reads), (COVER, COVER - LONG))
    return {
        "right, unseen sets": float(right.mean()),
        "right where principles conflict": float(right[pulled].mean()),
        "flipped by negation": float(flipped),
        "words": before[0],
        "words, brevity asked": after[0],
        "gold": before[1],
        "gold, brevity asked": after[1],
    }


def _follows(found: Found) -> bool:
    """Far better on unseen sets, turned by negation, and briefer and better with one principle more."""
    reading = found.values["principles read"]

    def gain(measure: str, sign: float) -> bool:
        apart = np.subtract(reading[f"{measure}, brevity asked"], reading[measure])
        return (figure((sign * apart).tolist(), "difference").low or 0.0) > 0

    low, high = found.interval("principles not read", "right where principles conflict")
    return (
        found.above("principles read", "principles not read", "right, unseen sets", by=0.2)
        and 0.4 < low <= high < 0.6
        and found.mean("principles read", "flipped by negation") > 0.8
        and gain("words", -1.0)
        and gain("gold", 1.0)
    )


SALMON = Check(
    row=83,
    name="principle-conditioned-reward-model",
    claim="Of pairs with sets of principles that were not taught, a reward model that reads them is right by more than "
    "0.2 more often than one that does not, which is near chance where principles conflict; to negate a single "
    "principle flips over 0.8 of its preferences; and when a policy has learnt by one principle, to ask the same model "
    "for brevity as well makes its answers shorter and better.",
    arms={
        "principles read": partial(following, reads=1),
        "principles not read": partial(following, reads=0),
    },
    holds=_follows,
    units={
        "right, unseen sets": "share of pairs",
        "right where principles conflict": "share of pairs",
        "flipped by negation": "share of pairs",
        "words": "words",
        "words, brevity asked": "words",
    },
)


# --- 87: yes or no to a principle -------------------------------------------------------------------------------------

LABELS, WRONG = 800, 0.1
"""Labels that each model learns from, and the share of them that is wrong."""
Feedback = Literal["yes or no", "pairs, by one principle", "pairs, by all"]


def flexible(seed: int, feedback: Feedback) -> Mapping[str, float]:
    """How well answers are ordered by one principle and by all, after as many labels of one kind.

    Args:
        seed: of everything.
        feedback: whether single answers fulfil one principle; which of two answers, that differ in it, does; or which
            of two fulfils more of all principles, which is all that is said of them (Bradley-Terry).
    """
    world = World(seed)
    random = world.random
    model = ConditionedReward(FEATURES, WORDS, seed=seed)
    every = world.clauses(np.ones(ATTRIBUTES, np.int64))
    which = random.integers(0, ATTRIBUTES, LABELS)
    both = random.integers(0, 2, (LABELS, 2, ATTRIBUTES))
    rows = np.arange(LABELS)
    wrong = random.random(LABELS) < WRONG
    if feedback == "yes or no":
        answers, conditions = world.seen((2.0 * both[:, 0] - 1).astype(np.float64)), every[which][:, None]
        label = torch.as_tensor(both[rows, 0, which] ^ wrong, dtype=torch.float32)

        def loss(rows: Tensor) -> Tensor:
            return entailment(model.each(answers[rows], conditions[rows])[:, 0], label[rows])

        taught(model, loss, LABELS, seed, batch=128)
    else:
        if feedback == "pairs, by one principle":
            both[rows, 1, which] = 1 - both[rows, 0, which]
            gaps = (both[:, 0] - both[:, 1])[rows, which].astype(np.float64)
            conditions = every[which][:, None, None]
        else:
            gaps = (both[:, 0] - both[:, 1]).sum(1) + 0.5 * (2.0 * random.integers(0, 2, LABELS) - 1)  # ties by chance
            conditions = torch.zeros(LABELS, 1, 1, WORDS)
        first = ((gaps > 0) ^ wrong)[:, None, None]
        answers = world.seen(2.0 * np.where(first, both, both[:, ::-1]) - 1)

        def loss(rows: Tensor) -> Tensor:
            scores = model(answers[rows], conditions[rows])
            return bradley_terry(scores[:, 0], scores[:, 1])

        taught(model, loss, LABELS, seed, batch=64)  # of two answers each: as much compute
    fresh = random.integers(0, 2, (TESTED, 2, ATTRIBUTES))
    shown, leads = world.seen((2.0 * fresh - 1).astype(np.float64)), fresh[:, 0] - fresh[:, 1]
    with torch.no_grad():
        if feedback == "pairs, by all":
            total = model.plain(shown)
            scores = total[..., None].expand(-1, -1, ATTRIBUTES)
        else:
            scores = model.each(shown, every)
            total = scores.sigmoid().sum(-1)  # how many principles it fulfils, as far as is known
    return {"right by one principle": _right_by_each(scores, leads), **_right_by_all(scores, total, leads)}


def _right_by_each(scores: Tensor, gaps: Ints) -> float:
    """Of pairs that differ in a principle `[N, 2, K]`, the share in order by it, mean over principles."""
    shares = [in_order(scores[..., k], gaps[:, k])[gaps[:, k] != 0].mean() for k in range(ATTRIBUTES)]
    return float(np.mean(shares))


def _right_by_all(scores: Tensor, total: Tensor, gaps: Ints) -> Mapping[str, float]:
    """Of pairs that are not equally good, the share in order; of all, the share that another principle turns round."""
    better = gaps.sum(1)
    apart = torch.sign(scores[:, 0] - scores[:, 1])
    return {
        "right by all": float(in_order(total, better)[better != 0].mean()),
        "order turned by another principle": float((apart * apart.roll(1, 1) < 0).double().mean()),
    }


def _yes_or_no_is_enough(found: Found) -> bool:
    one, other = "yes or no", "pairs, by all"
    return (
        found.above(one, other, "right by one principle")
        and (found.difference(one, other, "right by all").low or 0.0) > -0.02
        and found.mean(one, "order turned by another principle") > 0.2
    )


FEEDBACKS: tuple[Feedback, ...] = ("yes or no", "pairs, by one principle", "pairs, by all")

RLBFF = Check(
    row=87,
    name="binary-principle-reward-model",
    claim="After as many labels, yes or no of single answers to one of eight principles teaches to order pairs by one "
    "principle better than preferences by all of them do, and by all of them no worse (by 0.02); another principle "
    "turns the order of more than a fifth of the pairs.",
    arms={feedback: partial(flexible, feedback=feedback) for feedback in FEEDBACKS},
    holds=_yes_or_no_is_enough,
    units={
        "right by one principle": "share of pairs",
        "right by all": "share of pairs",
        "order turned by another principle": "share of pairs",
    },
)


# --- 93: a judge of lists --------------------------------------------------------------------------------------------

LISTS, MEMBERS, LEVELS, SAMPLES = 1500, 4, 5, 8
"""Lists, answers of each, scores that a judge can give, and judgements of one list that are compared."""
FIXED = np.array([1, 1, 1, 0, 0, 0, 0, 0])
"""The one preference that an ordinary reward model is taught."""
Training = Literal["lists", "pairs"]


def worth(answers: Floats, signs: Ints) -> Floats:
    """Of lists of answers `[N, MEMBERS, K]` by a principle each `[N, K]`, `[N, MEMBERS]`."""
    found: Floats = (answers * signs[:, None]).sum(-1)
    return found


def by_grpo(model: ConditionedReward, answers: Tensor, sentences: Tensor, consensus: Floats, seed: int) -> None:
    """Train a judge that gives a score from 1 to 5 to each answer of a list; what it says of the whole list is paid."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    levels = torch.arange(LEVELS) - (LEVELS - 1) / 2
    for _ in range(300):
        rows = torch.randint(len(answers), (32,), generator=generator)
        scores = model(answers[rows], sentences[rows])
        chances = (-(scores[..., None] - levels).square()).log_softmax(-1)
        flat = chances.detach().exp().flatten(0, 1)
        given = torch.multinomial(flat, SAMPLES, replacement=True, generator=generator)
        given = given.view(-1, MEMBERS, SAMPLES).transpose(1, 2)  # lists, judgements, answers
        agreed = np.repeat(consensus[rows.numpy()], SAMPLES, axis=0)
        paid = ranking_reward(given.flatten(0, 1).numpy(), agreed, np.ones(len(agreed), np.bool_))
        advantage = torch.as_tensor(group_advantages(Column.full(paid.reshape(-1, SAMPLES))).values)
        log_probs = chances[:, None].expand(-1, SAMPLES, -1, -1).gather(-1, given[..., None])[..., 0].sum(-1)
        optimiser.zero_grad()
        (-(advantage * log_probs).mean()).backward()
        optimiser.step()


def by_pairs(model: ConditionedReward, answers: Tensor, sentences: Tensor, consensus: Floats, seed: int) -> None:
    """Bradley-Terry on all pairs of the same lists."""
    one, other = np.triu_indices(MEMBERS, 1)
    sign = torch.as_tensor(np.sign(consensus[:, one] - consensus[:, other]), dtype=torch.float32)

    def loss(rows: Tensor) -> Tensor:
        scores = model(answers[rows], sentences[rows])
        apart = sign[rows] * (scores[:, one] - scores[:, other])
        return bradley_terry(apart, torch.zeros_like(apart))

    taught(model, loss, len(answers), seed, batch=32, rate=5e-3)


def listwise(seed: int, training: Training, reads: int) -> Mapping[str, float]:
    """Kendall's tau of a judge that was taught with what three noisy judges agree on.

    Args:
        seed: of everything.
        training: by GRPO on lists, or by Bradley-Terry on their pairs.
        reads: 1: it reads a principle with each list; 0: it is taught one preference, and reads none.
    """
    world = World(seed)
    random = world.random
    signs = drawn(random, LISTS, ATTRIBUTES, stop=0.5, most=3)
    signs = signs[~held_out(signs)] if reads else np.tile(FIXED, (int((~held_out(signs)).sum()), 1))
    answers = random.normal(size=(len(signs), MEMBERS, ATTRIBUTES))
    consensus = worth(answers, signs) + random.normal(0, 0.5, (3, len(signs), MEMBERS)).mean(0)
    model = ConditionedReward(FEATURES, WORDS, seed=seed)
    teach = by_grpo if training == "lists" else by_pairs
    teach(model, world.seen(answers), world.sentence(signs * reads)[:, None], consensus, seed)
    new = drawn(random, TESTED, ATTRIBUTES, stop=0.5, most=3)
    new = new[held_out(new)]
    fresh = random.normal(size=(len(new), MEMBERS, ATTRIBUTES))
    shown = world.seen(fresh)

    @torch.no_grad()
    def tau(asked: Ints) -> float:
        scores = model(shown, world.sentence(asked * reads)[:, None]).double().numpy()
        return float(ranking_reward(scores, worth(fresh, asked), np.ones(len(asked), np.bool_), power=0).mean())

    unseen = tau(new)
    return {
        "tau, unseen principles": unseen,
        "tau, with their opposites": (unseen + tau(-new)) / 2,
        "tau, the fixed preference": tau(np.tile(FIXED, (len(new), 1))),
    }


def _lists_by_principle(found: Found) -> bool:
    read, fixed = "lists, by principle", "lists, one preference"
    return (
        found.above(read, fixed, "tau, unseen principles", by=0.3)
        and found.interval(read, "tau, with their opposites")[0] > 0.3
        and abs(found.mean(fixed, "tau, with their opposites")) < 0.05
    )


REWARD_ANYTHING = Check(
    row=93,
    name="listwise-principle-judge",
    claim="Kendall's tau of a judge that reads principles and is trained on whole lists is higher on unseen principles "
    "than that of one trained on a single preference by more than 0.3, and stays above 0.3 with their opposites added, "
    "where the other one's is 0.",
    arms={
        "lists, by principle": partial(listwise, training="lists", reads=1),
        "pairs, by principle": partial(listwise, training="pairs", reads=1),
        "lists, one preference": partial(listwise, training="lists", reads=0),
    },
    holds=_lists_by_principle,
    units=dict.fromkeys(
        ("tau, unseen principles", "tau, with their opposites", "tau, the fixed preference"), "Kendall's τ"
    ),
)
