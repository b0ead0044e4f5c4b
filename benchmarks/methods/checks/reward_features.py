"""Checks of small rewards of features: what a second layer adds, and what a list by experts saves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.methods.checks.judging import answered
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import attributes
from benchmarks.methods.worlds.language import END, Writing
from benchmarks.methods.worlds.preferences import ANSWER, PROMPT, Floats, World
from benchmarks.methods.worlds.principles import in_order, taught
from learners.language.reward_losses import bradley_terry
from pipelines.results import figure
from rewards.models.mlp_head import Activation, MLPHead, ensembled

# --- 77: heads of one layer and of two --------------------------------------------------------------------------------

TAUGHT, TESTED, HIDDEN = 4000, 4000, 48
"""Pairs that teach, pairs that test, and the width of a hidden layer."""


class Products(World):
    """Worth is quality times relevance: how good an answer is, as far as it has to do with the prompt."""

    def __init__(self, seed: int) -> None:
        """What quality is, and what goes with which prompt, from `seed`."""
        random = np.random.default_rng(1000 + seed)
        self._quality = random.normal(size=ANSWER)
        self._fit = random.normal(size=(PROMPT, ANSWER)) / np.sqrt(PROMPT)
        super().__init__(seed)  # which finds the scale of worth

    def worth(self, prompts: Floats, answers: Floats) -> Floats:
        """Of answers to prompts `[N]`."""
        relevance = 1 / (1 + np.exp(-((prompts @ self._fit) * answers).sum(-1)))
        found: Floats = self._scale * np.logaddexp(0.0, answers @ self._quality) * relevance  # quality is never below 0
        return found


def headed(
    seed: int, layers: Literal[1, 2] = 2, activation: Activation = "silu", centring: float = 0.0, members: int = 1
) -> Mapping[str, float]:
    """How often heads of the same features, taught with the same pairs, are right of new ones.

    Args:
        seed: of everything.
        layers: of a head.
        activation: between two of them.
        centring: weight of zero-centring.
        members: heads whose mean is taken; they differ in their first weights and in the order of pairs.
    """
    world, random = Products(seed), np.random.default_rng(seed)
    pairs = world.pairs(random, TAUGHT)
    chosen, rejected = pairs.inputs(pairs.gap + random.logistic(size=TAUGHT) > 0)
    heads = [MLPHead(PROMPT + ANSWER, HIDDEN, layers, activation, 100 * seed + k) for k in range(members)]
    for number, head in enumerate(heads):

        def loss(rows: Tensor, head: MLPHead = head) -> Tensor:
            return bradley_terry(head(chosen[rows]), head(rejected[rows]), centring=centring)

        taught(head, loss, TAUGHT, 100 * seed + number, steps=400)
    fresh = world.pairs(random, TESTED)
    with torch.no_grad():
        scores = ensembled(heads, torch.stack(fresh.inputs(np.ones(TESTED, np.bool_)), 1))
    return {"right": float(in_order(scores, fresh.gap).mean())}


BASE_REWARD = Check(
    row=77,
    name="bradley-terry-mlp-head",
    claim="Where worth is quality times relevance, a head of two layers with SiLU is right of new pairs more often "
    "than a linear one, and the mean of four such heads no less often than one (by 0.005).",
    arms={
        "linear": partial(headed, layers=1),
        "two layers, no activation": partial(headed, activation="none"),
        "two layers, tanh": partial(headed, activation="tanh"),
        "two layers, SiLU": headed,
        "SiLU, zero-centred": partial(headed, centring=0.01),
        "mean of four, SiLU": partial(headed, members=4),
    },
    holds=lambda found: (
        found.above("two layers, SiLU", "linear", "right")
        and (found.difference("mean of four, SiLU", "two layers, SiLU", "right").low or 0.0) > -0.005
    ),
    units={"right": "share of pairs"},
)


# --- 158: seven features, or the words themselves --------------------------------------------------------------------

SIZES, EPOCHS, BATCH, NEW = (100, 300, 1000), 20, 64, 2000
"""Pairs that teach, how often each is looked at, how many at once, and pairs that test."""
SURE = 2.0
"""Standard deviation of the difference of worth within a pair."""


def features(writing: Writing) -> Floats:
    """What experts look at in completions `[B, 7]`.

    Coverage, words off the topic, repetition, length, whether the first word is on the topic, words of no topic at all,
    and neighbours that stand in rising order.
    """
    words, said = writing.completions, writing.mask & (writing.completions != END)
    topic = (writing.prompts[:, 0] - 1) // attributes.WORDS
    opened = ((words[:, 0] - 1) // attributes.WORDS == topic) & said[:, 0]
    idle = ((words > attributes.TOPICS * attributes.WORDS) & said).sum(1)
    rising = ((np.diff(words, axis=1) > 0) & said[:, 1:]).sum(1)
    found = [
        attributes.coverage(writing), attributes.padding(writing), attributes.repetition(writing),
        writing.length / attributes.LENGTH, opened, idle / attributes.LENGTH, rising / attributes.LENGTH,
    ]  # fmt: skip
    return np.stack(found, axis=1).astype(np.float64)


@cache
def compared(seed: int) -> tuple[Tensor, Tensor, Floats, Floats]:
    """Words `[P, 2, T]` and features `[P, 2, 7]` of pairs, by how much the first is better, and what people say `[P]`.

    Worth is a smooth function of the seven features that nobody knows; people err as Bradley and Terry have it.
    """
    writing = answered(seed, max(SIZES) + NEW)
    found = features(writing)
    found = (found - found.mean(0)) / (found.std(0) + 1e-6)
    random = np.random.default_rng(700 + seed)
    waves, shift, weights = random.normal(size=(7, 24)) / np.sqrt(7), random.normal(size=24), random.normal(size=24)
    worth = (np.tanh(found @ waves + shift) @ weights).reshape(-1, 2)
    gaps = worth[:, 0] - worth[:, 1]
    gaps = SURE * gaps / gaps.std()
    read = np.concatenate([writing.prompts, writing.completions], axis=1).reshape(len(gaps), 2, -1)
    shown = torch.as_tensor(found.reshape(len(gaps), 2, 7), dtype=torch.float32)
    return torch.as_tensor(read), shown, gaps, gaps + random.logistic(size=len(gaps))


class Reader(nn.Module):
    """A reward of words: the last state of a recurrent network; about as many weights as `MLPHead(7, 448)`."""

    def __init__(self, seed: int, size: int = 24) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.embed, self.cell = nn.Embedding(attributes.VOCABULARY, size), nn.GRU(size, size, batch_first=True)
        self.worth = nn.Linear(size, 1)

    def forward(self, words: Tensor) -> Tensor:
        """Rewards `[..., ]` of words `[..., T]`."""
        states = self.cell(self.embed(words.flatten(0, -2)))[0][:, -1]
        found: Tensor = self.worth(states)[:, 0]
        return found.view(words.shape[:-1])


def taught_with_few(seed: int, of: Literal["features", "linear", "words"]) -> Mapping[str, float]:
    """How often a reward is right of new pairs, after it was taught with few and with more of them."""
    read, shown, gaps, told = compared(seed)
    given = read if of == "words" else shown
    rights = {}
    for size in SIZES:
        model: nn.Module = Reader(seed) if of == "words" else MLPHead(7, 448, 1 if of == "linear" else 2, seed=seed)
        first = torch.as_tensor(told[:size] > 0)
        pairs = given[:size]
        better = torch.where(first.view(-1, 1, 1), pairs, pairs.flip(1))

        def loss(rows: Tensor, model: nn.Module = model, better: Tensor = better) -> Tensor:
            scores = model(better[rows])
            return bradley_terry(scores[:, 0], scores[:, 1])

        taught(model, loss, size, seed, steps=EPOCHS * size // BATCH, batch=BATCH)
        with torch.no_grad():
            scores = model(given[max(SIZES) :])
        # Pairs of equal worth are the same in all seven features: nothing could tell them apart.
        new = gaps[max(SIZES) :]
        rights[f"right with {size} pairs"] = float(in_order(scores, new)[new != 0].mean())
    return rights


def _fewer_pairs_are_enough(found: Found) -> bool:
    """Above words with any number of pairs, by less the more there are."""
    measures = [f"right with {size} pairs" for size in SIZES]
    leads = [
        np.subtract(found.values["features"][measure], found.values["words"][measure])
        for measure in (measures[0], measures[-1])
    ]
    closing = (figure((leads[0] - leads[1]).tolist(), "difference").low or 0.0) > 0
    return closing and all(found.above("features", "words", measure) for measure in measures)


DOMAIN = Check(
    row=158,
    name="feature-based-preference-rm",
    claim="Where worth is an unknown function of seven features of an answer, a small network of these is right of new "
    "pairs more often than a recurrent one of the words with as many weights, after 100, 300 and 1,000 pairs, and its "
    "lead is smaller after 1,000 than after 100.",
    arms={
        "features": lambda seed: taught_with_few(seed, "features"),
        "features, linear": lambda seed: taught_with_few(seed, "linear"),
        "words": lambda seed: taught_with_few(seed, "words"),
    },
    holds=_fewer_pairs_are_enough,
    units={f"right with {size} pairs": "share of pairs" for size in SIZES},
)
