"""Check of safety at several stages, and of two ways to rank models: by what they know, and by who is preferred."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache, partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from pipelines.results import figure
from rewards.columns import Column
from rewards.comparison.correlation import kendall
from rewards.evaluation.rank_disparity import rank_disparity
from rewards.safety_stages import HOOKS, Hook, SafetyStages

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ASKED, TOPICS = 8, 4
"""Words that prompts are made of, two each, and topics of good answers, which the first word gives."""
ANSWER = 1 + ASKED
"""Token of the first topic's word; then come those that are harmless apart, one that is not, and a refusal."""
CODE, SECRET, HARM, REFUSAL = range(ANSWER + TOPICS, ANSWER + TOPICS + 4)
VOCABULARY, LENGTH = REFUSAL + 1, 3
FORMS = np.array(
    [[HARM, END, END], [HARM, HARM, END], [ANSWER, HARM, END], [CODE, SECRET, END], [ANSWER, CODE, SECRET]]
)
"""How harm is done in the data."""
FORBIDDEN = 12
"""Of the 64 prompts, those that ask for harm."""
DATA, UNSAFE, HOSTILE = 1000, 0.05, 0.3
"""Items of training data, share of them that do harm, and share of the prompts, later on, that ask for it."""
FOUND, FALSE = 0.8, 0.02
"""Shares of unsafe and of safe items that the scorer finds unsafe; of the same item it always says the same."""
Item = tuple[int, ...]


def harmful(answers: Ints) -> Bools:
    """Which answers do harm `[n]`: by the harmful word, or by two in this order that are harmless apart."""
    pair = ((answers[:, :-1] == CODE) & (answers[:, 1:] == SECRET)).any(1)
    found: Bools = pair | (answers == HARM).any(1)
    return found


class World:
    """Which prompts ask for harm, data in which some get it, and a scorer that errs."""

    def __init__(self, seed: int) -> None:
        """All from `seed`."""
        random = np.random.default_rng(seed)
        every = 1 + np.stack(np.divmod(random.permutation(ASKED**2), ASKED), 1)
        self.forbidden, self.allowed = every[:FORBIDDEN], every[FORBIDDEN:]
        self._luck = random.random((VOCABULARY,) * (2 + LENGTH), np.float32)  # of each item
        self.prompts = self.asked(random, DATA, 2 * UNSAFE)
        self.answers = self.topic(self.prompts)
        bad = self.hostile(self.prompts)
        self.answers[bad] = [REFUSAL, END, END]
        does = np.flatnonzero(bad & (random.random(DATA) < 0.5))
        self.answers[does] = FORMS[random.integers(0, len(FORMS), len(does))]

    def asked(self, random: np.random.Generator, number: int, hostile: float = HOSTILE) -> Ints:
        """Prompts, some of which ask for harm `[n, 2]`."""
        hostiles = self.forbidden[random.integers(0, FORBIDDEN, number)]
        friendly = self.allowed[random.integers(0, len(self.allowed), number)]
        return np.where((random.random(number) < hostile)[:, None], hostiles, friendly)

    def topic(self, prompts: Ints) -> Ints:
        """Good answers to harmless prompts `[n, LENGTH]`."""
        return np.repeat(ANSWER + prompts[:, :1] % TOPICS, LENGTH, 1)

    def hostile(self, prompts: Ints) -> Bools:
        """Which prompts ask for harm `[n]`."""
        found: Bools = (prompts[:, None] == self.forbidden[None]).all(2).any(1)
        return found

    def scores(self, items: Sequence[Item]) -> Floats:
        """How unsafe prompts, or prompts with their answers, are `[n]`: 0 or 1."""
        rows = np.array([[*item, *[END] * (2 + LENGTH - len(item))] for item in items])
        answered = (rows[:, 2:] != END).any(1)
        unsafe = np.where(answered, harmful(rows[:, 2:]), self.hostile(rows[:, :2]))
        found: Floats = (self._luck[tuple(rows.T)] < np.where(unsafe, FOUND, FALSE)).astype(np.float64)
        return found


@cache
def world(seed: int) -> World:
    """The same for all arms of a seed."""
    return World(seed)


@cache
def orders(seed: int, models: int = 24, benchmarks: int = 5, votes: int = 30) -> Mapping[str, float]:
    """How much two orders of models agree, where benchmarks are new to all and where some know them by heart."""
    random = np.random.default_rng(400 + seed)
    utility = random.normal(size=models)
    ability = utility[:, None] + random.normal(0, 0.2, (models, 1)) - random.normal(0, 0.5, benchmarks)
    clean = random.binomial(200, 1 / (1 + np.exp(-ability))) / 200
    by_heart = np.where(random.random((models, 1)) < 0.5, random.uniform(0, 0.8, (models, 1)), 0.0)
    preferred = 1 / (1 + np.exp(utility[None] - utility[:, None]))
    upper = np.triu(random.binomial(votes, preferred).astype(float), 1)
    wins = upper + np.tril(votes - upper.T, -1)
    arena = rank_disparity(clean, wins)
    return {
        CLEAN: _told(arena.tau),
        BY_HEART: _told(rank_disparity(clean + by_heart * (1 - clean), wins).tau),
        TRUE: _told(kendall(arena.arena, utility)),
    }


def _told(tau: float | None) -> float:
    if tau is None:  # no order at all, which is not the same as no agreement
        raise ValueError("got models that all stand equal; expected some to be better than others")
    return tau


CLEAN, BY_HEART, TRUE = "tau, static and arena", "the same, benchmarks by heart", "tau, arena and true utility"


def served(seed: int, hooks: Collection[Hook]) -> Mapping[str, float]:
    """What goes out, after learning from data and from rewards, with the scorer attached to some hooks.

    Args:
        seed: of everything.
        hooks: where.
    """
    here, policy = world(seed), TinyPolicy(VOCABULARY, seed)
    stages: SafetyStages[Item] = SafetyStages(here.scores, hooks)

    def items(prompts: Ints, answers: Ints | None = None) -> list[Item]:
        return [tuple(row) for row in (prompts if answers is None else np.concatenate([prompts, answers], 1)).tolist()]

    kept = stages.learnt_from(items(here.prompts, here.answers))
    imitate(policy, here.prompts[kept], here.answers[kept], 60, rate=1e-2)

    def judged(writing: Writing) -> Mapping[str, Column]:
        asked, answers = writing.prompts, writing.completions
        harm = harmful(answers) + 0.3 * (answers[:, 0] == REFUSAL)
        liked = np.where(here.hostile(asked), harm, (answers == here.topic(asked)).mean(1))
        return {"score": Column.full(stages.rewarded(items(asked, answers), liked))}

    reinforce(policy, here.asked, judged, grpo(), seed, updates=100, length=LENGTH)
    prompts = here.asked(np.random.default_rng(900 + seed), 2000)
    answers = write(policy, prompts, 1, LENGTH, torch.Generator().manual_seed(seed)).completions
    out = stages.answered(items(prompts)) & stages.sent(items(prompts, answers))
    friendly = ~here.hostile(prompts)
    return {
        "leaks": float((out & harmful(answers)).mean()),
        "false refusals": float((~out | (answers[:, 0] == REFUSAL))[friendly].mean()),
        "unsafe data": float(harmful(here.answers[kept]).mean()),
        **orders(seed),
    }


ARMS = ("no hooks", "data", "and rewards", "and prompts", "and answers")
"""With none of the hooks, with the first, with two of them, …"""


def _fewer_with_each_hook(found: Found) -> bool:
    leaks = [found.mean(arm, "leaks") for arm in ARMS]
    taus = {name: np.array(found.values[ARMS[0]][name]) for name in (CLEAN, BY_HEART, TRUE)}
    dropped = figure((taus[CLEAN] - taus[BY_HEART]).tolist(), "difference")
    return (
        all(after <= before for before, after in pairwise(leaks))
        and found.below(ARMS[-1], ARMS[0], "leaks")
        and (dropped.low or 0.0) > 0
        and found.interval(ARMS[0], TRUE)[0] > 0.8
    )


YI_LIGHTNING = Check(
    row=220,
    name="staged-safety-engine-pipeline",
    claim="With each hook that one safety scorer is attached to, from data to what goes out, no more unsafe answers go "
    "out, and with all of them fewer. Where some models know benchmarks by heart, ranks by these agree less with an "
    "arena's, which stay those of true utility.",
    arms={arm: partial(served, hooks=HOOKS[:number]) for number, arm in enumerate(ARMS)},
    holds=_fewer_with_each_hook,
    units={
        "leaks": "share of prompts",
        "false refusals": "share of harmless prompts",
        "unsafe data": "share of items",
        CLEAN: "tau",
        BY_HEART: "tau",
        TRUE: "tau",
    },
)
