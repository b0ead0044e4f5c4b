"""A check of training on several domains: which help each other, and what templates and rewards do to that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from functools import partial

import numpy as np

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.domains import (
    DOMAINS,
    LENGTH,
    MATH,
    PUZZLE,
    SORTING,
    accuracy,
    partly,
    questions,
    right,
    taught,
)
from benchmarks.methods.worlds.language import TinyPolicy, Writing, reinforce
from benchmarks.methods.worlds.scores import grpo
from rewards.columns import Column
from rewards.evaluation.transfer import Transfer, training_sets

# --- 203: math, puzzles and sorting -----------------------------------------------------------------------------------

BASE, INSTRUCT = 15, 70
"""Steps of imitation that a model has behind it."""
UPDATES, GROUPS, MEMBERS, RATE = 60, 32, 4, 2e-3
"""Of GRPO."""


def trained(policy: TinyPolicy, domains: Collection[str], seed: int, partial_reward: bool = False) -> TinyPolicy:
    """A copy of a policy after GRPO on questions of domains, in the first template."""
    judged = partly if partial_reward else right

    def components(writing: Writing) -> Mapping[str, Column]:
        return {"score": Column.full(judged(writing.prompts, writing.completions))}

    asking = partial(questions, domains=domains)
    return reinforce(deepcopy(policy), asking, components, grpo(), seed, UPDATES, GROUPS, MEMBERS, LENGTH, RATE)


def together(seed: int, steps: int) -> Mapping[str, float]:
    """Gains of single domains and of all, in the template of training and in the other, and of another reward."""
    before = taught(seed, steps)
    sets = [one for one in training_sets(DOMAINS) if len(one) in (0, 1, len(DOMAINS))]
    policies = {one: trained(before, one, seed) if one else before for one in sets}
    own, other = (
        Transfer(DOMAINS, {one: {on: accuracy(p, on, k) for on in DOMAINS} for one, p in policies.items()})
        for k in range(2)
    )
    partial_reward = accuracy(trained(before, [SORTING], seed, partial_reward=True), SORTING)
    return {
        **{f"{on}, before": own.accuracy[frozenset()][on] for on in DOMAINS},
        **{f"{one} → {on}": own.gain([one], on) for one in DOMAINS for on in DOMAINS},
        **{f"all → {on}": own.gain(DOMAINS, on) for on in DOMAINS},
        **{f"interference, {on}": value for on, value in own.interference().items()},
        "all, mean": float(np.mean([own.gain(DOMAINS, on) for on in DOMAINS])),
        "best single, mean": float(own.matrix()[1 : 1 + len(DOMAINS)].mean(1).max()),
        "lost in the other template": float(np.mean([own.gain([on], on) - other.gain([on], on) for on in DOMAINS])),
        "partial less binary, sorting": partial_reward - own.accuracy[frozenset([SORTING])][SORTING],
    }


def _related_help(found: Found) -> bool:
    """Sums and puzzles help each other; another template costs; partial rewards help only what is rarely right."""
    low = {name: found.interval("instruct", name)[0] for name in found.values["instruct"]}
    related = low[f"{MATH} → {PUZZLE}"] > 0 and low[f"{PUZZLE} → {MATH}"] > 0
    rare = found.interval("base", "partial less binary, sorting")[0] > 0
    return related and low["lost in the other template"] > 0 and rare and low["partial less binary, sorting"] <= 0


ONE_DOMAIN = Check(
    row=203,
    name="cross-domain-transfer-matrix",
    claim="After long imitation, sums and puzzles with a sum in them gain from GRPO on each other alone, and part of "
    "what a domain gains is lost in the template that was not trained with; a partial reward adds to sorting after "
    "short imitation, when lists are rarely sorted rightly, and not after long imitation, when most are.",
    arms={"base": partial(together, steps=BASE), "instruct": partial(together, steps=INSTRUCT)},
    holds=_related_help,
    units={"lost in the other template": "difference"},
)
