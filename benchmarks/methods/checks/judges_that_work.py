"""Checks of judges that work before they give a verdict: what work is worth, and how they are trained steadily."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache, partial
from typing import Literal

import numpy as np

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.written_verdicts import (
    FIRST,
    FREE,
    SECOND,
    Floats,
    Ints,
    Training,
    Writer,
    reinforced,
    swapped,
    taught,
    verdict_alone,
    verdicts,
    written,
)
from learners.language.aggregation import Aggregation
from learners.language.clipping import Clip
from learners.language.policy_loss import PolicyLoss
from pipelines.results import figure
from rewards.evaluation.consistency import position_bias
from rewards.sources.agreement import majority
from rewards.sources.judge_training import consistency_reward

# --- two answers to a sum, one of them right --------------------------------------------------------------------------

TERMS, MODULUS = 4, 7
"""Numbers of a sum, which is taken modulo the second."""
LENGTH = TERMS + 1
"""Tokens of a judgement: a running total after each number, and the verdict."""
VOCABULARY, PLACES = FREE + MODULUS, TERMS + 2 + LENGTH
SLIPS = 0.1
"""Chance that a step of the teacher's work is wrong; he goes on from there."""
IMITATING, LEARNING = 400, 200
"""Steps of imitation, and of what comes after it."""
TESTED = 2000


def pairs(random: np.random.Generator, number: int) -> tuple[Ints, Ints]:
    """Numbers and two answers `[n, TERMS + 2]`, and which of both is right: 1 the first, −1 the second `[n]`."""
    terms = random.integers(0, MODULUS, (number, TERMS))
    right = terms.sum(1) % MODULUS
    wrong = (right + random.integers(1, MODULUS, number)) % MODULUS
    first = random.random(number) < 0.5
    answers = np.stack([np.where(first, right, wrong), np.where(first, wrong, right)], 1)
    return FREE + np.concatenate([terms, answers], 1), np.where(first, 1, -1)


def totals(prompts: Ints, slips: Ints | int = 0) -> Ints:
    """Running totals, as tokens `[n, TERMS]`; each slip is carried on."""
    return FREE + (prompts[:, :TERMS] - FREE + slips).cumsum(1) % MODULUS


def work(random: np.random.Generator, prompts: Ints) -> Ints:
    """What the teacher writes: his totals, and the answer that they lead to, or any where they lead to neither."""
    shape = (len(prompts), TERMS)
    found = totals(prompts, random.integers(1, MODULUS, shape) * (random.random(shape) < SLIPS))
    guess = np.where(random.random(len(prompts)) < 0.5, FIRST, SECOND)
    verdict = np.select([found[:, -1] == prompts[:, -2], found[:, -1] == prompts[:, -1]], [FIRST, SECOND], guess)
    return np.concatenate([found, verdict[:, None]], 1)


def label(random: np.random.Generator, prompts: Ints) -> Ints:
    """The right verdict, and nothing before it `[n, 1]`."""
    return np.where(totals(prompts)[:, -1] == prompts[:, -2], FIRST, SECOND)[:, None]


@cache
def distilled(seed: int) -> Writer:
    """A judge that has imitated the teacher; it may not be trained."""
    return taught(Writer(seed, VOCABULARY, PLACES), pairs, work, seed, IMITATING)


# --- 35: verdicts at once, work that was imitated, and work that was rewarded -----------------------------------------

Way = Literal["verdict at once", "distilled", "distilled, then RL"]


def reasoning(seed: int, way: Way) -> Mapping[str, float]:
    """How often a judge is right of new pairs.

    Args:
        seed: of everything.
        way: how it was trained, in as many steps.
    """
    length = LENGTH
    if way == "verdict at once":
        judge, length = Writer(seed, VOCABULARY, PLACES), 1
        taught(judge, pairs, label, seed, IMITATING + LEARNING)
    elif way == "distilled":
        judge = taught(deepcopy(distilled(seed)), pairs, work, 500 + seed, LEARNING)
    else:
        judge = reinforced(
            distilled(seed), pairs, verdict_alone, length, seed, Training(kl=1e-3, updates=LEARNING)
        ).judge
    prompts, gold = pairs(np.random.default_rng(10_000 + seed), TESTED)
    drawn, likeliest = (written(judge, prompts, length, seed, greedy) for greedy in (False, True))
    turned = written(judge, swapped(prompts), length, seed, greedy=True)
    same = position_bias((1 + verdicts(likeliest)) / 2, (1 + verdicts(turned)) / 2).consistent.value
    worked = (drawn[:, :-1] == totals(prompts)).all(-1) if length > 1 else np.zeros(TESTED)
    return {
        "right": float((verdicts(drawn) == gold).mean()),
        "right, the likeliest tokens": float((verdicts(likeliest) == gold).mean()),
        "work without a slip": float(worked.mean()),
        "same winner when swapped": same or 0.0,
    }


RM_R1 = Check(
    row=35,
    name="reasoning-reward-model",
    claim="Of pairs of answers to a sum, a judge that has imitated a teacher's work, of whose steps a tenth is wrong, "
    "is right more often than one that was taught right verdicts at once, by over 0.1; and after reinforcement by the "
    "verdict alone more often than after as many more steps of imitation, by over 0.05.",
    arms={way: partial(reasoning, way=way) for way in ("verdict at once", "distilled", "distilled, then RL")},
    holds=lambda found: (
        found.above("distilled", "verdict at once", "right", by=0.1)
        and found.above("distilled, then RL", "distilled", "right", by=0.05)
    ),
    units=dict.fromkeys(
        ("right", "right, the likeliest tokens", "work without a slip", "same winner when swapped"), "share of pairs"
    ),
)


# --- 45: log-probabilities that were not kept well --------------------------------------------------------------------

VOTED, VOTERS = 400, 15
"""Pairs that are voted on, and judgements of each."""
STEPS, FAULTY = 4, 0.005
"""Of gradient on one batch, and the share of tokens whose log-probability was not kept well."""


def supervised(prompts: Ints, tokens: Ints, gold: Ints) -> Floats:
    """The reward of R1-Reward; whether the verdict follows from the last total is told by rule."""
    said, total = verdicts(tokens), tokens[:, -2]
    formed = (said != 0) & (tokens[:, :-1] >= FREE).all(-1)
    follows = total == np.where(said > 0, prompts[:, -2], prompts[:, -1])
    return consistency_reward(said == gold, follows & (said != 0), formed)


def steady(seed: int, pre: float | None, advantage: str) -> Mapping[str, float]:
    """What becomes of a judge some of whose tokens seem to have become far more likely than they have.

    Args:
        seed: of everything.
        pre: pre-clip of the ratio.
        advantage: with the filter or without.
    """
    loss = PolicyLoss(bound=Clip(pre=pre), aggregation=Aggregation(by="sequence"))
    how = Training(advantage, loss, updates=60, groups=64, members=1, steps=STEPS, garbled=FAULTY)
    learnt = reinforced(distilled(seed), pairs, supervised, LENGTH, seed, how)
    prompts, gold = pairs(np.random.default_rng(10_000 + seed), VOTED)
    tokens = written(learnt.judge, np.repeat(prompts, VOTERS, 0), LENGTH, seed)
    votes = tokens[:, -1].reshape(VOTED, VOTERS)
    wanted = np.where(gold > 0, FIRST, SECOND)
    return {
        "right": float((votes == wanted[:, None]).mean()),
        "right, 5 votes": float((majority(votes[:, :5]) == wanted).mean()),
        "right, 15 votes": float((majority(votes) == wanted).mean()),
        "largest loss": learnt.loss,
        "largest log-ratio": learnt.log_ratio,
    }


def _steadier(found: Found) -> bool:
    """Smaller losses, more right, and more still by voting."""
    own = found.values["StableReinforce"]

    def gain(one: str, other: str) -> bool:
        return (figure(np.subtract(own[one], own[other]).tolist(), "difference").low or 0.0) > 0

    return (
        found.below("StableReinforce", "Reinforce++", "largest loss")
        and found.above("StableReinforce", "Reinforce++", "right")
        and gain("right, 5 votes", "right")
        and gain("right, 15 votes", "right")
    )


R1_REWARD = Check(
    row=45,
    name="stable-reinforce-judge",
    claim="Where the log-probability of one token in two hundred was kept twelve nats too low, so that its ratio is "
    "large, a judge's largest loss is smaller with StableReinforce (pre-clip and filter of advantages) than with "
    "Reinforce++, and it is right more often in the end; the majority of 5 and of 15 of its judgements is right more "
    "often than one.",
    arms={
        "Reinforce++": lambda seed: steady(seed, None, "reinforce_pp"),
        "pre-clip alone": lambda seed: steady(seed, 1e3, "reinforce_pp"),
        "filter alone": lambda seed: steady(seed, None, "stable_reinforce"),
        "StableReinforce": lambda seed: steady(seed, 1e3, "stable_reinforce"),
    },
    holds=_steadier,
    units=dict.fromkeys(("right", "right, 5 votes", "right, 15 votes"), "share of pairs"),
)
