"""Check of rubrics that are read off the difference between two answers, with and without a filter by the label."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.principles import taught
from rewards.sources.contrastive_rubrics import consistent_rubrics, voted

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TOPICS, PROMPT, CRITERIA, REQUIRED = 6, 8, 10, 3
"""Kinds of prompts, numbers of a prompt, what can be asked of an answer, and how much of it a kind of prompt asks."""
TAUGHT, TESTED, MISTAKEN = 600, 3000, 0.1
"""Pairs that teach, pairs that test, and the share of the first that is labelled wrongly."""
NAMED, TELLING, INVERTED = 3, 0.6, 0.1
"""Criteria of a rubric; chance that one tells the answers apart for the right reason, and that it has it inverted."""
SLIP, TRIES, VOTES = 0.15, 4, 5
"""Chance that the judge errs about one criterion of one answer; rubrics asked for, and votes of the judge."""
Way = Literal["filtered", "unfiltered", "none", "all", "true"]


class World:
    """Prompts with hidden criteria, answers that meet some of all criteria, and a judge who looks where it is told."""

    def __init__(self, seed: int) -> None:
        """Kinds of prompts from `seed`."""
        self.random = np.random.default_rng(seed)
        self._centre = self.random.normal(size=(TOPICS, PROMPT))
        self._required = self.random.random((TOPICS, CRITERIA)).argsort(1).argsort(1) < REQUIRED

    def pairs(self, number: int, mistaken: float = 0.0) -> tuple[Floats, Bools, Bools]:
        """Prompts `[N, PROMPT]`, what they ask `[N, C]`, and what two answers meet, the preferred first `[N, 2, C]`."""
        topic = self.random.integers(0, TOPICS, 2 * number)
        met = self.random.random((2 * number, 2, CRITERIA)) < 0.5
        required = self._required[topic]
        better = (met & required[:, None]).sum(2)
        use = np.flatnonzero(better[:, 0] != better[:, 1])[:number]
        first = (better[use, 0] > better[use, 1]) ^ (self.random.random(len(use)) < mistaken)
        prompts = self._centre[topic[use]] + 0.5 * self.random.normal(size=(len(use), PROMPT))
        return prompts, required[use], np.where(first[:, None, None], met[use], met[use, ::-1])

    def wrote(self, required: Bools, met: Bools) -> Ints:
        """A rubric for one pair: 1 for what should be met, −1 for what should not, `[C]`."""
        found = np.zeros(CRITERIA, np.int64)
        telling = np.flatnonzero(required & met[0] & ~met[1])
        for chance in self.random.random(NAMED):
            if chance < TELLING + INVERTED and len(telling):
                found[self.random.choice(telling)] = 1 if chance < TELLING else -1
            else:
                found[self.random.integers(CRITERIA)] = self.random.choice([-1, 1])
        return found

    def judged(self, rubrics: Ints, met: Bools) -> Floats:
        """Chance that the first answer is preferred by rubrics `[..., C]`; a half at a tie. Answers `[..., 2, C]`."""
        looked = met ^ (self.random.random(met.shape) < SLIP)
        score = (rubrics * (looked[..., 0, :].astype(np.int64) - looked[..., 1, :])).sum(-1)
        found: Floats = 0.5 + 0.5 * np.sign(score)
        return found


def generator(prompts: Floats, rubrics: list[Ints], seed: int) -> nn.Module:
    """A model of p(criterion, direction | prompt), taught with rubrics (supervised fine-tuning)."""
    signs = np.stack(rubrics)
    pair, criterion = signs.nonzero()
    row, token = torch.as_tensor(pair), torch.as_tensor(criterion + CRITERIA * (signs[pair, criterion] < 0))
    shown = torch.as_tensor(prompts, dtype=torch.float32)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(PROMPT, 32), nn.SiLU(), nn.Linear(32, 2 * CRITERIA))

    def loss(rows: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(shown[row[rows]]), token[rows], reduction="none")

    taught(model, loss, len(row), seed)
    return model


@torch.no_grad()
def generated(model: nn.Module, prompts: Floats, seed: int) -> Ints:
    """Rubrics for new prompts, `VOTES` each, drawn as a language model draws them `[N, VOTES, C]`."""
    chances = model(torch.as_tensor(prompts, dtype=torch.float32)).softmax(-1)
    draws = torch.Generator().manual_seed(seed)
    tokens = torch.multinomial(chances, VOTES * NAMED, replacement=True, generator=draws).numpy()
    signs = np.where(tokens < CRITERIA, 1, -1).reshape(len(prompts), VOTES, NAMED)
    criteria = (tokens % CRITERIA).reshape(signs.shape)
    found: Ints = np.sign((np.eye(CRITERIA, dtype=np.int64)[criteria] * signs[..., None]).sum(2))
    return found


def of_its_own(world: World, way: Way, required: Bools) -> Ints:
    """What a judge looks at to whom no model writes rubrics `[C]`."""
    if way == "true":
        return required.astype(np.int64)
    return (world.random.random(CRITERIA).argsort().argsort() < (NAMED if way == "none" else CRITERIA)).astype(np.int64)


def ruled(seed: int, way: Way) -> Mapping[str, float]:
    """How often a judge with rubrics is right of new pairs.

    Args:
        seed: of everything.
        way: whether rubrics that contradict the label teach too; or there are none, and the judge looks at as many
            criteria of its own choice, or at all of them; or it knows those that count.
    """
    world = World(seed)
    prompts, required, met = world.pairs(TAUGHT, MISTAKEN)
    new, asked, answers = world.pairs(TESTED)
    verdicts: dict[int, float] = {}

    def judge(rubric: Ints, pair: int) -> float:
        verdicts[pair] = float(world.judged(rubric, met[pair]))
        return verdicts[pair]

    def write(pair: int) -> Ints:
        return world.wrote(required[pair], met[pair])

    kept = list(range(TAUGHT))
    if way == "filtered":
        found = consistent_rubrics(kept, write, judge, TRIES)
        kept = [pair for pair in kept if found[pair] is not None]
        written = [rubric for rubric in found if rubric is not None]
    elif way == "unfiltered":
        written = [write(pair) for pair in kept]
    else:
        written = [of_its_own(world, way, required[pair]) for pair in kept]
    if way != "filtered":
        for pair, rubric in zip(kept, written, strict=True):
            judge(rubric, pair)
    if way in ("filtered", "unfiltered"):
        rubrics = generated(generator(prompts[kept], written, seed), new, seed)
    else:
        rubrics = np.stack([of_its_own(world, way, wanted) for wanted in asked for _ in range(VOTES)])
        rubrics = rubrics.reshape(len(asked), VOTES, CRITERIA)
    chance = voted(world.judged(rubrics, np.repeat(answers[:, None], VOTES, axis=1)))
    return {
        "right": float((chance > 0.5).mean() + 0.5 * (chance == 0.5).mean()),
        "pairs with a rubric": len(kept) / TAUGHT,
        "labels found with it": float(np.mean([verdicts[pair] > 0.5 for pair in kept])),
        "criteria that count": float(((rubrics > 0) & asked[:, None]).sum() / np.abs(rubrics).sum()),
    }


def _in_this_order(found: Found) -> bool:
    """Filtered above unfiltered above none, and every label found with what was kept."""
    order = ("rubrics, filtered", "rubrics, unfiltered", "no rubric")
    return (
        all(found.above(one, other, "right") for one, other in pairwise(order))
        and found.mean(order[0], "labels found with it") == 1.0
    )


OPEN_RUBRICS = Check(
    row=22,
    name="contrastive-rubric-rm",
    claim="With a judge that looks at three criteria and errs as often about each, rubrics by a model that was taught "
    "with those that bear out the label put more new pairs in order than rubrics by one that was taught with all, and "
    "these more than no rubric; with every rubric that was kept the judge finds the label of its pair.",
    arms={
        "rubrics, filtered": partial(ruled, way="filtered"),
        "rubrics, unfiltered": partial(ruled, way="unfiltered"),
        "no rubric": partial(ruled, way="none"),
        "no rubric, all criteria": partial(ruled, way="all"),
        "the criteria that count": partial(ruled, way="true"),
    },
    holds=_in_this_order,
    units={
        "right": "share of pairs",
        "pairs with a rubric": "share of pairs",
        "labels found with it": "share of rubrics",
        "criteria that count": "share of criteria",
    },
)
