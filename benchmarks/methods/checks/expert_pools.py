"""Check of a router that is paid for right answers and for cheap ones, over a pool of experts with prices."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.forms import Field, Form, trained
from benchmarks.methods.worlds.menu import view
from rewards.columns import Column
from rewards.prices import Prices

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
PRICES = [Prices(million_tokens=price) for price in (0.1, 0.3, 0.9, 3.0)]
TALENT = (0.45, 0.55, 0.65, 0.75)
"""Share of right replies of each expert; those of a domain lie up to 0.2 off."""
EXPERTS, DOMAINS, QUESTIONS = len(PRICES), 6, 3000
NOBODY = EXPERTS
"""In the place of a second expert: the first reply is the answer."""
TRUST = 0.8
"""Chance that a right reply looks right, and a wrong one wrong."""
FORMS = 3
"""Ways to write down the answer, of which the first alone can be read."""


class Pool:
    """Questions of several domains, and what each expert would reply to each of them.

    Attributes:
        domain: of each question `[Q]`.
        right: whether an expert's reply is `[Q, M]`.
        looks: whether it looks right `[Q, M]`.
        cost: of asking `[Q, M]`.
    """

    def __init__(self, seed: int, drawn: int) -> None:
        """The experts of `seed`, and the `drawn`th set of questions for them."""
        skill = np.array(TALENT) + np.random.default_rng(seed).uniform(-0.2, 0.2, (DOMAINS, EXPERTS))
        random = np.random.default_rng([seed, drawn])
        self.domain = random.integers(0, DOMAINS, QUESTIONS)
        self.right = random.random((QUESTIONS, EXPERTS)) < skill[self.domain]
        self.looks = self.right ^ (random.random(self.right.shape) > TRUST)
        tokens = random.lognormal(np.log(200), 0.5, self.right.shape).astype(np.int64)
        self.cost = np.array([[p.cost(1, int(n)) for p, n in zip(PRICES, row, strict=True)] for row in tokens])

    def router(self) -> Form:
        """Who asks one expert, sees whether the reply looks right, may ask another, and writes down the last reply."""

        def after_reply(question: Ints, filled: Ints) -> Ints:
            asked = filled[:, 0]
            return (self.domain[question] * EXPERTS + asked) * 2 + self.looks[question, asked]

        return Form(
            [
                Field(EXPERTS, DOMAINS, lambda question, filled: self.domain[question]),
                Field(EXPERTS + 1, DOMAINS * EXPERTS * 2, after_reply),
                Field(FORMS, 1, lambda question, filled: np.zeros(len(question), np.int64)),
            ]
        )

    def judged(self, question: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        """Whether the answer is right and in its form, and what the calls have cost."""
        first, second = forms[:, 0], forms[:, 1]
        again = second != NOBODY
        last = np.where(again, second, first)
        cost = self.cost[question, first] + np.where(again, self.cost[question, last], 0.0)
        return {
            "right": Column.full(self.right[question, last].astype(np.float64)),
            "cost": Column.full(cost),
            "form": Column.full((forms[:, 2] == 0).astype(np.float64)),
        }


def routed(seed: int, alpha: float, gated: bool = True, updates: int = 400) -> Mapping[str, float]:
    """Accuracy and cost of a trained router on questions that are new to it, beside the best single expert.

    Args:
        seed: of everything.
        alpha: weight of a cheap answer against a right one.
        gated: whether a cheap answer is worth nothing where it is wrong.
        updates: batches.
    """
    made = view(
        {"right": "episode", "cost": "episode", "form": "episode"},
        {"part": "percentile_scale", "preset": "router_r1", "of": "cost", "to": "cheap"},
        *([{"part": "gate", "preset": "if_right", "of": "cheap"}] if gated else []),
        {"part": "weighted_sum", "coefficients": {"right": 1 - alpha, "cheap": alpha}},
        {"part": "gate", "preset": "form_or_minus_one", "of": "reward"},
        {"part": "group_relative", "preset": "grpo", "of": "reward"},
    )
    pool, fresh, random = Pool(seed, 0), Pool(seed, 1), np.random.default_rng(10_000 + seed)
    router = trained(pool.router(), QUESTIONS, pool.judged, made, seed, updates, groups=16, rate=4.0)
    asking = fresh.router()
    asking.logits = router.logits
    question = np.arange(QUESTIONS)
    forms = asking.filled(question, random)
    found = fresh.judged(question, forms, random)
    readable = found["form"].values == 1
    accuracy = float((found["right"].values * readable).mean())
    return {
        "accuracy": accuracy,
        "cost": 1000 * float(found["cost"].values.mean()),
        "calls": 1 + float((forms[:, 1] != NOBODY).mean()),
        "malformed": float((~readable).mean()),
        "ahead of the best expert": accuracy - float(fresh.right.mean(0).max()),
    }


ALPHAS = ("α = 0", "α = 0.1", "α = 0.3", "α = 0.9")
UNGATED = "α = 0.9, wrong answers too"


def _cheaper_with_alpha(found: Found) -> bool:
    """Cost falls with α, accuracy is that of a good expert at least where α is small, and the gate keeps it up."""
    return (
        all(found.below(after, before, "cost") for before, after in pairwise(ALPHAS))
        and found.interval(ALPHAS[0], "ahead of the best expert")[0] > 0
        and found.interval(ALPHAS[1], "ahead of the best expert")[0] > -0.03
        and found.above(ALPHAS[-1], UNGATED, "accuracy")
    )


ROUTER_R1 = Check(
    row=6,
    name="cost-aware-router-reward",
    claim="Over a pool of experts a router that is paid for right answers alone is more often right than the best of "
    "them; each larger α of 0, 0.1, 0.3 and 0.9 makes it cheaper; at 0.1 it is at most 0.03 less often right than the "
    "best expert; and at 0.9 it is more often right than where cheap answers are paid for whether right or wrong.",
    arms={
        ALPHAS[0]: lambda seed: routed(seed, 0.0),
        ALPHAS[1]: lambda seed: routed(seed, 0.1),
        ALPHAS[2]: lambda seed: routed(seed, 0.3),
        ALPHAS[3]: lambda seed: routed(seed, 0.9),
        UNGATED: lambda seed: routed(seed, 0.9, gated=False),
    },
    holds=_cheaper_with_alpha,
    units={
        "accuracy": "share of questions",
        "cost": "price of 1000 questions",
        "calls": "of a question",
        "malformed": "share of answers",
        "ahead of the best expert": "share of questions",
    },
)
