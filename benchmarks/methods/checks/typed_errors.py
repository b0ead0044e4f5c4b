"""Check of classifiers of errors, one a type and for each segment, against one reward of the whole description."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import TinyPolicy, Writing, imitate, reinforce, write
from benchmarks.methods.worlds.principles import taught
from benchmarks.methods.worlds.scores import grpo
from learners.language.reward_losses import bradley_terry, entailment
from pipelines.results import figure
from rewards.columns import Column
from rewards.credit.typed_segments import segment_rewards, verdicts
from rewards.models.conditioned_reward import ConditionedReward
from rewards.views.view import Config, RewardView

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PLACES, THINGS, COLOURS = 3, 4, 3
"""A scene has one coloured thing in each place."""
THING, COLOUR, PLACE = 1, 1 + THINGS, 1 + THINGS + COLOURS
"""First words for things, colours and places; a segment is one word of each, in this order."""
VOCABULARY, SEGMENTS, SEGMENT = PLACE + PLACES, 3, 3
LENGTH = SEGMENTS * SEGMENT
TYPES = ("things", "colours", "places")
"""Errors: of a thing that is nowhere, a colour that no such thing has, and a place where no such thing is."""
SHOWN, STEPS, UPDATES, SLIP = 2000, 200, 100, 0.05
"""Descriptions that teach rewards, steps for each type, updates of the policy, and how often who labels errs."""
Way = Literal["typed segments", "typed segments, log-odds", "types, paid at the end", "one reward"]


def scenes(random: np.random.Generator, number: int) -> Ints:
    """Thing and colour of each place, as words `[n, 2 · PLACES]`."""
    things = THING + random.integers(0, THINGS, (number, PLACES))
    colours = COLOUR + random.integers(0, COLOURS, (number, PLACES))
    return np.stack([things, colours], axis=2).reshape(number, -1)


def errors(prompts: Ints, words: Ints) -> NDArray[np.bool_]:
    """Which errors each segment of descriptions `[B, LENGTH]` has `[B, SEGMENTS, 3]`; other words are errors too."""
    thing, colour, place = np.moveaxis(words.reshape(len(words), SEGMENTS, SEGMENT), 2, 0)
    same = prompts[:, None, 0::2] == thing[:, :, None]  # by place of the scene
    coloured = same & (prompts[:, None, 1::2] == colour[:, :, None])
    there = same & (PLACE + np.arange(PLACES) == place[:, :, None])
    return ~np.stack([kind.any(2) for kind in (same, coloured, there)], axis=2)


def one_hot(words: Ints) -> Tensor:
    """Features `[..., T · VOCABULARY]` of words `[..., T]`."""
    found = np.eye(VOCABULARY, dtype=np.float32)[words]
    return torch.as_tensor(found.reshape(*words.shape[:-1], -1))


@cache
def novice(seed: int) -> TinyPolicy:
    """A policy that knows the form of a description, and hardly what is in the scene."""
    random = np.random.default_rng(seed)
    shown = scenes(random, 256)
    place = random.random((256, PLACES)).argsort(1)
    things, colours = (np.take_along_axis(shown[:, k::2], place, 1) for k in (0, 1))
    said = np.stack([things, colours, PLACE + place], axis=2)
    other = np.stack(
        [random.integers(low, low + number, (256, SEGMENTS)) for low, number in
         ((THING, THINGS), (COLOUR, COLOURS), (PLACE, PLACES))], axis=2
    )  # fmt: skip
    said = np.where(random.random(said.shape) < 0.4, other, said)
    policy = TinyPolicy(VOCABULARY, seed)
    imitate(policy, shown, said.reshape(256, LENGTH), 120)
    return policy


def cells(prompts: Ints) -> Tensor:
    """What a reward knows of the scene: thing, colour and place of each cell `[B, PLACES, VOCABULARY]`."""
    place = np.broadcast_to(PLACE + np.arange(PLACES), (len(prompts), PLACES))
    words = np.stack([prompts[:, 0::2], prompts[:, 1::2], place], axis=2)
    return torch.as_tensor(np.eye(VOCABULARY, dtype=np.float32)[words].sum(2))


def segments(words: Ints) -> Tensor:
    """What a classifier reads of each segment `[B, SEGMENTS, F]`; not what was said before it."""
    return one_hot(words.reshape(len(words), SEGMENTS, SEGMENT))


Score = Callable[[Ints, Ints], Floats]
"""From prompts and descriptions to log-odds that segments are free of errors `[B, SEGMENTS, 3]`, or scores `[B]`."""


@cache
def judges(seed: int) -> tuple[Score, Score]:
    """Classifiers of the three types of error, and one reward; both from labels of the same descriptions."""
    random = np.random.default_rng(20_000 + seed)
    shown = write(novice(seed), scenes(random, SHOWN // 2), 2, LENGTH, torch.Generator().manual_seed(seed))
    words, known = shown.completions, cells(shown.prompts)
    found = errors(shown.prompts, words) ^ (random.random((SHOWN, SEGMENTS, len(TYPES))) < SLIP)
    read, around = segments(words).flatten(0, 1), known.repeat_interleave(SEGMENTS, 0)
    free = torch.as_tensor(1.0 - found.reshape(-1, len(TYPES)), dtype=torch.float32)
    heads = [ConditionedReward(SEGMENT * VOCABULARY, VOCABULARY, seed=10 * seed + k) for k in range(len(TYPES))]
    for k, head in enumerate(heads):

        def of_type(rows: Tensor, k: int = k, head: ConditionedReward = head) -> Tensor:
            return entailment(head(read[rows], around[rows]), free[rows, k])

        taught(head, of_type, len(read), seed, steps=STEPS)
    pairs, scene = one_hot(words).view(SHOWN // 2, 2, -1), known[::2, None]
    # Who compares whole descriptions counts the same errors, with the same slips.
    number = torch.as_tensor(found.sum((1, 2))).view(-1, 2)
    sign = torch.sign(number[:, 1] - number[:, 0]).float()
    one = ConditionedReward(LENGTH * VOCABULARY, VOCABULARY, seed=seed)

    def of_pairs(rows: Tensor) -> Tensor:
        scores = one(pairs[rows], scene[rows])
        apart = sign[rows] * (scores[:, 0] - scores[:, 1])
        return bradley_terry(apart, torch.zeros_like(apart)) * sign[rows].abs()  # ties teach nothing

    taught(one, of_pairs, len(pairs), seed, steps=len(TYPES) * STEPS)

    @torch.no_grad()
    def log_odds(asked: Ints, said: Ints) -> Floats:
        features, known = segments(said), cells(asked)[:, None]
        return torch.stack([head(features, known) for head in heads], -1).double().numpy()

    @torch.no_grad()
    def score(asked: Ints, said: Ints) -> Floats:
        found: Floats = one(one_hot(said), cells(asked)).double().numpy()
        return found

    return log_odds, score


def of_tokens() -> RewardView:
    """What is still to come from each token on, compared with the same place of the others of its group."""
    parts = [
        {"part": "weighted_sum", "coefficients": {"score": 1.0}},
        {"part": "returns", "of": "reward", "gamma": 1.0, "to": "return"},
        {"part": "position_relative", "preset": "tp_grpo", "of": "return"},
    ]
    return RewardView(Config.model_validate({"name": "segments", "components": {"score": "token"}, "parts": parts}))


def describing(seed: int, way: Way) -> Mapping[str, float]:
    """Errors of each type before and after policy gradient.

    Args:
        seed: of everything.
        way: what is paid, and where.
    """
    log_odds, score = judges(seed)
    curve: list[float] = []

    def components(writing: Writing) -> Mapping[str, Column]:
        asked, said = writing.prompts, writing.completions
        curve.append(float(errors(asked, said).mean()))
        if way == "one reward":
            return {"score": Column.full(score(asked, said))}
        last = writing.mask.sum(1, keepdims=True) - 1  # segments that were not written end there
        ends = np.minimum(SEGMENT * (1 + np.arange(SEGMENTS)) - 1, last)
        told = log_odds(asked, said)
        told = told if way == "typed segments, log-odds" else verdicts(told)
        paid = segment_rewards(told, ends, [1.0] * len(TYPES), LENGTH)
        return {"score": Column.full(paid.sum(1) if way == "types, paid at the end" else writing.tokens(paid))}

    policy = copy.deepcopy(novice(seed))
    asked = scenes(np.random.default_rng(10_000 + seed), 512)

    def looked_at(policy: TinyPolicy) -> Floats:
        found = write(policy, asked, 1, LENGTH, torch.Generator().manual_seed(seed))
        mean: Floats = errors(found.prompts, found.completions).mean((0, 1))
        return mean

    before = looked_at(policy)
    view = of_tokens() if way.startswith("typed segments") else grpo()
    reinforce(policy, scenes, components, view, seed, updates=UPDATES, length=LENGTH)
    after = looked_at(policy)
    return {
        **{f"{kind}, before": float(rate) for kind, rate in zip(TYPES, before, strict=True)},
        **{kind: float(rate) for kind, rate in zip(TYPES, after, strict=True)},
        "errors on the way": float(np.mean(curve)),
    }


def _all_three_fall_and_sooner(found: Found) -> bool:
    """Each type of error becomes rarer, and errors are rarer on the way than with one reward."""
    typed = found.values["typed segments"]
    fallen = [
        (figure(np.subtract(typed[f"{kind}, before"], typed[kind]).tolist(), "difference").low or 0.0) > 0
        for kind in TYPES
    ]
    return all(fallen) and found.below("typed segments", "one reward", "errors on the way")


WAYS: tuple[Way, ...] = ("typed segments", "typed segments, log-odds", "types, paid at the end", "one reward")

FGAIF = Check(
    row=133,
    name="typed-segment-reward-models",
    claim="Paid for each segment by a classifier of each type of error, a policy makes fewer errors of each of three "
    "types than before, and fewer on the way than one that is paid by one reward of whole descriptions, which was "
    "taught with the same descriptions.",
    arms={way: partial(describing, way=way) for way in WAYS},
    holds=_all_three_fall_and_sooner,
    units=dict.fromkeys([*TYPES, *(f"{kind}, before" for kind in TYPES)], "share of segments"),
)
