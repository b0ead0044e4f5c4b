"""Checks of judges that are trained on pairs: who looks after a first reading, and what a critique is worth."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.pair_judge import ATTRIBUTES, MEMBERS, Judged, PairJudge, Pairs, right, trained
from rewards.sources.judge_training import argument_f1, critique_scored, preference_reward

TESTED = 4000  # pairs on which a judge is looked at

# --- 149: one subtle error, which may be anywhere ---------------------------------------------------------------------


def flawed(generator: torch.Generator, number: int) -> Pairs:
    """Pairs that are alike but for one attribute, any of them, by 1 to 2."""
    where = torch.randint(ATTRIBUTES, (number, 1), generator=generator)
    first = 2.0 * torch.randint(2, (number,), generator=generator) - 1.0
    size = 1.0 + torch.rand(number, 1, generator=generator)
    apart = torch.zeros(number, ATTRIBUTES).scatter(1, where, first[:, None] * size)
    return Pairs(torch.zeros(number, dtype=torch.int64), apart, (apart != 0).float(), first)


def rethinking(seed: int, reads_first: bool) -> Mapping[str, float]:
    """A judge trained with the reward of BR-RM.

    Args:
        seed: of everything.
        reads_first: whether it names what it will look at after the first reading; else before.
    """

    def looked_at(judge: PairJudge) -> tuple[float, float]:
        generator = torch.Generator().manual_seed(10_000 + seed)
        pairs = flawed(generator, TESTED)
        with torch.no_grad():
            judged = judge(pairs, generator)
        return float(right(pairs, judged).mean()), 1.0 - float(judged.formed.double().mean())

    def pay(pairs: Pairs, judged: Judged) -> NDArray[np.floating]:
        return preference_reward(judged.verdict, pairs.first, judged.formed)

    torch.manual_seed(seed)
    judge = PairJudge(1, reads_first)
    at_first = looked_at(judge)[1]
    found, broken = looked_at(trained(judge, flawed, pay, seed))
    return {"right": found, "forms broken": broken, "forms broken at first": at_first}


BR_RM = Check(
    row=149,
    name="branch-and-rethink-judge",
    claim="Of answers with one subtle error, a judge that names two of eight attributes after a first reading and then "
    "looks at these is right more often, by over 0.1, than one that names them before, trained by the same reward; "
    "forms, of which most were broken at first, are broken in less than one of fifty judgements.",
    arms={
        "branch, then rethink": partial(rethinking, reads_first=True),
        "one shot": partial(rethinking, reads_first=False),
    },
    holds=lambda found: (
        found.above("branch, then rethink", "one shot", "right", by=0.1)
        and found.mean("branch, then rethink", "forms broken at first") > 0.5
        and found.mean("branch, then rethink", "forms broken") < 0.02
    ),
    units={"right": "share of pairs"},
)


# --- 78: a label that can be guessed from what does not matter --------------------------------------------------------

TOPICS, CLUE, TELLING = 4, ATTRIBUTES - 1, 0.9
"""Kinds of prompts; the attribute that goes with the label; and how often it does while judges are trained."""
SHARE = 0.25
"""Of pairs that have a critique by a person."""
Way = Literal["verdict alone", "critiques of all", "critiques of a quarter", "and a model of them"]


def guessable(generator: torch.Generator, number: int, telling: float = TELLING) -> Pairs:
    """Pairs that two attributes of the topic decide; another one mostly goes with the label."""
    topic = torch.randint(TOPICS, (number,), generator=generator)
    core = torch.zeros(number, ATTRIBUTES)
    core.scatter_(1, torch.stack([topic, topic + 1], 1), 1.0)
    apart = torch.randint(-2, 3, (number, ATTRIBUTES), generator=generator).float()
    told = (apart * core).sum(-1) + 0.5 * (2.0 * torch.randint(2, (number,), generator=generator) - 1.0)
    first = told.sign()  # a tie is nobody's, so chance decides
    agrees = torch.rand(number, generator=generator) < telling
    apart[:, CLUE] = torch.where(agrees, first, -first)
    return Pairs(topic, apart, core, first)


class Meta:
    """What critiques are worth, by topic and by what they name: ridge regression on those that a person wrote too."""

    def __init__(self) -> None:
        size = TOPICS * ATTRIBUTES
        self._squares, self._products = 0.1 * np.eye(size), np.zeros(size)

    def learn(self, pairs: Pairs, named: NDArray[np.float64], worth: NDArray[np.float64]) -> None:
        """Take in critiques of known worth; those of earlier judges count less and less."""
        features = self._features(pairs, named)
        self._squares = 0.98 * self._squares + features.T @ features
        self._products = 0.98 * self._products + features.T @ worth

    def __call__(self, pairs: Pairs, named: NDArray[np.float64]) -> NDArray[np.float64]:
        """What critiques are worth, as far as can be told, `[B]`."""
        foretold: NDArray[np.float64] = self._features(pairs, named) @ np.linalg.solve(self._squares, self._products)
        return foretold.clip(0.0, 1.0)

    @staticmethod
    def _features(pairs: Pairs, named: NDArray[np.float64]) -> NDArray[np.float64]:
        topics = np.eye(TOPICS)[pairs.topic.numpy()]
        return np.asarray((topics[:, :, None] * named[:, None]).reshape(len(named), -1))


def criticising(seed: int, way: Way) -> Mapping[str, float]:
    """A judge trained with the reward of RM-NLHF.

    Args:
        seed: of everything.
        way: what is known of critiques.
    """
    random, meta = np.random.default_rng(seed), Meta()

    def pay(pairs: Pairs, judged: Judged) -> NDArray[np.floating]:
        named = judged.named.double().numpy()
        worth = argument_f1(named, pairs.core)
        groups = len(worth) // MEMBERS
        by_people = np.repeat(random.random(groups) < (1.0 if way == "critiques of all" else SHARE), MEMBERS)
        score = np.where(by_people, worth, np.nan)
        if way == "verdict alone":
            score = np.full_like(worth, np.nan)
        elif way == "and a model of them":
            score = np.where(by_people, worth, meta(pairs, named))
            known = torch.as_tensor(by_people)
            seen = Pairs(pairs.topic[known], pairs.apart[known], pairs.core[known], pairs.first[known])
            meta.learn(seen, named[by_people], worth[by_people])
        return critique_scored(right(pairs, judged), score)

    torch.manual_seed(seed)
    judge = trained(PairJudge(TOPICS), guessable, pay, seed)

    def looked_at(telling: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        generator = torch.Generator().manual_seed(10_000 + seed)
        pairs = guessable(generator, TESTED, telling)
        with torch.no_grad():
            judged = judge(pairs, generator)
        return right(pairs, judged), argument_f1(judged.named, pairs.core)

    won, worth = looked_at(TELLING)
    return {
        "right where the clue says nothing": float(looked_at(0.5)[0].mean()),
        "right as trained": float(won.mean()),
        "wrong critique of a right verdict": float((worth[won > 0] < 1).mean()),
    }


def _for_better_reasons(found: Found) -> bool:
    """Both with all critiques and with a model of a quarter of them."""
    blamed, told = "wrong critique of a right verdict", "right where the clue says nothing"
    return all(
        found.below(way, "verdict alone", blamed) and found.above(way, "verdict alone", told)
        for way in ("critiques of all", "and a model of them")
    )


WAYS: tuple[Way, ...] = ("verdict alone", "critiques of all", "critiques of a quarter", "and a model of them")

RM_NLHF = Check(
    row=78,
    name="critique-similarity-process-reward",
    claim="Where an attribute that does not matter mostly goes with the label, judges rewarded for critiques too, by "
    "people's for all pairs or by a model of people's for a quarter, give fewer wrong critiques of right verdicts than "
    "judges rewarded for the verdict alone, and are right more often where that attribute says nothing.",
    arms={way: partial(criticising, way=way) for way in WAYS},
    holds=_for_better_reasons,
    units={"right where the clue says nothing": "share of pairs", "right as trained": "share of pairs"},
)
